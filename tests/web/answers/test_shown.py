"""Answers are written by their schemas: as marshmallow would, and no member more."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from uuid import UUID

import pytest

from dataflow import db
from dataflow.imports.erasure import Erased
from dataflow.queue import jobs
from dataflow.queue.scope import ALL
from dataflow.web.answers.jobs import JobSchema
from dataflow.web.answers.others import ContactShownSchema, ErasedSchema
from tests.support.processes import Web

LINKS = {"self": "/jobs/1", "rejects": "/jobs/1/rejects", "events": "/jobs/1/events"}
CONTACT = {"id": UUID(int=1), "name": "Ann", "email": "ann@example.com", "source": "crm"}


@pytest.mark.unit
def test_ids_and_times_are_text_and_what_is_not_there_is_left_out() -> None:
    moment = datetime(2026, 11, 30, 9, 0, 0, 1500, tzinfo=UTC)
    shown = ContactShownSchema().of({**CONTACT, "imported_at": moment, "unknown": 1})
    assert shown == {**CONTACT, "id": str(UUID(int=1)), "importedAt": "2026-11-30T09:00:00.001Z"}
    assert ContactShownSchema().of({**CONTACT, "imported_at": None})["importedAt"] is None
    assert "importedAt" not in ContactShownSchema().of(CONTACT)
    erased = ErasedSchema().of(asdict(Erased(files_left=[UUID(int=2)])))
    assert erased["filesLeft"] == [str(UUID(int=2))]


def test_a_job_is_written_as_marshmallow_would_and_with_all_that_the_statements_give(
    web: Web, connection: db.Connection, work_off: Callable[[], int]
) -> None:
    sent = web.post(json={"source": "crm", "data": [{"name": "Ann", "email": "ann"}], "onInvalid": "skip"})
    assert work_off() == 1
    row = jobs.get(connection, UUID(sent.json()["jobId"]), ALL)
    [listed] = jobs.page(connection, ALL, {"kind": None, "state": None, "source": None, "cursor": None, "limit": 10})
    schema = JobSchema()
    assert row.keys() == schema.fields.keys() - {"links"}
    assert listed.keys() == row.keys() - {"issues"}
    for each in (row, listed):
        shown = schema.of({**each, "links": LINKS})
        assert shown == schema.dump({**each, "links": LINKS})
        assert schema.validate(shown) == {}
