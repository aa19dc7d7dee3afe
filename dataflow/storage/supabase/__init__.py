"""Objects in a private bucket of Supabase Storage, over its REST and tus API.

How the server behaves, measured call by call, is in the contract that comments here cite. Uploads and downloads are
modules of their own; this one is the rest, and what ties them together.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

from dataflow.errors import (
    BucketMissing,
    DataFlowError,
    ObjectMissing,
    ObjectTooLarge,
    StorageError,
    StorageUnavailable,
    UploadLost,
)
from dataflow.storage import tus
from dataflow.storage.base import Began, Completion, Describe, StoredObject
from dataflow.storage.chunks import chunks
from dataflow.storage.messages import Answer, Request
from dataflow.storage.retry import Retries, Schedule
from dataflow.storage.stop import Stop
from dataflow.storage.supabase.api import Api, Lend
from dataflow.storage.supabase.completion import SupabaseCompletion, WholeUpload, whole
from dataflow.storage.supabase.download import SupabaseReader
from dataflow.storage.supabase.upload import Upload

#: For a call without content, all its attempts together.
CALL_SECONDS = 20.0
#: ... and each attempt.
ANSWER_SECONDS = 10.0
#: For a call that is made once.
SINGLE_CALL_SECONDS = 3.0
#: A PATCH that still runs is ended first, which takes the server about 3 s.
TERMINATION_SECONDS = 5.0
#: For a termination and for any other call when the process ends: it is killed four seconds after it was told to.
HURRIED_SECONDS = 2.0, 0.75


class SupabaseStorage:
    """A `Storage` in one bucket; may be used by any number of threads."""

    def __init__(self, api: Api, schedule: Schedule, chunk_bytes: int, cache_seconds: int) -> None:
        self._api = api
        self._schedule = schedule
        self._chunk_bytes = chunk_bytes
        self._cache_seconds = cache_seconds

    def put(
        self, key: str, pieces: Iterable[bytes], describe: Describe, began: Began, stop: Stop | None = None
    ) -> StoredObject | Completion:
        upload = Upload(self._api, self._schedule, key, self._cache_seconds, began)
        try:
            retries = upload.run(chunks(pieces, self._chunk_bytes), describe, stop)
        except ObjectTooLarge as error:
            raise self._with_limit(error, upload.whole_bytes) from error
        if upload.held is not None:
            received = WholeUpload(key, upload.path, upload.size_bytes)
            return SupabaseCompletion(self._api, self._look, received, upload.held)
        return whole(lambda: self._info(key, retries, stop.lend if stop else None), upload.size_bytes)

    def resume(self, key: str, upload: str, size_bytes: int) -> StoredObject | Completion:
        try:
            return whole(lambda: self._look(key), size_bytes)
        except UploadLost as error:
            if not isinstance(error.__cause__, ObjectMissing):
                raise
        return SupabaseCompletion(self._api, self._look, WholeUpload(key, upload, size_bytes))

    def _look(self, key: str) -> StoredObject:
        return self._info(key, self._retries())

    def discard(self, key: str, upload: str | None, is_hurried: bool = False) -> None:
        patient_seconds = TERMINATION_SECONDS, SINGLE_CALL_SECONDS
        termination_seconds, call_seconds = HURRIED_SECONDS if is_hurried else patient_seconds
        try:
            if upload is not None:
                self._terminate(upload, termination_seconds, call_seconds)
        finally:
            # Whatever became of the upload, it may be an object by now.
            self._delete(key, _once(call_seconds))

    def _terminate(self, upload: str, seconds: float, call_seconds: float) -> None:
        answer = self._api.exchange(tus.termination(upload), seconds)
        if tus.is_gone(answer):
            return
        if not tus.is_complete(answer):
            raise answer.error(self._api.bucket)
        # Complete, but perhaps not registered, and then no request reaches its bytes: have it become an object.
        found = self._api.exchange(tus.inquiry(upload), call_seconds)
        if found.is_success:
            completion = tus.completion(upload, found.headers.get("Upload-Offset", ""))
            found = self._api.exchange(completion, call_seconds)
        if not tus.is_gone(found):
            raise found.error(self._api.bucket)

    @contextmanager
    def open(self, key: str) -> Iterator[SupabaseReader]:
        reader = SupabaseReader(self._api, self._schedule, key)
        try:
            yield reader
        finally:
            reader.release()

    def delete(self, key: str) -> None:
        self._delete(key, self._retries())

    def check(self) -> None:
        """Look at the bucket, and ask whether we may write there: a key without that right may see it all the same.

        Needs server, its database, a valid key and the bucket itself; leaves nothing.
        """
        retries = _once()
        self._bucket(retries)
        path = self._api.object_path("upload/sign", "check")
        self._call(Request("sign", "POST", path, tus.UPSERT), retries)

    def prepare(self) -> str:
        """Make the bucket, or make it private."""
        name = self._api.bucket
        fields: dict[str, Any] = {"id": name, "name": name, "public": False}
        try:
            found = self._bucket(self._retries()).members
        except BucketMissing:
            # 409: another process was faster.
            self._call(_with_body("make_bucket", "POST", "/bucket", fields), self._retries(), tolerated=409)
            return f"The bucket {name} was made."
        if not found.get("public"):
            return f"The bucket {name} is there."
        kept = {field: found.get(field) for field in ("file_size_limit", "allowed_mime_types")}
        self._call(_with_body("change_bucket", "PUT", f"/bucket/{quote(name)}", fields | kept), self._retries())
        return f"The bucket {name} was public, so that anybody could read its objects; it is private now."

    def _retries(self) -> Retries:
        return Retries(self._schedule, CALL_SECONDS)

    def _call(
        self, request: Request, retries: Retries, tolerated: int | None = None, lend: Lend | None = None
    ) -> Answer:
        """The answer to an idempotent request, which is repeated for as long as it makes sense.

        :raises StorageError: when the server refuses, or does not answer.
        """
        while True:
            try:
                answer = self._api.exchange(request, min(ANSWER_SECONDS, retries.attempt_seconds), lend=lend)
                if answer.is_success or answer.status == tolerated:
                    return answer
                raise answer.error(self._api.bucket)
            except StorageUnavailable as error:
                self._api.pause(retries, error, request.operation, request.path.rpartition("/")[2])

    def _info(self, key: str, retries: Retries, lend: Lend | None = None) -> StoredObject:
        request = Request("info", "GET", self._api.object_path("info/authenticated", key))
        found = self._call(request, retries, lend=lend).members
        if not isinstance(found.get("size"), int):
            raise StorageUnavailable("The storage does not tell the size of the object.")
        return StoredObject(found["size"], str(found.get("etag", "")))

    def _delete(self, key: str, retries: Retries) -> None:
        with suppress(ObjectMissing):
            self._call(Request("delete", "DELETE", self._api.object_path("", key)), retries)

    def _bucket(self, retries: Retries) -> Answer:
        return self._call(Request("bucket", "GET", f"/bucket/{quote(self._api.bucket)}"), retries)

    def _with_limit(self, error: ObjectTooLarge, whole_bytes: int) -> DataFlowError:
        """The same, with the limit where the server tells it; another error if that is not what refused."""
        try:
            limit = self._bucket(_once()).members.get("file_size_limit")
            whose = f"the bucket {self._api.bucket} (file_size_limit)"
            if not limit:
                found = self._api.exchange(tus.options(), SINGLE_CALL_SECONDS).headers.get("Tus-Max-Size", "")
                limit, whose = int(found) if found.isdecimal() else None, "the storage server"
        except StorageError:
            return error
        if limit is None:
            return error
        if limit >= whole_bytes:
            request_bytes = min(whole_bytes, self._chunk_bytes)
            what = f"Something in front of the storage does not take requests of {request_bytes} bytes"
            return StorageError(f"{what}, which UPLOAD_CHUNK_SIZE ({self._chunk_bytes}) has to fit: {error.message}")
        return ObjectTooLarge(f"The file is larger than {limit} bytes, the limit of {whose}.")


def _with_body(operation: str, method: str, path: str, members: dict[str, Any]) -> Request:
    return Request(operation, method, path, {"Content-Type": "application/json"}, json.dumps(members).encode())


def _once(seconds: float = SINGLE_CALL_SECONDS) -> Retries:
    """No patience: for what is not worth it, or is asked again by others."""
    return Retries(Schedule(()), seconds)
