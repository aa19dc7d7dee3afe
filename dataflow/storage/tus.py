"""The client's side of a tus 1.0.0 upload, without sockets: what to send next, and what an answer means.

Nothing counts as stored before the server says so, and after every doubt it is asked for its offset. What it has beyond
the offset that we know is taken for ours only after an answer was lost: else somebody else writes to the upload, whose
bytes may be others. How the server behaves: contract section 8.
"""

import json
import re
import sys
from datetime import datetime
from email.utils import parsedate_to_datetime

from dataflow.errors import StorageError, StorageUnavailable, UploadLost
from dataflow.storage.base import Description
from dataflow.storage.messages import Answer, Request
from dataflow.storage.tus_headers import CONTENT_TYPE, RESUMABLE, metadata_header, size_in

#: Looked at on every request, the last included: without it a repeated last PATCH is a conflict with its own object.
UPSERT = {"x-upsert": "true"}
PATH = "/upload/resumable"
#: No dot in front and nothing encoded: requests would make another path of it.
_ID = re.compile(r"[\w~+=-][\w.~+=-]*", re.ASCII)


class OffsetConflict(StorageUnavailable):
    """Somebody else has written to the upload."""


class TusUpload:
    """One object on its way, chunk by chunk: `load` a chunk, then exchange what `next` says until that is None."""

    def __init__(self, bucket: str, creation: Request | None, path: str | None = None) -> None:
        self._bucket = bucket
        self.creation = creation  #: how it begins, and begins again; None when it must not
        self.id = path.rpartition("/")[2] if path else None  #: the server's name for it, once it has one
        self.offset = 0  #: bytes that the server has acknowledged
        self.size_bytes: int | None = None  #: of the whole, when that is known
        self.is_complete = False
        self.expires_at: datetime | None = None  #: when the server forgets it, if it has said so
        self._chunk = memoryview(b"")
        self._start = 0  #: offset of the chunk's first byte
        self._is_last = False
        self._is_in_doubt = False  #: only the server knows the offset
        self._may_be_ours = False  #: what the server has beyond `offset`
        self._is_length_known = False  #: to the server, which refuses to be told twice
        if creation and (length := creation.headers.get("Upload-Length")):
            self.size_bytes = int(length)

    @property
    def path(self) -> str:
        """Built from the id alone: host, scheme and prefix of a Location are often wrong."""
        return f"{PATH}/{self.id}"

    def load(self, chunk: bytes | memoryview, is_last: bool) -> None:
        """The bytes after the acknowledged ones; they must not change until they are acknowledged as well.

        :raises StorageError: when the upload is complete.
        """
        if chunk and self.offset == self.size_bytes:
            raise StorageError(f"The upload is complete with its {self.offset} bytes; nothing can follow them.")
        self._chunk, self._start = memoryview(chunk), self.offset
        self._is_last = is_last or self._end == self.size_bytes
        self._may_be_ours &= self._is_in_doubt

    def next(self) -> Request | None:
        """What to send; None when all of the chunk is stored, and the object complete if it was the last."""
        if self.id is None:
            return self.creation
        if self._is_in_doubt:
            return inquiry(self.path)
        if self.offset < self._end or (self._is_last and not self.is_complete):
            return self._patch()
        return None

    def note_found(self, answer: Answer) -> None:
        """Go on where the answer to an inquiry says."""
        self.offset = self._start = _offset_in(answer)
        self._learn_length(answer)

    def is_ending(self, request: Request) -> bool:
        """Whether the server makes the object after `request`."""
        return request.method == "PATCH" and self._is_last

    def is_whole_at(self, answer: Answer) -> bool:
        return answer.is_success and answer.headers.get("Upload-Offset") == str(self._end) and self._is_last

    def lose(self) -> None:
        """No answer came."""
        self._is_in_doubt = self._may_be_ours = True

    def note_object(self, size_bytes: int) -> None:
        self.offset = self.size_bytes = size_bytes
        self.is_complete = True

    def take(self, asked: Request, answer: Answer) -> None:
        """Learn from the answer to what `next` said.

        :raises OffsetConflict: when somebody else has stored bytes here.
        :raises StorageUnavailable: when it is worth going on with `next`, after a while.
        :raises UploadLost: when bytes are gone that nobody has any more.
        :raises DataFlowError: when the server refuses for good.
        """
        if answer.is_success:
            self._advance(asked, answer)
            return
        self._is_in_doubt = True
        if self.id is not None and answer.status == 409:
            raise StorageUnavailable(self._conflict())
        self._may_be_ours = True
        if self.id is not None and answer.status in (404, 410):
            self._start_over(answer)
        if asked.method == "PATCH" and answer.status == 400 and "Upload-Length" in asked.headers:
            # A PATCH given up for dead has declared the length after HEAD was answered; asked again, it says so.
            raise StorageUnavailable(f"The storage refused the length of the upload: {answer.quoted()}")
        raise answer.error(self._bucket)

    @property
    def _end(self) -> int:
        return self._start + len(self._chunk)

    def _patch(self) -> Request:
        """The rest of the chunk. It may be empty: that completes an upload whose last answer was lost."""
        length = self._end if self._is_last and not self._is_length_known else None
        return patch(self.path, self.offset, self._chunk[self.offset - self._start :], length)

    def _advance(self, asked: Request, answer: Answer) -> None:
        if asked.method == "POST":
            self.id, self.expires_at = _id_in(answer), _expiry_in(answer)
            self._is_length_known = "Upload-Length" in asked.headers
            self._is_in_doubt = False
            return
        self._is_in_doubt = True
        self._may_be_ours |= asked.method == "PATCH" and "Upload-Offset" not in answer.headers
        may_be_foreign = asked.method == "HEAD" and not self._may_be_ours
        offset = _offset_in(answer, self._start, sys.maxsize if may_be_foreign else self._end)
        if may_be_foreign and offset > self.offset:
            raise OffsetConflict(self._conflict())
        stands_still = offset <= self.offset < self._end
        self.offset, self._is_in_doubt = offset, False
        if asked.method == "HEAD":
            self._learn_length(answer)
            return
        self._may_be_ours |= offset < self._end and not stands_still
        self._is_length_known = self._is_length_known or "Upload-Length" in asked.headers
        if self._is_last and offset == self._end:
            self.note_object(offset)
        if stands_still:
            raise StorageUnavailable(f"The storage took none of the bytes after {self.offset}.")

    def _conflict(self) -> str:
        return f"The storage has another offset than {self.offset} for the upload."

    def _learn_length(self, answer: Answer) -> None:
        self._is_length_known = "Upload-Defer-Length" not in answer.headers
        if (length := size_in(answer.headers.get("Upload-Length", ""))) is not None:
            self.size_bytes = length

    def _start_over(self, answer: Answer) -> None:
        """As long as the first chunk is at hand, nothing is lost when the server has forgotten the upload."""
        if self._start > 0 or self.creation is None:
            lost = f"the upload after {self.offset} bytes (status {answer.status})"
            raise UploadLost(f"The storage has lost {lost}. Send the file again.")
        self.id, self.offset = None, 0
        raise StorageUnavailable(f"The storage has lost the upload (status {answer.status}); it begins again.")


def _id_in(answer: Answer) -> str:
    location = answer.headers.get("Location", "")
    if not location:
        raise StorageUnavailable("The storage made an upload without saying where (Location).")
    found = location.partition("?")[0].rstrip("/").rpartition("/")[2]
    if not _ID.fullmatch(found):
        raise StorageError("The storage made an upload at a Location that cannot be one.")
    return found


def _offset_in(answer: Answer, first: int = 0, last: int = sys.maxsize) -> int:
    said = answer.headers.get("Upload-Offset", "")
    if not said:
        # The head of an answer may be cut, and then looks like a short one.
        raise StorageUnavailable("The storage answered without saying how far it is (Upload-Offset).")
    if (offset := size_in(said)) is None or not first <= offset <= last:
        # Before the chunk: acknowledged bytes are gone (contract section 0.3). After it: not our upload.
        where = f"byte {said[:15]}, where only bytes {first} to {last} are at hand"
        raise UploadLost(f"The storage wants to go on at {where}. Send the file again.")
    return offset


def _expiry_in(answer: Answer) -> datetime | None:
    try:
        return parsedate_to_datetime(answer.headers.get("Upload-Expires", ""))
    except ValueError:
        return None


def creation(bucket: str, key: str, description: Description, cache_seconds: int) -> Request:
    fields = {
        "bucketName": bucket,
        "objectName": key,
        "contentType": description.content_type,
        "cacheControl": str(cache_seconds),
        "metadata": json.dumps(description.metadata),
    }
    # A length of 0 makes the S3 backend answer 404, so an empty object declares it with its only PATCH.
    size_bytes = description.size_bytes
    length = {"Upload-Length": str(size_bytes)} if size_bytes else {"Upload-Defer-Length": "1"}
    return Request(
        "tus_create", "POST", PATH, {**RESUMABLE, **UPSERT, **length, "Upload-Metadata": metadata_header(fields)}, b""
    )


def patch(path: str, offset: int, body: bytes | memoryview = b"", length: int | None = None) -> Request:
    offsets = {"Upload-Offset": str(offset), "Content-Type": CONTENT_TYPE}
    lengths = {} if length is None else {"Upload-Length": str(length)}
    return Request("tus_patch", "PATCH", path, {**RESUMABLE, **UPSERT, **offsets, **lengths}, body)


def inquiry(path: str) -> Request:
    return Request("tus_offset", "HEAD", path, RESUMABLE)


def termination(path: str) -> Request:
    return Request("tus_delete", "DELETE", path, {**RESUMABLE, **UPSERT})


def is_gone(answer: Answer) -> bool:
    """Whether what was asked has left nothing of the upload, or there was none."""
    return answer.is_success or answer.status in (404, 410)


def is_complete(answer: Answer) -> bool:
    """Whether a termination was refused because all bytes are there."""
    return answer.status == 409 or "already completed" in answer.text


def options() -> Request:
    return Request("tus_options", "OPTIONS", PATH, RESUMABLE)
