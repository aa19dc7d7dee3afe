"""Hostile clients as tests hold them: a process that is started, told to stop, and asked what became of them."""

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.hostile.crowds import Crowd, Held

ROOT = Path(__file__).resolve().parents[3]
#: For the connections to be made, and for the end.
DEADLINE_SECONDS = 30.0


class HostileClients:
    """Clients of the server at a port of this machine; they end with this object, and with this process."""

    def __init__(self, port: int, crowds: Iterable[Crowd]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.hostile", str(port)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        assert self._process.stdin
        print(json.dumps([asdict(crowd) for crowd in crowds]), file=self._process.stdin, flush=True)

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("it ended")

    def wait_until_at_work(self, seconds: float) -> None:
        """Return when each is connected and has sent its head, at the latest after `seconds`: a server that is full
        hangs up on some at any time.
        """
        with suppress(queue.Empty):
            line = self._lines.get(timeout=seconds)
            assert line == "at work\n", line

    def stop(self) -> list[Held]:
        """Close all connections; what became of each crowd."""
        assert self._process.stdin
        self._process.stdin.close()
        line = self._lines.get(timeout=DEADLINE_SECONDS)
        if line == "at work\n":
            line = self._lines.get(timeout=DEADLINE_SECONDS)
        assert self._process.wait(DEADLINE_SECONDS) == 0
        return [Held.from_json(found) for found in json.loads(line)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._listener.join()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream
            stream.close()
