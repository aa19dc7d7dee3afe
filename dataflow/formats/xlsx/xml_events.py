"""XML as events, in memory that does not depend on what is written in it.

Why it is so: xml.etree keeps a tree (80 MiB for 300,000 nested elements, 2 KB in a workbook). expat keeps every name,
and each tag until it is complete: both are limited here.
"""

from collections.abc import Iterator, Sequence
from typing import Final
from xml.parsers.expat import ParserCreate

from dataflow.errors import MalformedInput
from dataflow.formats.xlsx.package import Part

#: Of nested elements. Workbooks have a dozen.
MAX_DEPTH: Final = 64
#: Of a tag with its attributes, a comment or an instruction. Texts between tags may be longer.
MAX_TAG_BYTES: Final = 64 * 1024
#: Different names in a part. Workbooks have some hundred.
MAX_NAMES: Final = 4096
_PARSE_BYTES: Final = 16 * 1024
_SEPARATOR: Final = "}"
_SAVE_AGAIN: Final = "Save it as .xlsx again, or as CSV."

Attributes = dict[str, str]


class Enough(Exception):
    """Raised by a handler that needs no more of a part."""


class Events:
    """Subclasses take from a part what they want. `texts` has the texts since the last tag that begins an element."""

    def __init__(self) -> None:
        self.depth = 0
        self.texts: list[str] = []

    def start(self, _tag: str, _attributes: Attributes) -> None:
        """:raises MalformedInput: when elements are nested too deeply."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise too_deep()
        self.texts.clear()

    def end(self, _tag: str) -> None:
        self.depth -= 1


def too_deep() -> MalformedInput:
    return MalformedInput(f"Elements of the workbook are more than {MAX_DEPTH} inside of one another. {_SAVE_AGAIN}")


def parsed(part: Part, events: Events, names: Sequence[str] = ()) -> Iterator[None]:
    """Hand a part to `events`, a step for each piece. Names that are among `names` are the same objects.

    :raises MalformedInput: at a document type, and when tags, names or depth are beyond their limits.
    :raises ExpatError: when it is no XML.
    :raises ExpandsTooFar, RowTooLarge: as `Part.read`.
    """
    parser = ParserCreate(namespace_separator=_SEPARATOR, intern={name: name for name in names})
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = events.start, events.end
    parser.CharacterDataHandler = events.texts.append
    parser.StartDoctypeDeclHandler = _refuse_document_type
    parser.StartNamespaceDeclHandler = _note_namespace
    read_bytes, piece = 0, b"-"
    while piece:
        piece = part.read(_PARSE_BYTES)
        read_bytes += len(piece)
        try:
            parser.Parse(piece, not piece)
        except Enough:
            piece = b""
        else:
            _limit(read_bytes - parser.CurrentByteIndex if piece else 0, len(parser.intern))
        yield


def elements(part: Part) -> Iterator[tuple[str, str, Attributes]]:
    """The elements of a part, each as the tag of its parent, its own and its attributes."""
    events = _Elements()
    for _ in parsed(part, events):
        yield from events.found
        events.found.clear()


class _Elements(Events):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, Attributes]] = []
        self._path = [""]

    def start(self, tag: str, attributes: Attributes) -> None:
        super().start(tag, attributes)
        self.found.append((self._path[-1], tag, attributes))
        self._path.append(tag)

    def end(self, tag: str) -> None:
        super().end(tag)
        self._path.pop()


def _limit(tag_bytes: int, names: int) -> None:
    if tag_bytes > MAX_TAG_BYTES:
        raise MalformedInput(f"A tag in the workbook is longer than {MAX_TAG_BYTES} bytes. {_SAVE_AGAIN}")
    if names > MAX_NAMES:
        raise MalformedInput(f"A part of the workbook has more than {MAX_NAMES} different names. {_SAVE_AGAIN}")


def _refuse_document_type(*_: object) -> None:
    raise MalformedInput(f"The workbook declares a document type. {_SAVE_AGAIN}")


def _note_namespace(_prefix: str | None, _uri: str | None) -> None:
    """Without a handler, namespaces would not be among the names that are counted."""
