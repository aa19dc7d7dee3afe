"""The command: `python -m tests.doubles.storage --port N --folder DIR --secret S`."""

import argparse
import os
import threading
from pathlib import Path

from tests.doubles.storage.server import serve
from tests.doubles.storage.service import (
    DATABASE_CONNECTIONS,
    EXPIRY_SECONDS,
    GLOBAL_LIMIT_BYTES,
    IDLE_SECONDS,
    Service,
    Settings,
)


def _settings() -> tuple[Settings, bool]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="where the state is kept")
    parser.add_argument("--secret", required=True, help="what the keys are signed with")
    parser.add_argument("--bytes-per-second", type=float, help="of each body, in either direction")
    parser.add_argument("--global-limit", type=int, default=GLOBAL_LIMIT_BYTES, help="bytes of an object at most")
    parser.add_argument("--honest-location", action="store_true", help="upload URLs that can be followed")
    parser.add_argument("--s3", action="store_true", help="what differs with the S3 backend")
    parser.add_argument("--expiry-seconds", type=float, default=EXPIRY_SECONDS, help="of uploads, with --s3")
    parser.add_argument("--drain-seconds", type=float, default=3.0, help="what a running PATCH gets when another asks")
    parser.add_argument("--lock-seconds", type=float, default=5.0, help="how long an upload's lock is waited for")
    parser.add_argument("--idle-seconds", type=float, default=IDLE_SECONDS, help="how long a connection may be idle")
    parser.add_argument("--database-connections", type=int, default=DATABASE_CONNECTIONS, help="PATCHes at a time")
    parser.add_argument("--connection-seconds", type=float, default=3.0, help="how long one of these is waited for")
    parser.add_argument(
        "--completion-seconds", type=float, default=0.0, help="from a TUS upload's last byte to its object"
    )
    parser.add_argument("--sparse", action="store_true", help="keep the length of TUS uploads and not their content")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the process that started it")
    given = vars(parser.parse_args())
    tied = given.pop("until_stdin_closes")
    return Settings(**given), tied


def _end_with_stdin() -> None:
    # Not by sys.stdin, whose lock the interpreter needs when it ends.
    while os.read(0, 1024):
        pass
    os._exit(0)


def main() -> None:
    settings, tied = _settings()
    if tied:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    serve(Service(settings))


if __name__ == "__main__":
    main()
