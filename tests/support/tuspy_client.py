"""tuspy, as an application uses it that does not give up: whatever passes, it asks for the offset and goes on."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed
from tusclient.uploader.uploader import Uploader

#: Statuses after which the same may succeed; None is no answer at all.
PASSING = (None, 409, 423, 500, 502, 503, 504)
PAUSE_SECONDS = 0.05


class DeferringUploader(Uploader):
    """What tuspy lacks: the length is told with the last chunk."""

    def get_url_creation_headers(self) -> dict[str, str]:
        headers = super().get_url_creation_headers()
        del headers["upload-length"]
        return {**headers, "upload-defer-length": "1"}

    def _do_request(self) -> None:
        is_last = self.offset + self.get_request_length() == self.get_file_size()
        self.client.headers = {"upload-length": str(self.get_file_size())} if is_last else {}
        try:
            super()._do_request()
        finally:
            self.client.headers = {}


def upload(
    endpoint: str,
    file: Path,
    metadata: Mapping[str, str],
    *,
    chunk_bytes: int | None = None,
    is_deferred: bool = False,
    has_checksums: bool = False,
    seconds: float = 60,
) -> list[int | None]:
    """Upload the file within `seconds`; the statuses after which it was tried again."""
    kind = DeferringUploader if is_deferred else Uploader
    options: dict[str, Any] = {"metadata": dict(metadata), "upload_checksum": has_checksums}
    if chunk_bytes:
        options["chunk_size"] = chunk_bytes
    retried: list[int | None] = []
    deadline, url = time.monotonic() + seconds, None
    with file.open("rb") as stream:
        while True:
            uploader = None
            try:
                uploader = kind(file_stream=stream, client=TusClient(endpoint), url=url, **options)
                uploader.upload()
                return retried
            except (TusCommunicationError, TusUploadFailed) as error:
                if error.status_code not in PASSING:
                    raise
                assert time.monotonic() < deadline, retried
                retried.append(error.status_code)
            url = uploader.url if uploader else url
            time.sleep(PAUSE_SECONDS)
