"""`python -m tests.support.hostile PORT`: crowds come from stdin; when that is closed, what became of them is told."""

import json
import os
import resource
import sys
from dataclasses import asdict

from tests.support.hostile.crowds import Crowd
from tests.support.hostile.loop import Loop


def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    crowds = [Crowd(**crowd) for crowd in json.loads(_line())]
    held = Loop(int(sys.argv[1]), crowds).run(sys.stdin.fileno(), lambda: print("at work", flush=True))
    print(json.dumps([asdict(crowd) for crowd in held]), flush=True)


def _line() -> bytes:
    """The first line of stdin, and nothing of what is behind it: that stdin is readable is the sign to end."""
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(sys.stdin.fileno(), 1)
    return line


if __name__ == "__main__":
    main()
