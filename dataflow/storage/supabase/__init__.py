"""Objects in a private bucket of Supabase Storage, over its REST and tus API.

How the server behaves, measured call by call, is in the contract that comments here cite.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from dataflow.errors import ObjectMissing, UploadLost
from dataflow.storage import tus
from dataflow.storage.base import Began, Completion, Describe, Description, StoredObject
from dataflow.storage.chunks import chunks
from dataflow.storage.stop import Stop
from dataflow.storage.supabase.bucket import SINGLE_CALL_SECONDS, Bucket, once
from dataflow.storage.supabase.download import SupabaseReader
from dataflow.storage.supabase.upload import SupabaseUpload

#: A PATCH that still runs is ended first, which takes the server about 3 s.
TERMINATION_SECONDS = 5.0
#: For a termination and for any other call when the process ends: it is killed four seconds after it was told to.
HURRIED_SECONDS = 2.0, 0.75


class SupabaseStorage(Bucket):
    """A `Storage` in one bucket; may be used by any number of threads."""

    def put(
        self, key: str, pieces: Iterable[bytes], describe: Describe, began: Began, stop: Stop | None = None
    ) -> StoredObject | Completion:
        parts = chunks(pieces, self.chunk_bytes)
        chunk, is_last = next(parts)
        description = describe()
        upload = self._new(key, description, stop, began)
        if is_last and not description.is_resumable:
            return upload.finish(chunk, description)
        while not is_last:
            upload.append(chunk)
            chunk, is_last = next(parts)
        return upload.finish(chunk)

    def begin(self, key: str, description: Description, stop: Stop | None = None) -> SupabaseUpload:
        upload = self._new(key, description, stop)
        upload.create()
        return upload

    def _new(self, key: str, description: Description, stop: Stop | None, began: Began | None = None) -> SupabaseUpload:
        creation = tus.creation(self.api.bucket, key, description, self.cache_seconds)
        return SupabaseUpload(self, key, tus.TusUpload(self.api.bucket, creation), stop, began)

    def resume(self, key: str, address: str, stop: Stop | None = None) -> SupabaseUpload:
        upload = tus.TusUpload(self.api.bucket, None, address)
        answer = self.call(tus.inquiry(upload.path), self.retries(stop), (400, 404, 410), stop)
        if answer.is_success:
            upload.note_found(answer)
            return SupabaseUpload(self, key, upload, stop)
        # The server forgets an upload some time after it has become an object (contract section 8, lifetime).
        try:
            upload.note_object(self.info(key, stop=stop).size_bytes)
        except ObjectMissing as error:
            lost = f"The storage has lost the upload (status {answer.status}). Send the file again."
            raise UploadLost(lost) from error
        return SupabaseUpload(self, key, upload, stop)

    def discard(self, key: str, address: str | None, is_hurried: bool = False) -> None:
        patient_seconds = TERMINATION_SECONDS, SINGLE_CALL_SECONDS
        termination_seconds, call_seconds = HURRIED_SECONDS if is_hurried else patient_seconds
        try:
            if address is not None:
                self._terminate(address, termination_seconds, call_seconds)
        finally:
            # Whatever became of the upload, it may be an object by now.
            self.delete(key, once(call_seconds))

    def _terminate(self, address: str, seconds: float, call_seconds: float) -> None:
        answer = self.api.exchange(tus.termination(address), seconds)
        if tus.is_gone(answer):
            return
        if not tus.is_complete(answer):
            raise answer.error(self.api.bucket)
        # Complete, but perhaps not registered, and then no request reaches its bytes: have it become an object.
        found = self.api.exchange(tus.inquiry(address), call_seconds)
        if found.is_success:
            upload = tus.TusUpload(self.api.bucket, None, address)
            upload.note_found(found)
            found = self.api.exchange(tus.patch(address, upload.offset), call_seconds)
        if not tus.is_gone(found):
            raise found.error(self.api.bucket)

    @contextmanager
    def open(self, key: str, offset: int = 0, patience_seconds: float | None = None) -> Iterator[SupabaseReader]:
        reader = SupabaseReader(self.api, self.schedule, key, offset, patience_seconds)
        try:
            yield reader
        finally:
            reader.release()
