"""Calls to the bucket and its objects that carry no content, and may all be repeated."""

import json
from collections.abc import Container
from contextlib import suppress
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
from dataflow.storage.base import StoredObject, check_size
from dataflow.storage.messages import Answer, Request
from dataflow.storage.retry import Retries, Schedule
from dataflow.storage.stop import Stop
from dataflow.storage.supabase.api import Api

#: For a call without content, all its attempts together.
CALL_SECONDS = 20.0
ANSWER_SECONDS = 10.0  #: for each of them
SINGLE_CALL_SECONDS = 3.0  #: for a call that is made once


class Bucket:
    """The bucket of `api`, asked as patiently as `schedule` says."""

    def __init__(self, api: Api, schedule: Schedule, chunk_bytes: int, cache_seconds: int) -> None:
        self.api = api
        self.schedule = schedule
        self.chunk_bytes = chunk_bytes
        self.cache_seconds = cache_seconds

    def retries(self, stop: Stop | None = None, seconds: float = CALL_SECONDS) -> Retries:
        return Retries(self.schedule, seconds, stop.wait if stop else None)

    def call(
        self, request: Request, retries: Retries, tolerated: Container[int] = (), stop: Stop | None = None
    ) -> Answer:
        """:raises StorageError: when the server refuses, or does not answer in time."""
        while True:
            try:
                answer = self.api.exchange(request, min(ANSWER_SECONDS, retries.attempt_seconds), stop)
                if answer.is_success or answer.status in tolerated:
                    return answer
                raise answer.error(self.api.bucket)
            except StorageUnavailable as error:
                self.api.pause(retries, error, request.operation, request.path.rpartition("/")[2])

    def info(self, key: str, retries: Retries | None = None, stop: Stop | None = None) -> StoredObject:
        """:raises ObjectMissing: when there is none."""
        request = Request("info", "GET", self.api.object_path("info/authenticated", key))
        found = self.call(request, retries or self.retries(stop), stop=stop).members
        if not isinstance(found.get("size"), int):
            raise StorageUnavailable("The storage does not tell the size of the object.")
        return StoredObject(found["size"], str(found.get("etag", "")))

    def whole(
        self, key: str, size_bytes: int, retries: Retries | None = None, stop: Stop | None = None
    ) -> StoredObject:
        """:raises UploadLost: when no object has this size: the server checks nothing (contract section 0.7)."""
        try:
            stored = self.info(key, retries, stop)
        except ObjectMissing as error:
            raise UploadLost("The storage took the file and does not have it. Send it again.") from error
        check_size(stored.size_bytes, size_bytes)
        return stored

    def delete(self, key: str, retries: Retries | None = None) -> None:
        with suppress(ObjectMissing):
            self.call(Request("delete", "DELETE", self.api.object_path("", key)), retries or self.retries())

    def check(self) -> None:
        """Look at the bucket, and ask whether we may write there: a key without that right may see it all the same."""
        retries = once()
        self._settings(retries)
        path = self.api.object_path("upload/sign", "check")
        self.call(Request("sign", "POST", path, tus.UPSERT), retries)

    def prepare(self) -> str:
        name = self.api.bucket
        fields: dict[str, Any] = {"id": name, "name": name, "public": False}
        try:
            found = self._settings(self.retries())
        except BucketMissing:
            # 409: another process was faster.
            self.call(_with_body("make_bucket", "POST", "/bucket", fields), self.retries(), tolerated=(409,))
            return f"The bucket {name} was made."
        if not found.get("public"):
            return f"The bucket {name} is there."
        kept = {field: found.get(field) for field in ("file_size_limit", "allowed_mime_types")}
        self.call(_with_body("change_bucket", "PUT", f"/bucket/{quote(name)}", fields | kept), self.retries())
        return f"The bucket {name} was public, so that anybody could read its objects; it is private now."

    def with_limit(self, error: ObjectTooLarge, whole_bytes: int) -> DataFlowError:
        """The same, with the limit where the server tells it; another error if that is not what refused."""
        try:
            limit = self._settings(once()).get("file_size_limit")
            whose = f"the bucket {self.api.bucket} (file_size_limit)"
            if not limit:
                found = self.api.exchange(tus.options(), SINGLE_CALL_SECONDS).headers.get("Tus-Max-Size", "")
                limit, whose = int(found) if found.isdecimal() else None, "the storage server"
        except StorageError:
            return error
        if limit is None:
            return error
        if limit >= whole_bytes:
            request_bytes = min(whole_bytes, self.chunk_bytes)
            what = f"Something in front of the storage does not take requests of {request_bytes} bytes"
            return StorageError(f"{what}, which UPLOAD_CHUNK_SIZE ({self.chunk_bytes}) has to fit: {error.message}")
        return ObjectTooLarge(f"The file is larger than {limit} bytes, the limit of {whose}.")

    def _settings(self, retries: Retries) -> dict[str, Any]:
        return self.call(Request("bucket", "GET", f"/bucket/{quote(self.api.bucket)}"), retries).members


def _with_body(operation: str, method: str, path: str, members: dict[str, Any]) -> Request:
    return Request(operation, method, path, {"Content-Type": "application/json"}, json.dumps(members).encode())


def once(seconds: float = SINGLE_CALL_SECONDS) -> Retries:
    """No patience: for what others ask again."""
    return Retries(Schedule(()), seconds)
