"""Watching a server at work: requests that are half sent, held or over, and clients that leave them so."""

import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.doubles.storage.plain import Plain
from tests.doubles.storage.process import StorageDouble
from tests.support.waiting import eventually

CHUNK_TYPE: Final = "application/offset+octet-stream"
#: More than the sockets of a machine hold together.
LARGE_BYTES: Final = 32 << 20
#: Options of a server that waits a tenth as long as the real one.
HASTY: Final = {"drain_seconds": 0.3, "lock_seconds": 0.5, "idle_seconds": 0.6}


def size_of(client: Plain, key: str) -> int | None:
    info = client.ask("GET", f"/object/info/imports/{key}")
    return info.json["size"] if info.status == 200 else None


def files(double: StorageDouble) -> list[Path]:
    return list((double.folder / "bytes").iterdir())


def arrived(double: StorageDouble, method: str, received_bytes: int = 0) -> Callable[[], dict[str, Any] | None]:
    """Asks for the last request of a method, once so much of its body is there."""

    def last() -> dict[str, Any] | None:
        found = [entry for entry in double.journal() if entry["method"] == method]
        return found[-1] if found and found[-1]["received_bytes"] >= received_bytes else None

    return last


def held(double: StorageDouble, method: str) -> dict[str, Any]:
    """The last request of a method, once a stall holds it."""
    last = arrived(double, method)
    return eventually(lambda: entry if (entry := last()) and entry["held"] else None)


def ended(double: StorageDouble, method: str) -> dict[str, Any]:
    """The last request of a method, once it is over."""
    last = arrived(double, method)
    return eventually(lambda: entry if (entry := last()) and entry["ended"] else None)


def leave_with_rst(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def leave_with_fin(connection: socket.socket) -> None:
    connection.close()


def begin_patch(client: Plain, name: str, part: bytes, length_bytes: int) -> socket.socket:
    """The connection of a request that is not over, when the server has this part of its body."""

    def has_part() -> bool:
        # Others may be under way that have come as far.
        mine = (entry for entry in client.double.journal() if entry["method"] == "PATCH" and name in entry["path"])
        return any(entry["received_bytes"] >= len(part) and not entry["ended"] for entry in mine)

    headers = {"tus_resumable": "1.0.0", "upload_offset": "0", "content_type": CHUNK_TYPE}
    connection = client.begin("PATCH", f"/upload/resumable/{name}", part, length_bytes, **headers)
    eventually(has_part)
    return connection
