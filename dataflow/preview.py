"""What a body would become: how it would be read, and the verdicts on its first rows, from the first MiB alone.

Nothing is written anywhere. The rest of a larger body is never asked for, so that the answer does not wait for it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from dataflow import verdicts
from dataflow.arrival import Arrival
from dataflow.config import Config
from dataflow.errors import MalformedInput, NoContacts
from dataflow.formats import PIECE_BYTES, Block, Findings, Reading, compression, read_blocks, recognise
from dataflow.receipt import HEAD_BYTES
from dataflow.rejects import MAX_VALUE_CHARACTERS
from dataflow.storable import storable

#: How much is looked at, of what is received and of what it expands to.
MAX_BYTES: Final = 1024 * 1024
MAX_ROWS: Final = 20
#: All texts of a workbook are read before its first row. A MiB that expands further is made to.
MAX_WORKBOOK_BYTES: Final = 64 * 1024 * 1024


def look_at(arrival: Arrival, config: Config) -> dict[str, Any]:
    """What is found out about the beginning of a body, in camelCase; see README.

    :raises RequestError: when the client goes away, stalls, or sends what cannot be served.
    :raises UnsupportedMediaType, InputError: when importing it would be refused for what stands in its beginning.
    """
    head, is_complete = _begin(arrival)
    findings = Findings()
    if compression.is_gzip(head):
        findings.facts["compression"] = "gzip"
        expanded = compression.inflated(_cut(head), config.max_expanded_bytes, is_beginning=not is_complete)
        head, is_complete = _first(expanded, is_complete)
    elif arrival.is_gzip:
        raise MalformedInput("Content-Encoding is gzip, but the content is not compressed.")
    options = arrival.options()
    name = "json"
    if not arrival.is_json_body:
        name = recognise(head[:HEAD_BYTES], arrival.media_type, arrival.file_name, options.encoding).name
    reading = options.reading(config.max_row_bytes, min(config.max_expanded_bytes, MAX_WORKBOOK_BYTES))
    rows = _rows(name, head, replace(reading, is_beginning=not is_complete), findings)
    if is_complete and not rows:
        raise NoContacts("There is not one contact in the file: it has no rows.")
    found = {**findings.as_json(), "ignoredColumns": findings.ignored_columns}
    return {"format": name, **found, "isComplete": is_complete, "rows": rows}


def _begin(arrival: Arrival) -> tuple[bytes, bool]:
    """The beginning of what is received, and whether that is all."""
    pieces, received, taken = arrival.pieces, 0, []
    for piece in pieces:
        received += len(piece)
        taken.append(piece)
        # The end may be long in coming; that nothing is left is known where the size was declared.
        if received >= MAX_BYTES and received != arrival.size_bytes:
            return b"".join(taken)[:MAX_BYTES], False
    if not received:
        raise NoContacts("The body is empty: there is nothing to import.")
    return _first(taken, is_complete=True)


def _first(pieces: Iterable[bytes], is_complete: bool) -> tuple[bytes, bool]:
    """The first MAX_BYTES of a content, and whether that is all."""
    taken = bytearray()
    for piece in pieces:
        taken += piece
        if len(taken) > MAX_BYTES:
            return bytes(taken[:MAX_BYTES]), False
    return bytes(taken), is_complete


def _cut(content: bytes) -> Iterator[bytes]:
    return (content[start : start + PIECE_BYTES] for start in range(0, len(content), PIECE_BYTES))


def _rows(format_name: str, content: bytes, reading: Reading, findings: Findings) -> list[dict[str, Any]]:
    """The first rows with their verdicts, in the order of the file."""
    blocks = read_blocks(format_name, _cut(content), reading, findings)
    return list(islice((row for block in blocks for row in _judged(block)), MAX_ROWS))


def _judged(block: Block) -> Iterator[dict[str, Any]]:
    names, emails = block.names[:MAX_ROWS], block.emails[:MAX_ROWS]
    verdict = verdicts.judge(replace(block, names=names, emails=emails))
    refusals = {refusal.index: refusal for refusal in verdict.refusals}
    good = zip(verdict.names, verdict.emails, strict=True)
    for index in range(len(names)):
        refusal = refusals.get(index)
        name, email = (names[index], emails[index]) if refusal else next(good)
        problems = refusal.problems if refusal else ()
        yield {
            "record": block.first_record + index + 1,
            "line": block.origin.line(index),
            "name": _shown(name),
            "email": _shown(email),
            "problems": [{"field": each.field, "code": each.code, "message": each.message} for each in problems],
        }


def _shown(value: object) -> str | None:
    return storable(value[:MAX_VALUE_CHARACTERS]) if isinstance(value, str) else None
