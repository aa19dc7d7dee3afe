"""The books of one upload: counted, hashed, recognised and checked while its pieces pass.

What is stored where, and what becomes of it when something goes wrong, is left to `receive`.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from threading import BoundedSemaphore
from typing import Any, Final
from uuid import UUID

from dataflow.config import Config
from dataflow.formats import gzip
from dataflow.formats.decoder import Decoder
from dataflow.formats.detect import LOOK_BYTES
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.registry import by_media_type, check_header, recognise
from dataflow.ids import uuid7
from dataflow.imports.completion import PendingObject
from dataflow.imports.json_check import JsonCheck
from dataflow.imports.upload import LOOK_UP_SECONDS, Upload
from dataflow.storage.base import Description

Beat = Callable[[UUID, int, str | None], None]

BEAT_SECONDS = 5.0
#: JSON bodies are looked at one or two at a time: more only compute by turns, and each piece takes 3 MiB meanwhile.
_LOOKING: Final = BoundedSemaphore(2)


class UploadSession:
    """`beat` is called with the job's id, its size so far and the address of its upload, to show that it is alive."""

    def __init__(self, config: Config, upload: Upload, beat: Beat) -> None:
        self.job_id = uuid7()
        self._config = config
        self._upload = upload
        self._beat = beat
        self._digest = hashlib.sha256()
        self._json_check = self._new_json_check()
        self._decoder = Decoder("json", self._reading(), Findings())
        self._next_beat, self._received_bytes = 0.0, 0
        self._looked_seconds = 0.0  #: at a JSON body, since it was looked up whether anybody waits for that
        self._head, self._is_whole = b"", False  #: how the content begins, expanded, and whether that is all
        declared = by_media_type(upload.media_type)
        self.key = f"{self.job_id}.{declared.name if declared else 'bin'}"
        self.format_name = ""
        self.size_bytes = 0
        self.may_be_stored = False
        self.is_in_doubt = False  #: a request whose answer was lost may store the object later than we remove it
        self.upload_url: str | None = None

    @property
    def is_hurried(self) -> bool:
        """Whether there is little time left for whatever the upload has left behind."""
        return self._upload.stop.is_set()

    def pieces(self) -> Iterator[bytes]:
        """The body for the storage; raises at its end what can only be known there."""
        for piece in self._recognised(self._alive(self._upload.pieces)):
            self.size_bytes += len(piece)
            self._digest.update(piece)
            if self._json_check:
                self._check(self._json_check, self._decoder.feed(piece))
            yield piece
        upload = self._upload
        if self._json_check:
            self._check(self._json_check, self._decoder.close())
            upload.given = self._json_check.close()
        else:
            upload.require_source()
        if upload.is_form:
            # Only now all of its fields are known.
            self._look()

    def _new_json_check(self) -> JsonCheck | None:
        """The check that a body which is the request itself has to pass here."""
        return JsonCheck(self._reading(), self._upload.given) if self._upload.is_json_body else None

    def _reading(self) -> Reading:
        """How the content is to be read, as far as it is looked at here."""
        return self._upload.options().reading(self._config.max_row_bytes, self._config.max_expanded_bytes)

    def _check(self, check: JsonCheck, pieces: Iterator[bytes]) -> None:
        """Have what a piece of a JSON body holds checked."""
        for piece in pieces:
            began = time.monotonic()
            while not _LOOKING.acquire(timeout=LOOK_UP_SECONDS):
                self._look_up()
            try:
                check.feed(piece)
            finally:
                _LOOKING.release()
            self._looked_seconds += time.monotonic() - began
            # One piece may expand a thousandfold: looking at it takes longer than receiving it.
            if self._looked_seconds >= LOOK_UP_SECONDS:
                self._look_up()

    def _look_up(self) -> None:
        """:raises ClientVanished, UploadTaken: when nobody waits for this upload any more."""
        self._upload.check()
        self._show_life()
        self._looked_seconds = 0.0

    def _alive(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The same pieces; shows by time, not by bytes, that they are still coming."""
        self._next_beat = time.monotonic() + BEAT_SECONDS
        for piece in pieces:
            self._received_bytes += len(piece)
            if time.monotonic() >= self._next_beat:
                self._show_life()
            yield piece

    def _show_life(self) -> None:
        self._beat(self.job_id, self._received_bytes, self.upload_url)
        self._next_beat = time.monotonic() + BEAT_SECONDS

    def _recognised(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        head = bytearray()
        while len(head) < LOOK_BYTES and (piece := next(pieces, b"")):
            head += piece
        content = bytes(head)
        self._recognise(content)
        return chain([content], pieces)

    def _recognise(self, head: bytes) -> None:
        """Find out what is coming, and refuse what surely cannot be imported.

        :raises NoContacts, MalformedInput: when the content is empty, or not compressed as declared.
        :raises UnsupportedMediaType: when it is nothing that can be imported.
        :raises MissingColumns, AmbiguousColumns: when its header row does not tell name and e-mail.
        """
        is_gzip = self._upload.is_compressed(head)
        self._head, self._is_whole = head, len(head) < LOOK_BYTES
        if is_gzip:
            self._head = gzip.beginning(head, LOOK_BYTES, self._is_whole)
            self._is_whole = self._is_whole and len(self._head) < LOOK_BYTES
        if self._json_check:
            self.format_name = "json"
            check_header(self.format_name, self._head, self._reading())
        elif not self._upload.is_form:
            self._look()

    def _look(self) -> None:
        """Recognise the format, and check its header row if it has one."""
        upload, reading = self._upload, self._reading()
        known = recognise(self._head, upload.media_type, upload.file_name, reading.encoding, reading.charset)
        self.format_name = known.name
        check_header(known.name, self._head, replace(reading, is_beginning=not self._is_whole))

    def describe(self) -> Description:
        """The object, as far as the beginning of its content tells: a form names its file in there."""
        upload = self._upload
        content_type = upload.media_type or self._config.upload_default_content_type
        # Never the source: it may come after the file.
        metadata = {"jobId": str(self.job_id), "contentType": content_type}
        if upload.file_name:
            metadata["fileName"] = upload.file_name
        return Description(content_type, metadata, upload.size_bytes, upload.options().use_resumable)

    def note_begin(self, url: str | None) -> None:
        """Write down where an upload is open, so that it can be removed if we are not there to do it."""
        self.may_be_stored = True
        if url is None:
            self.is_in_doubt = True
        else:
            self.upload_url = url
            self._beat(self.job_id, self.size_bytes, url)

    def note_stored(self) -> None:
        """All of it is stored. The answer to a single request ends the doubt, that to an upload after it does not."""
        self.may_be_stored = True
        self.is_in_doubt = self.is_in_doubt and self.upload_url is not None

    def first_values(self) -> dict[str, Any]:
        """The row while the body arrives; the source may come after the file."""
        return {
            "id": self.job_id,
            "object_key": self.key,
            "source": self._upload.source,
            "file_name": self._upload.file_name,
            "content_type": self._upload.media_type or None,
            "options": self._upload.options().as_json(),
            "request_id": self._upload.request_id,
        }

    def pending_object(self) -> PendingObject:
        """The upload, all of whose bytes are with the storage."""
        assert self.upload_url is not None  # noqa: S101 - tells mypy that only these take their time
        return PendingObject(self.job_id, self.key, self.upload_url, self.size_bytes, self._upload.request_id)

    def final_values(self, etag: str | None = None) -> dict[str, Any]:
        """The row of the complete upload."""
        return {
            **self.first_values(),
            "format": self.format_name,
            "bytes_total": self.size_bytes,
            "object_etag": etag,
            "upload_url": self.upload_url,
            "digests": [[self.size_bytes, self._digest.hexdigest()]],
        }
