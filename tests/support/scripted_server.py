"""A server that answers as a test says: path by path, one answer after the other."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.http_servers import LocalServer, QuietHandler, running


@dataclass
class Answer:
    """Of a body that is `cut` the end never comes; while it is `held`, the connection stays open behind it."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    is_cut: bool = False
    is_held: bool = False


class ScriptedServer(LocalServer):
    """The last answer of a path is given again and again; the path and headers of each request are in `asked`."""

    def __init__(self, answers: dict[str, list[Answer]]) -> None:
        super().__init__(_Handler)
        self.answers = answers
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.queries: list[str] = []
        self.bodies: list[bytes] = []
        self.let_go = threading.Event()

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


@contextmanager
def scripted(answers: dict[str, list[Answer]]) -> Iterator[ScriptedServer]:
    with running(ScriptedServer(answers)) as server:
        try:
            yield server
        finally:
            server.let_go.set()


class _Handler(QuietHandler):
    server: ScriptedServer

    def do_GET(self) -> None:  # noqa: N802 - as the library calls it
        path, _, query = self.path.partition("?")
        self.server.queries.append(query)
        self.server.asked.append((path, dict(self.headers)))
        answers = self.server.answers.get(path, [Answer(404)])
        self._send(answers.pop(0) if len(answers) > 1 else answers[0])

    def do_POST(self) -> None:  # noqa: N802 - as the library calls it
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.do_GET()

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Transfer-Encoding": "chunked"}.items():
            self.send_header(name, value)
        self.end_headers()
        if answer.body:
            self.wfile.write(f"{len(answer.body):x}\r\n".encode() + answer.body + b"\r\n")
        if answer.is_held:
            self.server.let_go.wait(60)
        self.close_connection = answer.is_cut or answer.is_held
        if not self.close_connection:
            self.wfile.write(b"0\r\n\r\n")
