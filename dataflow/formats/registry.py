"""The formats that contacts come in, and the rows of a content in any of them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from dataflow.errors import InputError
from dataflow.formats.block import Block, in_parts, peeked
from dataflow.formats.csv import delimited
from dataflow.formats.decoder import Decoder
from dataflow.formats.detect import LOOK_BYTES, name_of
from dataflow.formats.encoding import wish_of
from dataflow.formats.json import document, ndjson
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.vcard import card_rows
from dataflow.formats.xlsx import spreadsheet


@dataclass(frozen=True, slots=True)
class Format:
    name: str  #: also the extension of stored objects
    media_types: tuple[str, ...]
    extensions: tuple[str, ...]
    read_blocks: Callable[[Iterable[bytes], Reading, Findings], Iterator[Block]]


FORMATS = {
    known.name: known
    for known in (
        Format(
            "json",
            ("application/json", "text/json", "application/x-json", "text/x-json"),
            (".json",),
            document.read_blocks,
        ),
        Format(
            "ndjson",
            (
                *("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"),
                *("application/jsonlines", "application/x-jsonl", "text/x-ndjson", "text/ndjson", "text/jsonl"),
            ),
            (".ndjson", ".jsonl"),
            ndjson.read_blocks,
        ),
        Format(
            "csv",
            (
                *("text/csv", "text/x-csv", "application/csv", "application/x-csv", "text/comma-separated-values"),
                *("text/x-comma-separated-values", "text/tab-separated-values", "text/tsv", "text/x-tsv"),
            ),
            (".csv", ".tsv"),
            delimited.read_blocks,
        ),
        Format(
            "vcard",
            ("text/vcard", "text/x-vcard", "text/directory", "application/vcard", "application/x-vcard"),
            (".vcf", ".vcard"),
            card_rows.read_blocks,
        ),
        Format(
            "xlsx",
            (
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                "application/vnd.ms-excel.sheet.macroenabled.12",
                "application/vnd.openxmlformats-officedocument.spreadsheetml.template",
                "application/vnd.ms-excel.template.macroenabled.12",
            ),
            (".xlsx", ".xlsm", ".xltx", ".xltm"),
            spreadsheet.read_blocks,
        ),
    )
}


def by_media_type(media_type: str) -> Format | None:
    """:param media_type: without parameters, in lower case."""
    return next((known for known in FORMATS.values() if media_type in known.media_types), None)


def recognise(
    head: bytes, media_type: str, file_name: str | None, encoding: str | None = None, charset: str | None = None
) -> Format:
    """The format of content that begins with `head` (up to LOOK_BYTES, expanded).

    The content decides; where it leaves a choice, the media type does, and after it the file name.

    :raises UnsupportedMediaType: for content that is binary, or of another format.
    """
    declared = by_media_type(media_type) or _by_name(file_name)
    return FORMATS[name_of(head, declared.name if declared else None, wish_of(head, encoding, charset))]


def check_header(format_name: str, head: bytes, reading: Reading) -> None:
    """Refuse a content by its beginning (expanded), which may be cut anywhere if `reading.is_beginning`.

    :raises MissingColumns, AmbiguousColumns, UnsupportedMediaType: when its header row does not tell name and e-mail.
    :raises InputError: sheet_not_found when a sheet is asked for, and it has none.
    """
    _check_sheet(format_name, head, reading)
    if format_name == "csv":
        delimited.look_ahead(head, reading)
    elif format_name == "vcard":
        card_rows.check_mapping(reading.mapping)


def read_blocks(format_name: str, pieces: Iterable[bytes], reading: Reading, findings: Findings) -> Iterator[Block]:
    """The rows of a content as it was sent, compressed or not; `reading.check` is called with each piece.

    :raises InputError: when it cannot be read to its end.
    """
    pieces = Decoder(format_name, reading, findings).decoded(pieces)
    if reading.sheet is not None:
        head, pieces = peeked(pieces, LOOK_BYTES)
        _check_sheet(format_name, head, reading)
    return chain.from_iterable(map(in_parts, FORMATS[format_name].read_blocks(pieces, reading, findings)))


def _check_sheet(format_name: str, head: bytes, reading: Reading) -> None:
    # Who corrects the rejects file of a workbook sends it with the options of the workbook.
    if reading.sheet is not None and format_name != "xlsx" and not delimited.is_ours(head):
        raise InputError(
            f"The file has no sheets, because it is {format_name}. Leave out sheet={reading.sheet[:40]}.",
            code="sheet_not_found",
        )


def _by_name(file_name: str | None) -> Format | None:
    lowered = (file_name or "").lower().removesuffix(".gz")
    return next((known for known in FORMATS.values() if lowered.endswith(known.extensions)), None)
