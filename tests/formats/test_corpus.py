"""The files that people really have: what becomes of each in `tests/data` is what its table says, however it comes."""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from dataflow.config import Config
from dataflow.contacts import validation
from dataflow.errors import DataFlowError, NoContacts
from dataflow.formats import gzip as formats_gzip
from dataflow.formats.block import PIECE_BYTES
from dataflow.formats.registry import Findings, read_blocks, recognise
from dataflow.imports.options import Options, OptionsSchema
from tests.support.json_ways import careful_only
from tests.support.processes import Web

Case = dict[str, Any]
Rows = list[list[Any]]

DATA: Final = Path(__file__).resolve().parents[1] / "data"
CASES: Final[list[Case]] = [
    case for table in sorted(DATA.glob("*.json")) for case in json.loads(table.read_text(encoding="utf-8"))
]
MIB: Final = 1024 * 1024
MAX_ROW_BYTES, MAX_EXPANDED_BYTES = MIB, 8 * MIB
#: Too large to be kept beside the others.
MADE: Final[dict[str, Callable[[], bytes]]] = {
    "quirks/ten-megabyte-cell.csv": lambda: b"name,email\n" + b"x" * 10 * MIB + b",ann@example.com\n",
    "quirks/a-million-blank-rows.csv": lambda: (
        b"name,email\nAnn Lee,ann@example.com\n"
        + b"\n" * 500_000
        + b",\n" * 500_000
        + b"Bad,bad\nBob Ray,bob@example.org\n"
    ),
    "quirks/gzip-bomb.csv.gz": lambda: gzip.compress(
        b"name,email,note\n" + (b"Ann,ann@example.com," + b"x" * 60_000 + b"\n") * (2 * MAX_EXPANDED_BYTES // 60_000), 1
    ),
}


def name_of(case: Case) -> str:
    return " ".join([case["file"], *case.get("contentType", "").split(), *case.get("options", {})])


def content_of(case: Case) -> bytes:
    return MADE[case["file"]]() if case["file"] in MADE else (DATA / case["file"]).read_bytes()


def differences(
    case: Case,
    error: tuple[str, str] | None,
    format_name: str | None,
    detected: dict[str, Any],
    contacts: Rows,
    rejects: Rows,
) -> dict[str, tuple[Any, Any]]:
    """What was found, and what should have been, of all that a case says something about; `error` is code and text."""
    code, message = error or (None, "")
    pairs = {
        "error": (code, case.get("error")),
        "contacts": ([] if error else contacts, case.get("contacts", [])),
        "rejects": (rejects, case.get("rejects", [])),
    }
    if "format" in case:
        pairs["format"] = (format_name, case["format"])
    if "ignoredColumns" in case:
        pairs["ignoredColumns"] = (detected.get("ignoredColumns", []), case["ignoredColumns"])
    for name, value in case.get("detected", {}).items():
        pairs[name] = (detected.get(name), value)
    if case.get("says", "") not in message:
        pairs["says"] = (message, case["says"])
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def cut(content: bytes, size_bytes: int) -> Iterator[bytes]:
    return (content[start : start + size_bytes] for start in range(0, len(content), size_bytes))


def read(case: Case, piece_bytes: int) -> dict[str, tuple[Any, Any]]:
    """Read a file as a worker would, without a database; what is not as the table says."""
    options = Options.of(OptionsSchema().load(case.get("options", {})))
    content, findings = content_of(case), Findings()
    contacts: Rows = []
    rejects: Rows = []
    name, error = None, None
    try:
        head = content[:PIECE_BYTES]
        head = formats_gzip.beginning(head, PIECE_BYTES, is_whole=False) if formats_gzip.is_gzip(head) else head
        media_type = case.get("contentType", "")
        name = recognise(head, media_type, None if media_type else case["file"], options.encoding).name
        reading = options.reading(MAX_ROW_BYTES, MAX_EXPANDED_BYTES)
        for block in read_blocks(name, cut(content, piece_bytes), reading, findings):
            verdict = validation.judge(block)
            contacts += map(list, zip(verdict.names, verdict.emails, strict=True))
            for refusal in verdict.refusals:
                problem = refusal.problems[0]
                rejects.append([refusal.record + 1, block.origin.line(refusal.index), problem.field, problem.code])
    except DataFlowError as raised:
        error = raised.code, raised.message
    if not contacts and not error:
        # The importer's own verdict, in its own words.
        error = NoContacts.code, case.get("says", "")
    return differences(case, error, name, findings.as_json(), contacts, rejects)


@pytest.mark.unit
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_every_file_is_read_as_the_table_says_in_pieces_of_any_size(case: Case) -> None:
    sizes = (PIECE_BYTES,) if case["file"] in MADE else (PIECE_BYTES, 7, 1)
    found = {piece_bytes: different for piece_bytes in sizes if (different := read(case, piece_bytes))}
    assert found == {}


@pytest.mark.unit
@pytest.mark.parametrize("case", [case for case in CASES if case.get("format") in ("json", "ndjson")], ids=name_of)
def test_json_is_read_as_the_table_says_by_the_careful_way_alone(case: Case) -> None:
    with careful_only():
        assert read(case, PIECE_BYTES) == {}


@pytest.mark.unit
def test_every_file_of_the_corpus_has_a_case() -> None:
    files = {path.relative_to(DATA).as_posix() for folder in DATA.glob("*/") for path in folder.iterdir()}
    assert files | set(MADE) == {case["file"] for case in CASES}


@pytest.fixture
def config(make_config: Callable[..., Config]) -> Config:
    return make_config(MAX_ROW_BYTES=MAX_ROW_BYTES, MAX_EXPANDED_BYTES=MAX_EXPANDED_BYTES)


def test_every_file_is_imported_as_the_table_says(
    web: Web, work_off: Callable[[], int], stored_contacts: Callable[[], list[tuple[Any, ...]]]
) -> None:
    sources = {f"case {number}": case for number, case in enumerate(CASES)}
    with web.session() as client:
        answers = {source: send(client, web.url, source, case) for source, case in sources.items()}
        work_off()
        imported: dict[str, Rows] = {source: [] for source in sources}
        for name, email, source in stored_contacts():
            imported[source].append([name, email])
        found = {
            name_of(case): different
            for source, case in sources.items()
            if (different := compare(client, web.url, case, answers[source], imported[source]))
        }
    assert not found, "\n".join(f"{name}: {different}" for name, different in found.items())


def send(client: requests.Session, url: str, source: str, case: Case) -> requests.Response:
    options, content = case.get("options", {}), content_of(case)
    if "contentType" in case:
        headers = {"Content-Type": case["contentType"], "X-Source": source}
        return client.post(f"{url}/import", params=options, data=content, headers=headers)
    file = (Path(case["file"]).name, content)
    return client.post(f"{url}/import", files={"file": file}, data={"source": source, **options})


def compare(
    client: requests.Session, url: str, case: Case, answer: requests.Response, contacts: Rows
) -> dict[str, tuple[Any, Any]]:
    """What the API and the table of contacts tell of one import, where that is not as the table says."""
    refusal = answer.json()
    if answer.status_code != 200:
        found = differences(case, (refusal["code"], refusal["error"]), case.get("format"), {}, contacts, [])
        return found if case.get("refusedBy") == "door" else {**found, "refusedBy": ("door", case.get("refusedBy"))}
    job = client.get(f"{url}/jobs/{refusal['jobId']}").json()
    rejects = client.get(f"{url}/jobs/{refusal['jobId']}/rejects").json()["rejects"]
    code, _, message = (job["error"] or "").partition(": ")
    found = differences(
        case,
        (code, message) if code else None,
        job["format"],
        job["detected"],
        contacts,
        [[reject[name] for name in ("record", "line", "field", "code")] for reject in rejects],
    )
    counts = (job["rowsImported"], job["rowsRejected"], job["rowsRead"] - job["rowsNotImported"])
    if counts != (expected := (len(contacts), len(rejects), len(contacts) + len(rejects))):
        found["counts"] = (counts, expected)
    if (refused_by := "worker" if code else None) != case.get("refusedBy"):
        found["refusedBy"] = (refused_by, case.get("refusedBy"))
    return found
