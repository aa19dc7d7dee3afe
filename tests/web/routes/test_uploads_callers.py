"""`/uploads` for those who send a request again, and for holders of tokens."""

from typing import Any

import pytest

from dataflow import db
from tests.support.holders import ALL_KEY, CLOSED, bearer
from tests.support.tus import Tus, id_of

WEB_VARIABLES = CLOSED
THROUGH_FLASK = True
CSV = b"name,email\nAnn,ann@example.com\n"
KEY = {"Idempotency-Key": '"first"', **bearer(ALL_KEY)}


def uploads(connection: db.Connection) -> int:
    [row] = connection.execute("SELECT count(*) AS uploads FROM jobs").fetchall()
    return int(row["uploads"])


def test_a_creation_that_is_sent_again_leads_to_the_same_upload(tus: Tus, connection: db.Connection) -> None:
    first = tus.create(len(CSV), headers=KEY)
    path = first.headers["Location"]
    assert tus.patch(path, 0, CSV[:10], bearer(ALL_KEY)).status_code == 204
    again = tus.create(len(CSV), headers=KEY)
    assert (again.status_code, again.headers["Location"], again.headers["Upload-Offset"]) == (201, path, "10")
    assert uploads(connection) == 1


def test_a_creation_with_upload_that_is_sent_again_stores_its_bytes_once(tus: Tus, connection: db.Connection) -> None:
    path = tus.create(len(CSV), CSV, KEY).headers["Location"]
    again = tus.create(len(CSV), CSV, KEY)
    assert (again.status_code, again.headers["Location"], again.headers["Upload-Offset"]) == (201, path, str(len(CSV)))
    assert uploads(connection) == 1


@pytest.mark.parametrize("change", [{"length": 9}, {"filename": "other.csv"}, {"source": "shop"}])
def test_another_creation_under_the_same_key_is_refused(
    change: dict[str, Any], tus: Tus, connection: db.Connection
) -> None:
    tus.create(len(CSV), headers=KEY)
    answer = tus.create(**{"length": len(CSV), "headers": KEY, **change})
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert uploads(connection) == 1


def test_an_upload_that_was_ended_frees_its_key(tus: Tus) -> None:
    path = tus.create(len(CSV), headers=KEY).headers["Location"]
    assert tus.delete(path, bearer(ALL_KEY)).status_code == 204
    assert tus.create(len(CSV), headers=KEY).headers["Location"] != path


def test_a_refused_creation_frees_its_key(tus: Tus, connection: db.Connection) -> None:
    assert tus.create(len(CSV), b"\x89PNG\r\n\x1a\n" + CSV[8:], KEY).status_code == 415
    assert uploads(connection) == 0
    assert tus.create(len(CSV), CSV, KEY).status_code == 201


def test_the_same_content_again_names_the_job_before(tus: Tus) -> None:
    first, again = (id_of(tus.create(len(CSV), CSV, bearer(ALL_KEY)).headers["Location"]) for _ in "12")
    found = tus.service.get(f"/jobs/{again}", headers=bearer(ALL_KEY)).json()
    assert found["duplicateOf"] == first


def token_of(tus: Tus, **wishes: Any) -> dict[str, str]:
    answer = tus.service.post("/tokens", json={"source": "crm", **wishes}, headers=bearer(ALL_KEY))
    assert answer.status_code == 201, answer.text
    return bearer(answer.json()["token"])


def test_a_token_has_its_options_and_says_who_has_sent_the_upload(tus: Tus) -> None:
    token = token_of(tus, options={"onConflict": "skip"})
    answer = tus.create(len(CSV), CSV, token, source="")
    assert answer.status_code == 201, answer.text
    job = tus.service.get(f"/jobs/{id_of(answer.headers['Location'])}", headers=token).json()
    assert (job["source"], job["options"]["onConflict"]) == ("crm", "skip")
    assert "#" in job["createdBy"]


@pytest.mark.parametrize("fields", [{"source": "shop"}, {"onConflict": "update"}, {"dryRun": "true"}])
def test_a_token_is_for_no_other_source_and_no_other_options(
    fields: dict[str, str], tus: Tus, connection: db.Connection
) -> None:
    answer = tus.create(len(CSV), CSV, token_of(tus, options={"onConflict": "skip"}), **fields)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert uploads(connection) == 0


def test_a_token_limits_what_an_upload_may_have(tus: Tus) -> None:
    token = token_of(tus, maxBytes=20)
    refused = tus.create(21, headers=token)
    assert (refused.status_code, "maxBytes" in refused.json()["error"]) == (413, True)
    assert tus.service.request("OPTIONS", "/uploads", headers=token).status_code == 204
    path = tus.create(None, headers=token).headers["Location"]
    assert tus.patch(path, 0, CSV[:20], token).status_code == 204
    assert tus.patch(path, 20, b"x", token).status_code == 413
    assert tus.head(path, token).headers["Upload-Offset"] == "20"
