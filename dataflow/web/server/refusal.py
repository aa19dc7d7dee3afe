"""What is answered to what is no sound request: JSON as for all errors, where gunicorn itself would write HTML."""

import json
from typing import Any

from gunicorn import util


class JsonRefusal:
    """Stands for the client's socket while gunicorn explains `problem`, and sends the same in JSON."""

    def __init__(self, client: Any, problem: BaseException) -> None:
        self._client = client
        self._problem = problem

    def gettimeout(self) -> float:
        return 0.0

    def sendall(self, answer: bytes) -> None:
        _, status, reason = answer.partition(b"\r\n")[0].decode("latin-1").split(" ", 2)
        # What was no fault of the client's may tell of the inside.
        text = f"{reason}: {self._problem}" if int(status) < 500 else reason
        code = reason.lower().replace(" ", "_").replace("internal_server_error", "internal_error")
        body = json.dumps({"error": text, "code": code, "status": int(status)}).encode() + b"\n"
        head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        util.write_nonblock(self._client, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
