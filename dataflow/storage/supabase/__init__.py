"""Objects in a private bucket of Supabase Storage, over its REST and tus API.

How the server behaves, measured call by call, is in the contract that comments here cite. Uploads and downloads are
modules of their own; this one is the rest, and what ties them together.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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
from dataflow.storage.base import Description, StoredObject
from dataflow.storage.messages import Answer, Request
from dataflow.storage.retries import Retries, Schedule
from dataflow.storage.supabase.api import Api
from dataflow.storage.supabase.download import SupabaseReader
from dataflow.storage.supabase.upload import Upload, chunks

#: For a call without content, all its attempts together.
CALL_SECONDS = 20.0
#: ... and each attempt.
ANSWER_SECONDS = 10.0
#: For a call that is made once.
SINGLE_CALL_SECONDS = 3.0
JSON = {"Content-Type": "application/json"}


class SupabaseStorage:
    """A `Storage` in one bucket; may be used by any number of threads."""

    def __init__(self, api: Api, schedule: Schedule, chunk_bytes: int, cache_seconds: int) -> None:
        self._api = api
        self._schedule = schedule
        self._chunk_bytes = chunk_bytes
        self._cache_seconds = cache_seconds

    def put(
        self,
        key: str,
        pieces: Iterable[bytes],
        describe: Callable[[], Description],
        began: Callable[[str | None], None],
    ) -> StoredObject:
        upload = Upload(self._api, self._schedule, key, self._cache_seconds)
        try:
            retries = upload.run(chunks(pieces, self._chunk_bytes), describe, began)
        except ObjectTooLarge as error:
            raise self._with_limit(error) from error
        try:
            stored = self._info(key, retries)
        except ObjectMissing as error:
            raise UploadLost("The storage took the file and does not have it. Send it again.") from error
        if stored.size_bytes != upload.size_bytes:
            # The server checks nothing on the way in (contract section 0.7).
            raise UploadLost(f"The storage has {stored.size_bytes} of {upload.size_bytes} bytes. Send the file again.")
        return stored

    def discard(self, key: str, upload: str | None) -> None:
        # An upload may have completed without our hearing of it, and is an object then.
        if upload is not None:
            answer = self._api.exchange(tus.termination(upload), SINGLE_CALL_SECONDS)
            if not answer.is_success and not tus.is_over(answer):
                raise answer.error(self._api.bucket)
        self._delete(key, _once())

    @contextmanager
    def open(self, key: str) -> Iterator[SupabaseReader]:
        reader = SupabaseReader(self._api, self._schedule, key, self._info)
        try:
            yield reader
        finally:
            reader.release()

    def info(self, key: str) -> StoredObject:
        return self._info(key, self._retries())

    def delete(self, key: str) -> None:
        self._delete(key, self._retries())

    def sign(self, key: str, seconds: int) -> str:
        body = json.dumps({"expiresIn": seconds}).encode()
        request = Request("sign", "POST", self._api.object_path("sign", key), JSON, body)
        path = self._call(request, self._retries()).members.get("signedURL")
        if not isinstance(path, str):
            raise StorageError("The storage signed the object's address without telling it.")
        return self._api.base_url + path

    def check(self) -> None:
        """Look at the bucket: needs server, its database, a valid key and the bucket itself."""
        self._bucket(_once())

    def prepare(self) -> str:
        """Make the bucket, private."""
        name = self._api.bucket
        try:
            if self._bucket(self._retries()).members.get("public"):
                return f"The bucket {name} is public: whoever has an object's address can read it. Make it private."
            return f"The bucket {name} is there."
        except BucketMissing:
            body = json.dumps({"id": name, "name": name, "public": False}).encode()
            answer = self._api.exchange(Request("make_bucket", "POST", "/bucket", JSON, body), SINGLE_CALL_SECONDS)
            # 409: another process was faster.
            if not answer.is_success and answer.status != 409:
                raise answer.error(name) from None
            return f"The bucket {name} was made."

    def _retries(self) -> Retries:
        return Retries(self._schedule, CALL_SECONDS)

    def _call(self, request: Request, retries: Retries) -> Answer:
        """The answer to an idempotent request, which is repeated for as long as it makes sense.

        :raises StorageError: when the server refuses, or does not answer.
        """
        while True:
            try:
                answer = self._api.exchange(request, min(ANSWER_SECONDS, retries.attempt_seconds))
                if answer.is_success:
                    return answer
                raise answer.error(self._api.bucket)
            except StorageUnavailable as error:
                retries.pause(error)
                self._api.observer.retried(request.operation)

    def _info(self, key: str, retries: Retries) -> StoredObject:
        found = self._call(Request("info", "GET", self._api.object_path("info/authenticated", key)), retries).members
        if not isinstance(found.get("size"), int):
            raise StorageError("The storage does not tell the size of the object.")
        return StoredObject(found["size"], str(found.get("etag", "")))

    def _delete(self, key: str, retries: Retries) -> None:
        try:
            self._call(Request("delete", "DELETE", self._api.object_path("", key)), retries)
        except ObjectMissing:
            return

    def _bucket(self, retries: Retries) -> Answer:
        return self._call(Request("bucket", "GET", f"/bucket/{quote(self._api.bucket)}"), retries)

    def _with_limit(self, error: ObjectTooLarge) -> DataFlowError:
        """The same, with the limit where the server tells it."""
        try:
            limit = self._bucket(_once()).members.get("file_size_limit")
            whose = f"the bucket {self._api.bucket} (file_size_limit)"
            if not limit:
                answer = self._api.exchange(tus.options(), SINGLE_CALL_SECONDS)
                limit, whose = answer.headers.get("Tus-Max-Size"), "the storage server"
        except StorageError:
            return error
        return ObjectTooLarge(f"The file is larger than {limit} bytes, the limit of {whose}.") if limit else error


def _once() -> Retries:
    """No patience: for what is not worth it, or is asked again by others."""
    return Retries(Schedule(()), SINGLE_CALL_SECONDS)
