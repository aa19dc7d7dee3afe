"""How a body would be read, and the verdicts on its first rows, from its first MiB alone.

The rest of a larger body is not asked for, so that the answer does not wait for it. Only a form is read further, for
the fields behind its file.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from threading import BoundedSemaphore
from typing import Any, Final

from dataflow import allocator
from dataflow.config import Config
from dataflow.contacts import validation
from dataflow.errors import AmbiguousColumns, ExpandsTooFar, MissingColumns, NoContacts
from dataflow.formats import gzip
from dataflow.formats.block import Block, cut, peeked
from dataflow.formats.decoder import Decoder
from dataflow.formats.detect import LOOK_BYTES
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.registry import read_blocks, recognise
from dataflow.imports.json_check import JsonCheck
from dataflow.imports.rejects import MAX_VALUE_CHARACTERS
from dataflow.imports.upload import Upload, watched
from dataflow.text import storable

#: How much is looked at of a body, and of what it expands to.
MAX_BYTES: Final = 1024 * 1024
MAX_ROWS: Final = 20
#: Of the rows and of the texts of a workbook: a few KB for twenty rows, a second for a file that is made to be slow.
MAX_WORKBOOK_BYTES: Final = 4 * 1024 * 1024
#: Of a form's file, for the fields behind it: curl and browsers send them in the order in which they are given.
MAX_FORM_BYTES: Final = 32 * 1024 * 1024
#: One or two contents at a time: more only compute by turns, and each may take 20 MiB meanwhile.
_LOOKING: Final = BoundedSemaphore(2)

_FIELDS_FIRST: Final = (
    f"Fields of the form behind the first {MAX_FORM_BYTES // 1024**2} MiB of its file were not looked at: "
    "send them before the file."
)


def look_at(upload: Upload, config: Config) -> dict[str, Any]:
    """What is found out about the beginning of a body, in camelCase.

    :raises RequestError: when the client goes away, stalls, or sends what cannot be served.
    :raises UnsupportedMediaType, InputError: when its import would be refused for its beginning.
    """
    head, is_complete, has_all_fields = _begin(upload)
    with _LOOKING:
        try:
            return _found_in(head, is_complete, has_all_fields, upload, config)
        finally:
            allocator.give_back()


def _found_in(head: bytes, is_complete: bool, has_all_fields: bool, upload: Upload, config: Config) -> dict[str, Any]:
    findings = Findings()
    if upload.is_compressed(head):
        findings.facts["compression"] = "gzip"
        expanded = gzip.inflated(cut(head), config.max_expanded_bytes, is_beginning=not is_complete)
        head, _ = peeked(expanded, MAX_BYTES + 1)
        head, is_complete = head[:MAX_BYTES], is_complete and len(head) <= MAX_BYTES
    options = upload.options()
    name = "json"
    if not upload.is_json_body:
        beginning = head[:LOOK_BYTES]
        name = recognise(beginning, upload.media_type, upload.file_name, options.encoding, options.charset).name
    reading = options.reading(config.max_row_bytes, min(config.max_expanded_bytes, MAX_WORKBOOK_BYTES))
    if upload.is_json_body and is_complete:
        _check_members(upload, head, reading)
    try:
        rows = _rows(name, watched(cut(head), upload.check), replace(reading, is_beginning=not is_complete), findings)
    except (MissingColumns, AmbiguousColumns) as error:
        if has_all_fields:
            raise
        raise type(error)(f"{error.message} {_FIELDS_FIRST}", error.issues, error.issue_count) from error
    if is_complete and not rows:
        raise NoContacts(f"There is not one contact in the file: it has no rows.{findings.elsewhere}")
    found = {**findings.as_json(), "ignoredColumns": findings.ignored_columns}
    return {"format": name, **found, "isComplete": is_complete, "rows": rows}


def _check_members(upload: Upload, content: bytes, reading: Reading) -> None:
    """Refuse wrong members of the request object as an import does; the verdicts on its rows are shown."""
    check = JsonCheck(reading, {"source": "preview", **upload.given, "onInvalid": "skip"})
    for piece in Decoder("json", reading, Findings()).decoded(watched(cut(content), upload.check)):
        check.feed(piece)
    upload.check_options(check.members())
    check.close()


def _begin(upload: Upload) -> tuple[bytes, bool, bool]:
    """The beginning of a body, whether that is all, and whether all fields of a form are here."""
    size_bytes, head = 0, bytearray()
    for piece in upload.pieces:
        size_bytes += len(piece)
        head += piece[: MAX_BYTES - len(head)]
        # The end may be long in coming. Where the size was declared, it is known that nothing is left.
        if size_bytes >= (MAX_FORM_BYTES if upload.is_form else MAX_BYTES) and size_bytes != upload.size_bytes:
            return bytes(head), False, not upload.is_form
    return bytes(head), size_bytes == len(head), True


def _rows(format_name: str, pieces: Iterable[bytes], reading: Reading, findings: Findings) -> list[dict[str, Any]]:
    blocks = read_blocks(format_name, pieces, reading, findings)
    try:
        return list(islice((row for block in blocks for row in _judged(block)), MAX_ROWS))
    except ExpandsTooFar as error:
        raise ExpandsTooFar(f"{error.message} This is the limit of a preview, an import may take more.") from error
    except NoContacts:
        if reading.is_beginning:
            return []  # blank as far as it is looked at
        raise


def _judged(block: Block) -> Iterator[dict[str, Any]]:
    names, emails = block.names[:MAX_ROWS], block.emails[:MAX_ROWS]
    verdict = validation.judge(replace(block, names=names, emails=emails))
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
