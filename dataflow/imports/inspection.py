"""The format of a content, its header row and the validity of a JSON body are looked at while its pieces pass."""

import time
from collections.abc import Callable, Iterator
from itertools import chain
from threading import BoundedSemaphore
from typing import Final

from dataflow.config import Config
from dataflow.formats.decoder import Decoder
from dataflow.formats.detect import LOOK_BYTES
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.registry import check_header
from dataflow.imports.json_check import JsonCheck
from dataflow.imports.recognition import Beginning
from dataflow.imports.upload import LOOK_UP_SECONDS, Upload

#: One or two JSON bodies at a time: more only compute by turns, and each takes 3 MiB for a piece.
_LOOKING: Final = BoundedSemaphore(2)


class Inspection:
    """`look_up` is called every LOOK_UP_SECONDS while a piece is looked at, and raises when nobody waits any more."""

    def __init__(self, config: Config, upload: Upload, look_up: Callable[[], None]) -> None:
        self.format_name = ""
        self._config = config
        self._upload = upload
        self._look_up = look_up
        self._json_check = JsonCheck(self._reading(), upload.given) if upload.is_json_body else None
        self._decoder = Decoder("json", self._reading(), Findings())
        self._looked_seconds = 0.0  #: since the last look-up
        self._beginning = Beginning()

    def passing(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """:raises NoContacts, MalformedInput: when the content is empty, damaged, or not compressed as declared.
        :raises UnsupportedMediaType: when it is nothing that can be imported.
        :raises MissingColumns, AmbiguousColumns: when its header row does not tell name and e-mail.
        :raises InvalidContacts, InputError: when a JSON body does not pass its check.
        :raises RequestError: when no source has been given, or one that its sender may not use.
        """
        for piece in self._with_known_head(pieces):
            self._check(self._decoder.feed(piece))
            yield piece
        self._check(self._decoder.close())
        if self._json_check:
            self._upload.given = self._json_check.close()
        else:
            self._upload.require_source()
        if self._upload.is_form:
            # Only now all of its fields are known.
            self._recognise()

    def _with_known_head(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        head = bytearray()
        while len(head) < LOOK_BYTES and (piece := next(pieces, b"")):
            head += piece
        content = bytes(head)
        self._look_at_head(content)
        return chain([content], pieces)

    def _look_at_head(self, head: bytes) -> None:
        self._beginning = Beginning.of(head, len(head) < LOOK_BYTES, self._upload.is_compressed(head))
        if self._json_check:
            self.format_name = "json"
            check_header(self.format_name, self._beginning.content, self._reading())
        elif not self._upload.is_form:
            self._recognise()

    def _recognise(self) -> None:
        upload = self._upload
        self.format_name = self._beginning.format_name(upload.media_type, upload.file_name, self._reading())

    def _reading(self) -> Reading:
        return self._upload.options().reading(self._config.max_row_bytes, self._config.max_expanded_bytes)

    def _check(self, pieces: Iterator[bytes]) -> None:
        if self._json_check is None:
            return
        for piece in pieces:
            began = time.monotonic()
            while not _LOOKING.acquire(timeout=LOOK_UP_SECONDS):
                self._look_up_now()
            try:
                self._json_check.feed(piece)
                self._upload.check_options(self._json_check.members())
            finally:
                _LOOKING.release()
            self._looked_seconds += time.monotonic() - began
            # One piece may expand a thousandfold: checking it takes longer than receiving it.
            if self._looked_seconds >= LOOK_UP_SECONDS:
                self._look_up_now()

    def _look_up_now(self) -> None:
        self._look_up()
        self._looked_seconds = 0.0
