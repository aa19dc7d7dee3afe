"""The client's side of a tus 1.0.0 upload, without sockets: what to send next, and what an answer means.

The server's offset is the only truth: nothing counts as stored before it says so, and after every doubt it is asked.
Who sends the requests, how often and how patiently, is left to the backend. Rules of the server: contract section 8.
"""

import json
import re
from base64 import b64encode

from dataflow.errors import StorageError, StorageUnavailable, UploadLost
from dataflow.storage.base import Description
from dataflow.storage.messages import Answer, Request

VERSION = {"Tus-Resumable": "1.0.0"}
#: Looked at on every request, the last included: without it a repeated last PATCH is a conflict with its own object.
UPSERT = {"x-upsert": "true"}
PATH = "/upload/resumable"
#: No dot in front and nothing encoded: requests would make another path of it.
_ID = re.compile(r"[\w~+=-][\w.~+=-]*", re.ASCII)
_OFFSET = re.compile(r"[0-9]{1,15}")


class TusUpload:
    """One object on its way, chunk by chunk: `load` a chunk, then exchange what `next` says until that is None."""

    def __init__(self, bucket: str, key: str, description: Description, cache_seconds: int) -> None:
        self._bucket = bucket
        self._key = key
        self._description = description
        self._cache_seconds = cache_seconds
        self.id: str | None = None  #: the server's name for the upload, None until it has one
        self.offset = 0  #: bytes that the server has acknowledged
        self._chunk = memoryview(b"")
        self._start = 0  #: offset of the chunk's first byte
        self._is_last = False
        self._is_complete = False
        self._is_in_doubt = False  #: an answer is missing: only the server knows the offset
        self._is_length_known = False  #: to the server, which refuses to be told twice

    @property
    def path(self) -> str:
        """Where the upload is. Built from the id alone: host, scheme and prefix of a Location are often wrong."""
        return f"{PATH}/{self.id}"

    def load(self, chunk: bytes | memoryview, is_last: bool) -> None:
        """The bytes after those that are acknowledged; must stay as they are until they are acknowledged as well."""
        self._chunk, self._start, self._is_last = memoryview(chunk), self.offset, is_last

    def next(self) -> Request | None:
        """What to send; None when all of the chunk is stored, and the object complete if it was the last."""
        if self.id is None:
            return self._creation()
        if self._is_in_doubt:
            return inquiry(self.path)
        if self.offset < self._end or (self._is_last and not self._is_complete):
            return self._patch()
        return None

    def is_ending(self, request: Request) -> bool:
        """Whether the server has every byte once it has taken in `request`, and then makes the object."""
        return request.method == "PATCH" and self._is_last

    def is_whole_at(self, answer: Answer) -> bool:
        """Whether the answer to an inquiry says that the server has every byte."""
        return answer.is_success and answer.headers.get("Upload-Offset") == str(self._end) and self._is_last

    def lose(self) -> None:
        """No answer came: ask for the offset before anything else."""
        self._is_in_doubt = True

    def take(self, asked: Request, answer: Answer) -> None:
        """Learn from the answer to what `next` said.

        :raises StorageUnavailable: when it is worth going on with `next`, after a while.
        :raises UploadLost: when bytes are gone that nobody has any more.
        :raises DataFlowError: when the server refuses for good.
        """
        if answer.is_success:
            self._advance(asked, answer)
            return
        self._is_in_doubt = True
        if self.id is not None and answer.status in (404, 410):
            self._start_over(answer)
        if self.id is not None and answer.status == 409:
            raise StorageUnavailable(f"The storage has another offset than {self.offset} for the upload.")
        if asked.method == "PATCH" and answer.status == 400 and "Upload-Length" in asked.headers:
            # A PATCH given up for dead has declared the length after HEAD was answered; asked again, it says so.
            raise StorageUnavailable(f"The storage refused the length of the upload: {answer.quoted()}")
        raise answer.error(self._bucket)

    @property
    def _end(self) -> int:
        return self._start + len(self._chunk)

    def _creation(self) -> Request:
        about = self._description
        fields = {
            "bucketName": self._bucket,
            "objectName": self._key,
            "contentType": about.content_type,
            "cacheControl": str(self._cache_seconds),
            "metadata": json.dumps(about.metadata),
        }
        metadata = ",".join(f"{name} {b64encode(value.encode()).decode()}" for name, value in fields.items())
        # A length of 0 makes the S3 backend answer 404, so an empty object declares it with its only PATCH.
        length = {"Upload-Length": str(about.size_bytes)} if about.size_bytes else {"Upload-Defer-Length": "1"}
        return Request("tus_create", "POST", PATH, {**VERSION, **UPSERT, **length, "Upload-Metadata": metadata}, b"")

    def _patch(self) -> Request:
        """The rest of the chunk. It may be empty: that completes an upload whose last answer was lost."""
        headers = {
            **VERSION,
            **UPSERT,
            "Upload-Offset": str(self.offset),
            "Content-Type": "application/offset+octet-stream",
        }
        if self._is_last and not self._is_length_known:
            headers["Upload-Length"] = str(self._end)
        done = self.offset - self._start
        return Request("tus_patch", "PATCH", self.path, headers, self._chunk[done:])

    def _advance(self, asked: Request, answer: Answer) -> None:
        if asked.method == "POST":
            self.id = _id_in(answer)
            self._is_length_known = "Upload-Length" in asked.headers
            self._is_in_doubt = False
            return
        offset = answer.headers.get("Upload-Offset", "")
        if not offset:
            # The head of an answer may be cut, and then looks like a short one.
            self._is_in_doubt = True
            raise StorageUnavailable("The storage answered without saying how far it is (Upload-Offset).")
        if not _OFFSET.fullmatch(offset) or not self._start <= int(offset) <= self._end:
            # Before the chunk: acknowledged bytes are gone (contract section 0.3). After it: not our upload.
            where = f"byte {offset[:15]}, where only bytes {self._start} to {self._end} are at hand"
            raise UploadLost(f"The storage wants to go on at {where}. Send the file again.")
        stands_still = int(offset) <= self.offset < self._end
        self.offset = int(offset)
        self._is_in_doubt = False
        if asked.method == "HEAD":
            self._is_length_known = "Upload-Defer-Length" not in answer.headers
            return
        self._is_length_known = self._is_length_known or "Upload-Length" in asked.headers
        self._is_complete = self._is_last and self.offset == self._end
        if stands_still:
            raise StorageUnavailable(f"The storage took none of the bytes after {self.offset}.")

    def _start_over(self, answer: Answer) -> None:
        """The server has forgotten the upload. As long as the first chunk is at hand, nothing is lost by that."""
        if self._start > 0:
            lost = f"the upload after {self.offset} bytes (status {answer.status})"
            raise UploadLost(f"The storage has lost {lost}. Send the file again.")
        self.id, self.offset, self._is_complete, self._is_length_known = None, 0, False, False
        raise StorageUnavailable(f"The storage has lost the upload (status {answer.status}); it begins again.")


def _id_in(answer: Answer) -> str:
    location = answer.headers.get("Location", "")
    if not location:
        raise StorageUnavailable("The storage made an upload without saying where (Location).")
    found = location.partition("?")[0].rstrip("/").rpartition("/")[2]
    if not _ID.fullmatch(found):
        raise StorageError("The storage made an upload at a Location that cannot be one.")
    return found


def termination(upload_path: str) -> Request:
    """Have the server forget an upload that is not complete."""
    return Request("tus_delete", "DELETE", upload_path, {**VERSION, **UPSERT})


def is_gone(answer: Answer) -> bool:
    """Whether what was asked has left nothing of the upload, or there was none."""
    return answer.is_success or answer.status in (404, 410)


def is_complete(answer: Answer) -> bool:
    """Whether a termination was refused because all bytes are there."""
    return answer.status == 409 or "already completed" in answer.text


def completion(upload_path: str, offset_bytes: str) -> Request:
    """Have an upload whose bytes are all there become its object, or stay it (contract section 8, interruptions)."""
    offset = {"Upload-Offset": offset_bytes, "Content-Type": "application/offset+octet-stream"}
    return Request("tus_patch", "PATCH", upload_path, {**VERSION, **UPSERT, **offset}, b"")


def inquiry(upload_path: str) -> Request:
    """Ask how far an upload is."""
    return Request("tus_offset", "HEAD", upload_path, VERSION)


def options() -> Request:
    """Ask what the server can do; its largest upload is in Tus-Max-Size."""
    return Request("tus_options", "OPTIONS", PATH, VERSION)
