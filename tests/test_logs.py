"""Log lines: a constant message and its facts, for machines and for people."""

import json
import logging
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from gunicorn.http import errors

from dataflow import logs

pytestmark = pytest.mark.unit

JOB_ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
EMIT = """
import logging, sys, warnings
from dataflow import logs
logs.configure(sys.argv[1])
logging.getLogger("dataflow.test").info("job queued", extra={"job_id": "j1", "rows": 3})
logging.getLogger("dataflow.test").debug("not shown")
warnings.warn("careful")
"""


def record(
    message: str = "job queued", level: int = logging.INFO, exc_info: object = None, **facts: object
) -> logging.LogRecord:
    return logging.getLogger("dataflow.test").makeRecord(
        "dataflow.test",
        level,
        __file__,
        1,
        message,
        (),
        exc_info,
        extra=facts,  # type: ignore[arg-type]
    )


def as_json(given: logging.LogRecord) -> dict[str, object]:
    line = logs.formatter("json").format(given)
    assert "\n" not in line
    found: dict[str, object] = json.loads(line)
    return found


def failure() -> object:
    try:
        raise ValueError("broken\nin two lines")
    except ValueError:
        return sys.exc_info()


def test_a_json_line_has_time_level_logger_message_and_facts():
    before = datetime.now(UTC)
    line = as_json(record(job_id=JOB_ID, rows=5, seconds=0.25, path=Path("/x")))
    assert list(line) == ["time", "level", "logger", "message", "job_id", "rows", "seconds", "path"]
    time = datetime.fromisoformat(str(line.pop("time")))
    assert time.tzinfo is not None
    assert abs((time - before).total_seconds()) < 5
    assert line == {
        "level": "INFO",
        "logger": "dataflow.test",
        "message": "job queued",
        "job_id": str(JOB_ID),
        "rows": 5,
        "seconds": 0.25,
        "path": "/x",
    }


def test_facts_that_are_none_are_left_out():
    assert "error" not in as_json(record(error=None, rows=0))
    assert as_json(record(error=None, rows=0))["rows"] == 0


def test_text_of_any_kind_stays_on_its_line_and_comes_back():
    text = 'a "quoted"\nline\twith é \U0001f600 \u2028'
    assert as_json(record(text, file_name=text))["file_name"] == text
    assert as_json(record(text))["message"] == text


def test_arguments_are_part_of_the_message():
    given = logging.LogRecord("other", logging.WARNING, __file__, 1, "%s of %d", ("one", 2), None)
    assert as_json(given)["message"] == "one of 2"


def test_a_traceback_comes_with_an_error():
    line = as_json(record("job failed", logging.ERROR, failure(), job_id="j1"))
    assert line["level"] == "ERROR"
    assert str(line["traceback"]).startswith("Traceback (most recent call last)")
    assert str(line["traceback"]).endswith("ValueError: broken\nin two lines")
    assert "traceback" not in as_json(record())


def test_the_request_id_of_the_running_request_is_added():
    assert "request_id" not in as_json(record())
    token = logs.request_id.set("req-1")
    try:
        assert as_json(record())["request_id"] == "req-1"
        assert as_json(record(request_id="of the job"))["request_id"] == "of the job"
        assert "request_id=req-1" in logs.formatter("text").format(record())
    finally:
        logs.request_id.reset(token)


QUOTING = [
    *(errors.InvalidRequestLine, errors.InvalidRequestMethod, errors.InvalidHTTPVersion, errors.InvalidHeader),
    *(errors.InvalidHeaderName, errors.ObsoleteFolding, errors.UnsupportedTransferCoding, errors.ExpectationFailed),
    *(errors.InvalidChunkSize, errors.ChunkMissingTerminator, errors.InvalidProxyLine, errors.InvalidH2CPreface),
]


@pytest.mark.parametrize("error", QUOTING)
@pytest.mark.parametrize("row", ["Ann,ann@example.com", 'Ann O\'Hara "x"', b"Ann,ann@example.com", b"Ann's"])
def test_what_gunicorn_quotes_of_a_request_that_it_refuses_is_cut(error: Callable[[Any], Exception], row: object):
    given = record(f"Invalid request from ip=::1: {error(row)}")
    assert logs.Unquoted().filter(given)
    assert re.fullmatch(r"Invalid request from ip=::1: [A-Z][A-Za-z/2, ]+", given.getMessage())
    assert "Ann" not in given.getMessage()


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("Error handling request %s %s", ("GET", "/jobs?token=x~y.z")),
        ("Error handling request %s", ("/jobs?token=x~y.z",)),
    ],
)
def test_the_address_of_a_request_that_breaks_is_not_quoted(message: str, arguments: tuple[str, ...]):
    given = record(message, logging.ERROR, failure())
    given.args = arguments
    assert logs.Unquoted().filter(given)
    assert given.getMessage() == "Error handling request"
    assert "broken" in str(as_json(given)["traceback"])


def test_what_gunicorn_says_without_a_quote_stays_whole():
    for text in ("Invalid request from ip=::1: Request Line is too large (9 > 8)", "Worker 'a' was sent SIGTERM!"):
        given = record(text)
        assert logs.Unquoted().filter(given)
        assert given.getMessage() == text


def test_a_text_line_has_time_level_message_and_facts():
    line = logs.formatter("text").format(record(job_id=JOB_ID, rows=5, error=None))
    time, rest = line.split(" ", 1)
    datetime.strptime(time, "%H:%M:%S.%f")
    assert rest == f"INFO    job queued job_id={JOB_ID} rows=5"


def test_a_traceback_follows_its_text_line():
    first, second, *_, last = logs.formatter("text").format(record("job failed", logging.ERROR, failure())).splitlines()
    assert first.endswith("ERROR   job failed")
    assert second == "Traceback (most recent call last):"
    assert last == "in two lines"


def emitted(log_format: str, stderr: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", EMIT, log_format],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        timeout=30,
        check=True,
    )


@pytest.mark.parametrize("log_format", ["", "json"])
def test_without_a_terminal_lines_are_json_on_standard_error(log_format: str):
    done = emitted(log_format, subprocess.PIPE)
    first, second = map(json.loads, done.stderr.splitlines())
    assert (first["message"], first["job_id"], first["rows"]) == ("job queued", "j1", 3)
    assert (second["level"], second["logger"]) == ("WARNING", "py.warnings")
    assert "careful" in second["message"]
    assert done.stdout == ""


def test_text_can_be_asked_for():
    assert "INFO    job queued job_id=j1 rows=3\n" in emitted("text", subprocess.PIPE).stderr


def test_on_a_terminal_lines_are_text():
    ours, theirs = pty.openpty()
    try:
        emitted("", theirs)
        assert b"INFO    job queued job_id=j1 rows=3\r\n" in os.read(ours, 10_000)
    finally:
        os.close(ours)
        os.close(theirs)
