"""Where the embedded Postgres of a DATA_DIR is found, whether it runs or not."""

import hashlib
import os
import tempfile
from pathlib import Path
from urllib.parse import quote

#: `sun_path` holds 108 bytes on Linux and 104 on macOS, the socket's own name and a NUL included.
MAX_SOCKET_DIR_BYTES = 103 - len("/.s.PGSQL.5432")


def socket_dir(data_dir: Path) -> Path:
    """The folder of its Unix socket: inside `data_dir`, where a socket address can hold that path.

    libpq takes a path with a comma for two hosts. Otherwise it is a private folder of the temporary directory, whose
    name follows from `data_dir`, so that every process finds it without asking.
    """
    inside = data_dir.resolve() / "run" / "postgres"
    if len(os.fsencode(inside)) <= MAX_SOCKET_DIR_BYTES and "," not in str(inside):
        return inside
    digest = hashlib.sha256(os.fsencode(inside)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"dataflow-{os.getuid()}-{digest}"


def embedded_url(data_dir: Path) -> str:
    # The port names the socket's file; left out, libpq would take PGPORT from the user's environment.
    return f"postgresql://postgres@/postgres?host={quote(str(socket_dir(data_dir)), safe='/')}&port=5432"
