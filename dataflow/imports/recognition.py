"""Which format a content has, by its beginning: as its body arrives, or when a worker reads it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dataflow.errors import NoContacts
from dataflow.formats import gzip
from dataflow.formats.block import peeked
from dataflow.formats.detect import LOOK_BYTES
from dataflow.formats.reading import Reading
from dataflow.formats.registry import check_header, recognise
from dataflow.queue.jobs import Job


@dataclass(frozen=True, slots=True)
class Beginning:
    """Of a content, expanded; at least LOOK_BYTES of it as it was sent, unless `is_whole`."""

    content: bytes = b""
    is_whole: bool = False

    @classmethod
    def of(cls, head: bytes, is_whole: bool, is_gzip: bool) -> "Beginning":
        """:raises MalformedInput: when it is damaged."""
        if not is_gzip:
            return cls(head, is_whole)
        expanded = gzip.beginning(head, LOOK_BYTES, is_whole)
        return cls(expanded, is_whole and len(expanded) < LOOK_BYTES)

    def format_name(self, media_type: str, file_name: str | None, reading: Reading) -> str:
        """:raises UnsupportedMediaType: when it is nothing that can be imported.
        :raises MissingColumns, AmbiguousColumns, InputError: when its header row or a wish does not fit.
        """
        known = recognise(self.content, media_type, file_name, reading.encoding, reading.charset)
        check_header(known.name, self.content, replace(reading, is_beginning=not self.is_whole))
        return known.name


def format_of_stored(job: Job, pieces: Iterator[bytes], reading: Reading) -> tuple[str, Iterator[bytes]]:
    """The format of a job's content, and all of its pieces once more; raises what `Beginning` raises.

    :raises NoContacts: when it is empty.
    """
    head, pieces = peeked(pieces, LOOK_BYTES)
    if not head:
        raise NoContacts("The file is empty: there is nothing to import.")
    beginning = Beginning.of(head, len(head) < LOOK_BYTES, gzip.is_gzip(head))
    return beginning.format_name(job.content_type or "", job.file_name, reading), pieces
