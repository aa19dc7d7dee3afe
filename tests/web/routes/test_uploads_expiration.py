"""`/uploads`: the extension expiration of tus 1.0.0, a test for each MUST, and the end of what has expired."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
import requests

from dataflow import db
from dataflow.config import Config
from dataflow.queue import retention
from dataflow.storage.base import Storage
from dataflow.worker.sweeper import Sweep
from tests.doubles.storage.process import StorageDouble
from tests.support.flask_web import FlaskWeb
from tests.support.tus import Tus, id_of

RUNS_OVER = ("local", "supabase")
THROUGH_FLASK = True
CSV = b"name,email\nAnn,ann@example.com\nBob,bob@example.com\n"
#: RFC 7231 section 7.1.1.1.
HTTP_DATE = r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3]\d [A-Z][a-z]{2} \d{4} [0-2]\d:[0-5]\d:[0-6]\d GMT"
EXPIRE = "UPDATE jobs SET expires_at = clock_timestamp() - INTERVAL '1 second'"
#: As if nothing had been heard of it for an hour.
SILENCE = "UPDATE jobs SET heartbeat_at = heartbeat_at - INTERVAL '1 hour'"


@pytest.fixture
def sweep(config: Config, storage: Storage, connection: db.Connection) -> Callable[[], None]:
    """A round in which what it ends is an hour old already, and a server that has been up for long."""

    def run() -> None:
        connection.execute(SILENCE)
        retention.abandon_uploads(connection, 0.001)
        connection.execute("UPDATE jobs SET finished_at = finished_at - INTERVAL '1 hour'")
        Sweep(config, storage, "test/sweep").sweep()

    return run


def hours_left(answer: requests.Response) -> float:
    return (parsedate_to_datetime(answer.headers["Upload-Expires"]) - datetime.now(UTC)) / timedelta(hours=1)


@pytest.mark.one_storage
def test_expiration_must_be_among_the_extensions(tus: Tus) -> None:
    assert "expiration" in tus.ask("OPTIONS", "/uploads").headers["Tus-Extension"].split(",")


def test_upload_expires_must_be_in_the_response_to_the_creation(tus: Tus) -> None:
    assert 23.9 < hours_left(tus.create(len(CSV))) <= 24
    assert 23.9 < hours_left(tus.create(len(CSV), CSV[:20])) <= 24


def test_upload_expires_must_be_in_the_response_to_every_patch_of_what_is_going_to_expire(tus: Tus) -> None:
    created = tus.create(len(CSV))
    path = created.headers["Location"]
    for offset in range(3):
        answer = tus.patch(path, offset, CSV[offset : offset + 1])
        assert (answer.status_code, 23.9 < hours_left(answer) <= 24) == (204, True)


def test_upload_expires_must_have_the_form_of_an_http_date(tus: Tus) -> None:
    created = tus.create(len(CSV))
    path = created.headers["Location"]
    for answer in (created, tus.head(path), tus.patch(path, 0, CSV[:1])):
        assert re.fullmatch(HTTP_DATE, answer.headers["Upload-Expires"])


def test_head_and_get_say_it_as_long_as_the_upload_is_open(tus: Tus) -> None:
    path = tus.begin(len(CSV))
    assert 23.9 < hours_left(tus.head(path)) <= 24
    assert datetime.fromisoformat(tus.show(path)["expiresAt"]) > datetime.now(UTC) + timedelta(hours=23)
    tus.patch(path, 0, CSV)
    assert "Upload-Expires" not in tus.head(path).headers
    assert tus.show(path)["expiresAt"] is None


@pytest.mark.one_storage
def test_a_setting_says_how_many_hours(database: str, state_folder: Path, storage_variables: dict[str, str]) -> None:
    places = {"DATABASE_URL": database, "DATA_DIR": state_folder, **storage_variables}
    hasty = FlaskWeb({**places, "UPLOAD_EXPIRES_HOURS": 1})
    assert 0.9 < hours_left(Tus(hasty).create(len(CSV))) <= 1
    hasty.stop()


def test_what_has_expired_is_gone(tus: Tus, connection: db.Connection) -> None:
    path = tus.begin(len(CSV), CSV[:20])
    connection.execute(EXPIRE)
    answers = [tus.head(path), tus.patch(path, 20, CSV[20:]), tus.delete(path)]
    assert [answer.status_code for answer in answers] == [410] * 3
    assert not any("Upload-Offset" in answer.headers for answer in answers)
    assert answers[1].json()["status"] == 410


def test_the_sweep_spares_an_open_upload_however_long_it_is_silent(
    tus: Tus, connection: db.Connection, sweep: Callable[[], None]
) -> None:
    path = tus.begin(len(CSV), CSV[:20])
    sweep()
    assert (tus.offset(path), tus.service.job(id_of(path))["state"]) == (20, "uploading")
    assert tus.patch(path, 20, CSV[20:]).status_code == 204


def test_the_sweep_removes_what_has_expired_with_all_its_bytes(
    tus: Tus, connection: db.Connection, sweep: Callable[[], None], stored_files: Callable[[], list[Path]]
) -> None:
    path = tus.begin(len(CSV), CSV[:20])
    connection.execute(EXPIRE)
    sweep()
    assert tus.service.job(id_of(path))["state"] == "failed"
    assert stored_files() == []
    assert tus.head(path).status_code == 410


def test_what_is_complete_does_not_expire(tus: Tus, connection: db.Connection, sweep: Callable[[], None]) -> None:
    path = tus.send(CSV)
    connection.execute(
        "UPDATE jobs SET expires_at = clock_timestamp() - INTERVAL '1 second' WHERE expires_at IS NOT NULL"
    )
    sweep()
    assert (tus.head(path).status_code, tus.service.job(id_of(path))["state"]) == (200, "queued")


@pytest.fixture
def short_lived(storage_kind: str, database: str, tmp_path: Path) -> Iterator[Tus]:
    """Over a storage whose uploads live for ten minutes, and not longer by being used."""
    with StorageDouble.start(tmp_path / "double", s3=True, expiry_seconds=600) as double:
        double.make_bucket("imports")
        key = {"SUPABASE_URL": double.project_url, "SUPABASE_SERVICE_ROLE_KEY": double.key()}
        web = FlaskWeb({"DATABASE_URL": database, "DATA_DIR": tmp_path / "state", **key})
        yield Tus(web)
        web.stop()


@pytest.mark.one_storage
def test_the_storages_own_expiry_counts_where_it_is_earlier(short_lived: Tus) -> None:
    created = short_lived.create(len(CSV))
    assert 0.1 < hours_left(created) <= 1 / 6
    path = created.headers["Location"]
    patched = short_lived.patch(path, 0, CSV[:20])
    assert 0.1 < hours_left(patched) <= 1 / 6
    assert patched.headers["Upload-Expires"] == created.headers["Upload-Expires"]
