"""GET /contacts over HTTP: pages of the table, newest first, as far as they are asked for."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import requests

from dataflow import db
from dataflow.ids import uuid7
from dataflow.imports import contact_pages
from tests.support.flask_web import FlaskWeb
from tests.support.holders import ALL_KEY, CLOSED, CRM_KEY, SHOP_KEY, bearer
from tests.support.imported import imported

WEB_VARIABLES = CLOSED
THROUGH_FLASK = True


def put(connection: db.Connection, *emails: str, source: str = "crm", at: str | None = None) -> list[str]:
    """A contact for each address, in this order, newer than all before; their ids."""
    ids = [UUID(int=next(_ids)) for _ in emails]
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO contacts (id, name, email, source, imported_at) "
            "VALUES (%s, 'Ann', %s, %s, coalesce(%s::timestamp, now()))",
            [(contact_id, email, source, at) for contact_id, email in zip(ids, emails, strict=True)],
        )
    return [str(contact_id) for contact_id in ids]


_ids = iter(range(1, 1 << 30))


def get(web: FlaskWeb, query: str = "", key: str = ALL_KEY, prefix: str = "", **parameters: Any) -> requests.Response:
    return web.get(f"{prefix}/contacts{query}", params=parameters, headers=dict(bearer(key)))


def listed(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [contact["id"] for contact in answer.json()["contacts"]]


def next_link(answer: requests.Response) -> str | None:
    found = re.fullmatch(r'<(/[^>]*)>; rel="next"', answer.headers.get("Link", ""))
    return found and found[1]


def walked(web: FlaskWeb, answer: requests.Response, key: str = ALL_KEY) -> list[list[str]]:
    """All pages from this one on."""
    pages = [listed(answer)]
    while link := next_link(answer):
        answer = web.get(link, headers=dict(bearer(key)))
        pages.append(listed(answer))
    return pages


def index(connection: db.Connection, columns: str) -> None:
    connection.execute(f"CREATE INDEX ON contacts ({columns})".encode())


def test_a_contact_shows_what_the_table_has_of_it(web: FlaskWeb, connection: db.Connection) -> None:
    [contact_id] = put(connection, "Ann@Example.com", at="2026-11-30 09:00:00.125")
    assert get(web).json() == {
        "contacts": [
            {
                "id": contact_id,
                "name": "Ann",
                "email": "Ann@Example.com",
                "source": "crm",
                "importedAt": "2026-11-30T09:00:00.125Z",
            }
        ]
    }


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "0044-03-15 BC", "12000-01-01", None])
def test_a_time_that_no_calendar_of_clients_has_is_none(
    moment: str | None, web: FlaskWeb, connection: db.Connection
) -> None:
    put(connection, "ann@example.com")
    connection.execute("UPDATE contacts SET imported_at = %s::timestamp", [moment])
    assert [contact["importedAt"] for contact in get(web).json()["contacts"]] == [None]


def test_times_are_utc_also_where_the_column_has_a_time_zone(web: FlaskWeb, connection: db.Connection) -> None:
    put(connection, "ann@example.com", at="2026-11-30 09:00")
    connection.execute("ALTER TABLE contacts ALTER imported_at TYPE timestamptz")
    [contact] = get(web, importedAfter="2026-11-30T10:00:00+01:00").json()["contacts"]
    assert contact["importedAt"] == "2026-11-30T09:00:00.000Z"
    assert listed(get(web, importedBefore="2026-11-30T10:00:00+01:00")) == []


def test_an_empty_table_is_a_list(web: FlaskWeb, connection: db.Connection) -> None:
    assert get(web).json() == {"contacts": []}


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_pages_lead_on_from_the_newest_to_the_oldest(prefix: str, web: FlaskWeb, connection: db.Connection) -> None:
    ids = put(connection, *(f"user{number}@example.com" for number in range(7)))[::-1]
    first = get(web, prefix=prefix, limit=3)
    assert (next_link(first) or "").startswith(f"{prefix}/contacts?limit=3&cursor=")
    put(connection, "newer@example.com")
    assert walked(web, first) == [ids[:3], ids[3:6], ids[6:]]


def test_a_page_has_a_hundred_unless_it_is_asked_for_up_to_a_thousand(web: FlaskWeb, connection: db.Connection) -> None:
    imported(connection, 1002)
    assert [len(listed(answer)) for answer in (get(web), get(web, limit=1000))] == [100, 1000]
    for limit in ("0", "1001", "-1", "x", "1_0"):
        assert get(web, limit=limit).status_code == 400


@pytest.mark.parametrize("columns", [None, "source, id", "lower(email)", "imported_at"])
def test_filters_find_the_same_with_every_index(columns: str | None, web: FlaskWeb, connection: db.Connection) -> None:
    old = put(connection, "Ann@Example.com", "bob@example.com", at="2026-01-31 23:59:59.999")
    new = put(connection, "ANN@EXAMPLE.COM", "joann@example.com", source="Büro & Co", at="2026-02-01")
    if columns:
        index(connection, columns)
    assert listed(get(web, source="Büro & Co")) == new[::-1]
    assert listed(get(web, source="crm", limit=1)) == old[1:]
    assert listed(get(web, source="nobody")) == []
    assert listed(get(web, email="ann@example.com")) == [new[0], old[0]]
    assert listed(get(web, email="aNN@example.com", source="crm")) == [old[0]]
    assert listed(get(web, importedAfter="2026-02-01")) == new[::-1]
    assert listed(get(web, importedBefore="2026-02-01")) == old[::-1]
    assert listed(get(web, importedBefore="2026-02-01", cursor=old[1])) == [old[0]]
    assert listed(get(web, importedAfter="2026-01-31", importedBefore="2026-02-02", source="crm")) == old[::-1]
    assert listed(get(web, importedAfter="2026-02-01T00:00:00.001Z")) == []


@pytest.mark.parametrize("has_index", [False, True])
def test_the_pages_of_a_source_and_of_several_are_whole(
    has_index: bool, web: FlaskWeb, connection: db.Connection
) -> None:
    mixed = [put(connection, f"{n}@example.com", source=("crm", "leads", "shop")[n % 3])[0] for n in range(12)][::-1]
    if has_index:
        index(connection, "source, id")
    own = [contact_id for number, contact_id in enumerate(mixed) if (11 - number) % 3 < 2]
    assert walked(web, get(web, key=CRM_KEY, limit=3), CRM_KEY) == [own[:3], own[3:6], own[6:]]
    shop = [contact_id for contact_id in mixed if contact_id not in own]
    assert walked(web, get(web, source="shop", limit=3)) == [shop[:3], shop[3:]]


def test_a_key_sees_the_contacts_of_its_sources_alone(web: FlaskWeb, connection: db.Connection) -> None:
    [own] = put(connection, "ann@example.com", source="leads")
    [other] = put(connection, "ann@example.com", source="shop")
    assert listed(get(web, key=CRM_KEY)) == [own]
    assert listed(get(web, key=CRM_KEY, email="ann@example.com")) == [own]
    assert listed(get(web, key=CRM_KEY, source="crm")) == []
    refused = get(web, key=CRM_KEY, source="shop")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    hidden = get(web, key=CRM_KEY, emailOf=other)
    assert (hidden.status_code, hidden.json()["code"]) == (404, "contact_not_found")


def test_the_contacts_of_a_job_are_its_range_of_ids(web: FlaskWeb, connection: db.Connection) -> None:
    imported(connection, 2)
    job_id = imported(connection, 3)
    imported(connection, 1)
    ids = connection.execute(
        "SELECT c.id::text FROM contacts c JOIN jobs j ON c.id BETWEEN j.first_contact_id AND j.last_contact_id "
        "WHERE j.id = %s ORDER BY c.id DESC",
        [job_id],
    ).fetchall()
    expected = [row["id"] for row in ids]
    assert walked(web, get(web, jobId=job_id, limit=2)) == [expected[:2], expected[2:]]
    assert listed(get(web, jobId=job_id, email="USER1@example.com")) == [expected[1]]
    assert listed(get(web, jobId=job_id, source="shop")) == []


@pytest.mark.parametrize("state", ["queued", "failed"])
def test_a_job_that_has_brought_nothing_has_no_contacts(state: str, web: FlaskWeb, connection: db.Connection) -> None:
    put(connection, "ann@example.com")
    job_id = uuid7()
    connection.execute(
        "INSERT INTO jobs (id, state, source, bytes_total, finished_at) "
        "VALUES (%s, %s, 'crm', 1, CASE WHEN %s = 'failed' THEN now() END)",
        [job_id, state, state],
    )
    assert listed(get(web, jobId=job_id)) == []


def test_a_revert_has_none_of_the_contacts_that_it_is_about(web: FlaskWeb, connection: db.Connection) -> None:
    job_id = imported(connection, 2)
    answer = web.post(f"/jobs/{job_id}/revert", headers=dict(bearer(ALL_KEY)))
    assert answer.status_code == 202
    assert listed(get(web, jobId=answer.json()["jobId"])) == []


def test_a_job_that_the_caller_may_not_see_is_none(web: FlaskWeb, connection: db.Connection) -> None:
    job_id = imported(connection, 1)
    for key, wanted in ((SHOP_KEY, job_id), (ALL_KEY, uuid7())):
        answer = get(web, key=key, jobId=wanted)
        assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
    assert len(listed(get(web, key=CRM_KEY, jobId=job_id))) == 1


def test_the_link_to_more_contacts_of_an_address_does_not_tell_it(web: FlaskWeb, connection: db.Connection) -> None:
    ids = put(connection, *["zzq+1@example.com", "ZZQ+1@example.com", "other@example.com"] * 3)
    expected = [contact_id for number, contact_id in enumerate(ids) if number % 3 < 2][::-1]
    first = get(web, email="Zzq+1@example.com", limit=4)
    assert "zzq" not in str(first.headers).lower()
    assert walked(web, first) == [expected[:4], expected[4:]]


def test_a_link_ends_with_the_contact_by_which_it_names_the_address(web: FlaskWeb, connection: db.Connection) -> None:
    put(connection, *["ann@example.com"] * 3)
    link = next_link(get(web, email="ann@example.com", limit=1))
    connection.execute("DELETE FROM contacts")
    answer = web.get(str(link), headers=dict(bearer(ALL_KEY)))
    assert (answer.status_code, answer.json()["code"]) == (404, "contact_not_found")


@pytest.mark.parametrize(
    "query",
    [
        *("?email=zzq", "?email=", "?jobId=1", "?cursor=x", "?importedAfter=yesterday", "?state=x", "?source=%00"),
        *("?email=zzq+1@example.com", "?email=a@example.com&email=b@example.com", "?email=%FF@example.com"),
        f"?email=a@example.com&emailOf={UUID(int=1)}",
    ],
)
def test_what_cannot_be_asked_for_is_refused_without_an_address(
    query: str, web: FlaskWeb, connection: db.Connection
) -> None:
    answer = get(web, query)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert "zzq" not in answer.text + str(answer.headers)


def test_percent_encoded_addresses_are_those_that_they_stand_for(web: FlaskWeb, connection: db.Connection) -> None:
    ids = put(connection, "a+b%25@example.com", '"a b&c"@example.com', "jörg@bücher.de")
    assert listed(get(web, "?email=A%2Bb%2525%40example.com")) == ids[:1]
    assert listed(get(web, "?email=%22a%20b%26c%22@example.com")) == ids[1:2]
    assert listed(get(web, "?email=J%C3%B6rg@B%C3%BCcher.de")) == ids[2:]


def test_a_search_that_takes_longer_than_a_request_says_what_helps(
    web: FlaskWeb, connection: db.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(connection, "ann@example.com")
    monkeypatch.setattr("dataflow.db.pool.REQUEST_SECONDS", 0.2)
    monkeypatch.setattr(contact_pages, "REQUEST_SECONDS", 0.2)
    connection.execute("ALTER TABLE contacts RENAME TO real_contacts")
    connection.execute("CREATE VIEW contacts AS SELECT c.* FROM real_contacts c, pg_sleep(5)")
    answer = get(web, email="ann@example.com")
    assert (answer.status_code, answer.json()["code"]) == (503, "search_too_slow")
    assert "longer than 0.2 s" in answer.json()["error"]
    assert "Retry-After" not in answer.headers


def test_ids_of_an_import_ascend_so_that_the_newest_rows_of_a_file_come_first(
    web: FlaskWeb, connection: db.Connection
) -> None:
    began = datetime.now(UTC)
    imported(connection, 3)
    contacts = get(web).json()["contacts"]
    assert [contact["email"] for contact in contacts] == [f"user{row}@example.com" for row in (2, 1, 0)]
    assert datetime.fromisoformat(contacts[0]["importedAt"]).replace(microsecond=0) >= began.replace(microsecond=0)
