"""The option `sheet` over real HTTP: wherever it stands, in imports and previews, and with a workbook's rejects."""

import io
from collections.abc import Callable
from typing import Any

import pytest
import requests
from openpyxl import Workbook

from dataflow import db
from tests.support.processes import Web

THROUGH_FLASK = True
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def workbook(*rows: list[str]) -> bytes:
    """A sheet of these rows, and one with a contact and a row to be refused."""
    book = Workbook()
    assert book.active is not None
    book.active.title = "Read me"
    for row in rows:
        book.active.append(row)
    leads = book.create_sheet("Leads é")
    for row in (["Name", "Email"], ["Ann", "ann@example.com"], ["Bob", "nowhere"]):
        leads.append(row)
    book.save(file := io.BytesIO())
    return file.getvalue()


BOOK = workbook(["This list is confidential."])
WAYS: dict[str, dict[str, Any]] = {
    "a query": {"path": "/import?source=crm&sheet=2", "data": BOOK, "headers": {"Content-Type": XLSX}},
    "a header": {
        "data": BOOK,
        "headers": {"Content-Type": "application/zip", "X-Source": "crm", "X-Sheet": "LEADS É".encode()},
    },
    "a field behind the file": {
        "files": [("file", ("a.xlsx", BOOK)), ("source", (None, "crm")), ("sheet", (None, "2"))]
    },
}


def refusal(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize("way", WAYS)
def test_a_sheet_may_be_asked_for_like_any_other_option(
    way: str, web: Web, work_off: Callable[[], int], stored_contacts: Callable[[], list[tuple[Any, ...]]]
) -> None:
    answer = web.post(**WAYS[way])
    assert answer.status_code == 200, answer.text
    work_off()
    job = web.job(answer.json()["jobId"])
    assert (job["state"], job["rowsRejected"], job["detected"]["sheet"]) == ("succeeded", 1, "Leads é")
    assert stored_contacts() == [("Ann", "ann@example.com", "crm")]


def test_the_rejects_of_a_sheet_are_sent_back_with_the_same_options(
    web: Web, work_off: Callable[[], int], stored_contacts: Callable[[], list[tuple[Any, ...]]]
) -> None:
    job_id = web.post(**WAYS["a query"]).json()["jobId"]
    work_off()
    rejects = web.get(f"/jobs/{job_id}/rejects?format=csv").content.replace(b"nowhere", b"bob@example.com")
    answer = web.post("/import?source=crm&sheet=2", data=rejects, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 200, answer.text
    work_off()
    assert [email for _, email, _ in stored_contacts()] == ["ann@example.com", "bob@example.com"]


def test_a_job_that_is_tried_again_reads_the_same_sheet(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    job_id = web.post("/import?source=crm&sheet=2&onInvalid=abort", data=BOOK, headers={"Content-Type": XLSX}).json()[
        "jobId"
    ]
    for _ in range(2):
        work_off()
        job = web.job(job_id)
        assert (job["state"], job["detected"]["sheet"]) == ("failed", "Leads é")
        if job["attempt"] < 2:
            assert web.post(f"/jobs/{job_id}/retry").status_code == 202
    assert job["attempt"] == 2
    row = connection.execute("SELECT options ->> 'sheet' AS sheet FROM jobs").fetchone()
    assert row == {"sheet": "2"}


def test_a_preview_shows_the_sheet_that_is_asked_for(web: Web) -> None:
    headers = {"Content-Type": XLSX}
    answer = web.post("/import/preview?sheet=leads%20%C3%A9", data=BOOK, headers=headers)
    assert (answer.status_code, answer.json()["sheet"]) == (200, "Leads é")
    assert [row["email"] for row in answer.json()["rows"]] == ["ann@example.com", "nowhere"]
    assert refusal(web.post("/import/preview?sheet=3", data=BOOK, headers=headers)) == (400, "sheet_not_found")
    answer = web.post("/import/preview", data=BOOK, headers=headers)
    assert refusal(answer) == (400, "missing_columns")
    assert answer.json()["error"].endswith('The others are "Leads é": name one with sheet=...')


def test_what_has_no_sheets_is_refused_where_it_is_asked_for_one(web: Web, connection: db.Connection) -> None:
    contact = {"name": "Ann", "email": "ann@example.com"}
    csv = b"name,email\nAnn,ann@example.com\n"
    answers = [
        web.post("/import?source=crm&sheet=2", json=[contact]),
        web.post("/import?source=crm&sheet=2", data=csv, headers={"Content-Type": "text/plain"}),
        web.post("/import", files=[("file", ("a.csv", csv)), ("sheet", (None, "2")), ("source", (None, "crm"))]),
        web.post("/import/preview?sheet=2", data=csv, headers={"Content-Type": "text/csv"}),
        web.post("/import/preview?sheet=2", json=[contact]),
    ]
    assert [refusal(answer) for answer in answers] == [(400, "sheet_not_found")] * len(answers)
    assert refusal(web.post("/import?source=crm&sheet=%20", data=BOOK, headers={"Content-Type": XLSX})) == (
        400,
        "invalid_request",
    )
    assert connection.execute("SELECT 1 FROM jobs").fetchall() == []


def test_a_member_of_a_json_body_that_is_called_sheet_is_no_option(web: Web) -> None:
    body = {"sheet": "Sheet1", "source": "crm", "data": [{"name": "Ann", "email": "ann@example.com"}]}
    assert web.post("/import", json=body).status_code == 200


@pytest.mark.parametrize(
    ("rows", "found"), [([], "it has no rows"), ([["Your name", "your e-mail"]], "all 1 rows were refused")]
)
def test_a_sheet_of_which_no_row_is_a_contact_names_the_others(
    rows: list[list[str]], found: str, web: Web, work_off: Callable[[], int]
) -> None:
    book = workbook(["Name", "Email"], *rows)
    job_id = web.post("/import?source=crm", data=book, headers={"Content-Type": XLSX}).json()["jobId"]
    work_off()
    assert web.job(job_id)["error"] == (
        f'no_contacts: There is not one contact in the file: {found}. Only the first visible sheet is read: "Read me". '
        'The others are "Leads é": name one with sheet=...'
    )


def test_a_preview_of_a_sheet_without_rows_names_the_others(web: Web) -> None:
    answer = web.post("/import/preview", data=workbook(["Name", "Email"]), headers={"Content-Type": XLSX})
    assert refusal(answer) == (400, "no_contacts")
    assert answer.json()["error"].endswith('The others are "Leads é": name one with sheet=...')
