"""A file that gets its name when it is whole; until then it has another one beside it."""

import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import unquote

from dataflow.errors import RequestError

STANDARD_OUTPUT: Final = Path("-")


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Takes what belongs to `path`, which has all of it at the end, or is left as it was.

    :raises RequestError: when the system does not do it.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    with told(path):
        try:
            with part.open("xb") as file:
                yield file
                keep(file)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Takes what another program reads, perhaps only the beginning of it.

    :raises RequestError: when it does not take it.
    """
    with told(STANDARD_OUTPUT), os.fdopen(sys.stdout.fileno(), "wb", closefd=False) as output:
        yield output


@contextmanager
def told(path: Path) -> Iterator[None]:
    """:raises RequestError: for what the system says of the file."""
    try:
        yield
    except OSError as error:
        name = "Standard output" if path == STANDARD_OUTPUT else path
        raise RequestError(f"{name}: {error.strerror}.") from error


def keep(file: BinaryIO) -> None:
    """Have it on the disk before it has its name: a machine that fails would leave the name without its content."""
    file.flush()
    os.fsync(file.fileno())


def offered_name(disposition: str) -> str:
    """The file name in a Content-Disposition, the better one of two (RFC 6266); empty when there is none."""
    if better := re.search(r"filename\*=UTF-8''([^;\s]+)", disposition, re.IGNORECASE):
        return unquote(better[1])
    header = Message()
    header["Content-Disposition"] = disposition
    return header.get_filename() or ""


def free_name(offered: str) -> Path:
    """The name that the service gives, as a file of this folder that is not there yet.

    :raises RequestError: when it gives none that is fit for one, or it is taken.
    """
    name = Path(offered.replace("\\", "/")).name
    if not name or not name.isprintable() or name.startswith("."):
        raise RequestError("The service names no file: say where the export goes.")
    if Path(name).exists():
        raise RequestError(f"{name}: there is such a file already; name the one to write.")
    return Path(name)
