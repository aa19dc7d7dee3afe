"""`PATCH` and `GET /uploads/{id}` where the protocol leaves it open: lengths, ends, what is shown, lost bytes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dataflow import db
from dataflow.storage.base import Storage
from tests.support.tus import Tus, id_of

RUNS_OVER = ("local", "supabase")
THROUGH_FLASK = True
MIB = 1 << 20
CSV = b"name,email\nAnn,ann@example.com\nBob,bob@example.com\n"
ROWS = [("Ann", "ann@example.com", "crm"), ("Bob", "bob@example.com", "crm")]
LONG_ROW = b"Ann,ann@example.com," + b"x" * 4000 + b"\n"
#: More than two chunks, of few rows.
LARGE = b"name,email,note\n" + LONG_ROW * (14 * MIB // len(LONG_ROW))

StoredContacts = Callable[[], list[tuple[Any, ...]]]


@pytest.mark.parametrize("offset", [0, 20])
def test_more_bytes_than_the_length_leaves_are_refused(offset: int, tus: Tus) -> None:
    path = tus.begin(len(CSV))
    tus.patch(path, 0, CSV[:offset])
    answer = tus.patch(path, offset, CSV[offset:] + b"x")
    assert (answer.status_code, answer.json()["status"]) == (413, 413)
    assert tus.offset(path) == offset
    assert tus.patch(path, offset, CSV[offset:]).status_code == 204


def test_the_last_byte_queues_the_job_and_says_where_it_is(tus: Tus) -> None:
    path = tus.begin(len(CSV))
    tus.patch(path, 0, CSV[:-1])
    assert tus.service.job(id_of(path))["state"] == "uploading"
    last = tus.patch(path, len(CSV) - 1, CSV[-1:])
    assert last.headers["Link"] == f'</jobs/{id_of(path)}>; rel="related"'
    assert tus.service.job(id_of(path))["state"] == "queued"


def test_an_empty_patch_changes_nothing(tus: Tus) -> None:
    path = tus.begin(len(CSV))
    for offset in (0, 20):
        tus.patch(path, 0, CSV[:offset])
        answer = tus.patch(path, offset, b"")
        assert (answer.status_code, answer.headers["Upload-Offset"], tus.offset(path)) == (204, str(offset), offset)


def test_a_client_that_has_lost_the_last_answer_may_ask_again(tus: Tus, connection: db.Connection) -> None:
    path = tus.send(CSV)
    answer = tus.patch(path, len(CSV), b"")
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(len(CSV)))
    assert tus.patch(path, 20, CSV[20:]).status_code == 409
    assert connection.execute("SELECT state FROM jobs").fetchall() == [{"state": "queued"}]


def test_what_get_shows_comes_from_the_row(tus: Tus, work_off: Callable[[], int]) -> None:
    path = tus.begin(len(CSV))
    shown = tus.show(path)
    links = {"self": path, "job": f"/jobs/{id_of(path)}"}
    assert {**shown, "expiresAt": None} == {
        "jobId": id_of(path),
        **{"state": "uploading", "offset": 0, "length": len(CSV), "expiresAt": None, "links": links},
    }
    tus.patch(path, 0, CSV[:20])
    assert tus.show(path)["offset"] == 20
    tus.patch(path, 20, CSV[20:])
    assert (tus.show(path)["state"], tus.show(path)["offset"]) == ("queued", len(CSV))
    assert work_off() == 0
    assert tus.show(path)["state"] == "succeeded"
    assert tus.show(f"/v1{path}")["links"] == {"self": f"/v1{path}", "job": f"/v1{links['job']}"}


def test_get_shows_no_length_that_is_not_known(tus: Tus) -> None:
    assert tus.show(tus.begin())["length"] is None


@pytest.mark.parametrize("sizes", [(), (1,), (6 * MIB,), (6 * MIB - 1, 2), (5 * MIB, 5 * MIB), (13 * MIB,)], ids=str)
def test_pieces_that_are_no_chunks_become_the_whole(
    sizes: tuple[int, ...], tus: Tus, work_off: Callable[[], int], connection: db.Connection
) -> None:
    path = tus.send(LARGE, *sizes)
    assert work_off() == 0
    job = tus.service.job(id_of(path))
    assert (job["state"], job["bytesTotal"], job["error"]) == ("succeeded", len(LARGE), None)
    [row] = connection.execute("SELECT count(*) AS contacts FROM contacts").fetchall()
    assert row["contacts"] == LARGE.count(b"\n") - 1


def test_what_the_storage_has_lost_is_asked_for_again(
    tus: Tus,
    lose_tail: Callable[[int], None],
    work_off: Callable[[], int],
    stored_contacts: StoredContacts,
) -> None:
    """The storage is the one truth: it may have fewer bytes than it has acknowledged (contract section 0.3)."""
    path = tus.begin(len(CSV))
    tus.patch(path, 0, CSV[:11])
    tus.patch(path, 11, CSV[11:40])
    lose_tail(15)
    assert tus.offset(path) == 25
    assert tus.patch(path, 40, CSV[40:]).status_code == 409
    assert tus.patch(path, 25, CSV[25:]).headers["Upload-Offset"] == str(len(CSV))
    assert work_off() == 0
    assert tus.service.job(id_of(path))["error"] is None
    assert stored_contacts() == ROWS


@pytest.mark.parametrize("ask", ["head", "patch"])
def test_an_upload_that_the_storage_has_lost_is_gone(ask: str, tus: Tus, lose_upload: Callable[[], None]) -> None:
    path = tus.begin(len(CSV), CSV[:20])
    lose_upload()
    answer = tus.head(path) if ask == "head" else tus.patch(path, 20, CSV[20:])
    assert answer.status_code == 410
    assert tus.head(path).status_code == 410


@pytest.fixture
def lose_tail(storage_kind: str, stored_files: Callable[[], list[Path]]) -> Callable[[int], None]:
    """Takes so many of the last bytes away that the storage has."""

    def lose(count: int) -> None:
        [file] = stored_files()
        with file.open("r+b") as opened:
            opened.truncate(file.stat().st_size - count)

    return lose


@pytest.fixture
def lose_upload(storage: Storage, connection: db.Connection) -> Callable[[], None]:
    """Has the storage forget an upload that is open."""

    def lose() -> None:
        [row] = connection.execute("SELECT object_key, upload_url FROM jobs").fetchall()
        storage.discard(row["object_key"], row["upload_url"])

    return lose
