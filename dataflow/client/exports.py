"""`dataflow export`: contacts come as a stream into a file, which has its name when all of them are there."""

import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import requests

from dataflow.client.new_file import STANDARD_OUTPUT, free_name, new_file, offered_name, standard_output
from dataflow.client.patience import Patience
from dataflow.client.progress import Progress
from dataflow.client.service import BrokenOff, Refused, Service, pieces
from dataflow.errors import RequestError

#: Rows that are searched for among all contacts may be long in coming.
ROWS_TIMEOUT_SECONDS = 600.0


def export_file(url: str, path: Path | None, wanted: Mapping[str, str], key: str = "") -> int:
    """Write the contacts that are wanted to the file, else to one with the name that the service offers.

    :raises RequestError: when they are refused, cannot be had whole, or cannot be written.
    """
    patience = Patience()
    with Service(url, key) as service:
        while True:
            try:
                return _export(service, path, wanted)
            except Refused as error:
                # Perhaps it only serves as many exports as it may.
                patience.wait_after(error)
                print(f"{error.message} Asking again.", file=sys.stderr)


def _export(service: Service, path: Path | None, wanted: Mapping[str, str]) -> int:
    # What goes no further than this machine is not worth compressing.
    headers = {"Accept-Encoding": "identity"} if service.is_this_machine else {}
    with service.opened("GET", "/exports", ROWS_TIMEOUT_SECONDS, params=wanted, headers=headers) as response:
        path = path or free_name(offered_name(response.headers.get("Content-Disposition", "")))
        try:
            report(path, *_write(response, path))
        except BrokenOff as error:
            raise RequestError(f"{error.message} {_untouched(path)}") from error
        except (KeyboardInterrupt, SystemExit):
            print(f"dataflow: interrupted. {_untouched(path)}", file=sys.stderr)
            raise
    return 0


def _untouched(path: Path) -> str:
    return "What has come is not whole." if path == STANDARD_OUTPUT else f"Nothing was written to {path}."


def _write(response: requests.Response, path: Path) -> tuple[int, float]:
    """The bytes, and the seconds that they took."""
    began, size_bytes = time.monotonic(), 0
    # Then the contacts are on the terminal.
    is_seen = path == STANDARD_OUTPUT and sys.stdout.isatty()
    target = standard_output() if path == STANDARD_OUTPUT else new_file(path)
    with closing(Progress()) as progress, target as file:
        for piece in pieces(response):
            file.write(piece)
            size_bytes += len(piece)
            if not is_seen:
                progress.redraw("exporting", size(size_bytes))
    return size_bytes, time.monotonic() - began


def size(size_bytes: int) -> str:
    for least, unit in ((1_000_000, "MB"), (1000, "KB")):
        if size_bytes >= least:
            return f"{size_bytes / least:,.1f} {unit}"
    return f"{size_bytes} bytes"


def report(path: Path, size_bytes: int, seconds: float, contacts: int | None = None) -> None:
    """Say what was written; not among the contacts."""
    is_output = path == STANDARD_OUTPUT
    counted = "" if contacts is None else f"{contacts:,} contacts, "
    text = f"{counted}{size(size_bytes)} in {seconds:.2f} s"
    print(text if is_output else f"{path}: {text}", file=sys.stderr if is_output else sys.stdout)
