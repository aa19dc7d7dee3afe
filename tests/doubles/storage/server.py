"""Accepts connections and reads requests from them, one thread each; `exchange` does the rest."""

import contextlib
import signal
import socket
import threading
import time

from tests.doubles.storage.body import Body
from tests.doubles.storage.exchange import Exchange
from tests.doubles.storage.faults import Fault
from tests.doubles.storage.messages import Request, Response, json_response, keeps_alive, parse_head
from tests.doubles.storage.service import Service
from tests.doubles.storage.wire import GLANCE_SECONDS, ClientGone, Pace, Wire

CONTROL = "/_double/"
#: The limit of the real server's platform for a request's head.
HEAD_BYTES = 16 << 10


def serve(service: Service) -> None:
    """Until SIGTERM; what runs then is served to its end."""
    signal.signal(signal.SIGTERM, _terminate)
    with (
        contextlib.suppress(Terminated),
        socket.create_server(("127.0.0.1", service.settings.port), backlog=256) as listening,
    ):
        while True:
            connected, _ = listening.accept()
            threading.Thread(target=_serve_connection, args=(service, Wire(connected)), daemon=True).start()
    while service.journal.is_busy():
        time.sleep(GLANCE_SECONDS)


class Terminated(Exception):
    """SIGTERM came."""


def _terminate(*_: object) -> None:
    raise Terminated


def _serve_connection(service: Service, wire: Wire) -> None:
    with contextlib.closing(wire), contextlib.suppress(ClientGone):
        while wire.wait_for_bytes(service.settings.idle_seconds) and _serve_request(service, wire):
            pass


def _serve_request(service: Service, wire: Wire) -> bool:
    """Whether the connection can be used again."""
    lines: list[bytes] = []
    while line := wire.line():
        lines.append(line)
        if sum(map(len, lines)) > HEAD_BYTES:
            return _refuse(wire, 431, "Request Header Fields Too Large")
    if not lines:
        return True
    try:
        method, target, version, headers = parse_head(lines)
        fault = None if target.startswith(CONTROL) else service.faults.take(method, target.partition("?")[0])
        body = Body(wire, headers, Pace(service.settings.bytes_per_second), fault)
    except ValueError:
        return _refuse(wire, 400, "Bad Request")
    if headers.get("expect", "").lower() == "100-continue":
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    request = Request(method, target, headers, body, is_gone=wire.is_gone)
    if target.startswith(CONTROL):
        return _control(service, wire, request)
    entry = service.journal.begin(request, service.is_authorized(request))
    return Exchange(service, wire, request, entry, fault).run(keeps_alive(version, headers))


def _refuse(wire: Wire, status: int, reason: str) -> bool:
    wire.send(f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
    wire.finish()
    return False


def _control(service: Service, wire: Wire, request: Request) -> bool:
    """The tests' own calls; they close the connection."""
    response = json_response(None)
    match request.method, request.path.removeprefix(CONTROL):
        case "POST", "faults":
            service.faults.add(Fault(**request.body.json()))
        case "DELETE", "faults":
            service.faults.clear()
        case "POST", "release":
            service.faults.release()
        case "GET", "journal":
            response = json_response(service.journal.as_json())
        case "DELETE", "journal":
            service.journal.clear()
        case _:
            response = Response(404)
    head = f"HTTP/1.1 {response.status} -\r\nConnection: close\r\nContent-Length: {len(response.body)}\r\n"
    wire.send(f"{head}Content-Type: application/json\r\n\r\n".encode() + response.body)
    wire.finish()
    return False
