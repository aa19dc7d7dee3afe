"""What hostile clients do, as plain facts that `loop` carries out: what is sent, how slowly, and what is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

HOST = "Host: 127.0.0.1"
#: Named before it is sent: a body that never gets there, and one that surely is more than a chunk.
SMALL_BYTES, BIG_BYTES = 60 * 1024, 10_000_000
PIECE_BYTES = 1024
ROW_BYTES = 64


@dataclass(frozen=True, slots=True)
class Crowd:
    """So many clients that all do the same. Who is hung up on comes again, but for those that had their answer."""

    name: str  #: figures are those of all that have it
    count: int
    head: str = ""  #: sent at once
    piece: str = ""  #: sent after that, one every `every_seconds`
    every_seconds: float = 1.0
    pieces: int | None = None  #: after so many the request is whole and its answer the end; None: it never is
    is_slow_reader: bool = False  #: reads one byte every `every_seconds`, else whatever comes
    held_seconds: float = 0.0  #: how long a connection that the server has ended is kept open


@dataclass(frozen=True, slots=True)
class Held:
    """What became of a crowd."""

    name: str
    count: int
    opened: int  #: connections, those of clients that came again included
    usual: int  #: median of how many were connected and had sent their head
    ends: Mapping[str, int]  #: by status of the answer, `closed` without one, or the error
    answers: Sequence[str] = ()  #: to whole requests

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Held":
        return cls(**found)

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {how}" for how, count in sorted(self.ends.items())) or "none"
        return f"{self.name}: {self.usual} of {self.count} held, {self.opened} opened, ended: {ends}"


def half_heads(count: int) -> list[Crowd]:
    """The beginning of a request, and no more; half of them as the second request of a connection."""
    half = f"GET /health HTTP/1.1\r\n{HOST}\r\nX-Half: "
    first = f"GET /jobs?limit=1 HTTP/1.1\r\n{HOST}\r\n\r\n"
    later = count // 10
    return [
        Crowd("half heads", count - later, half),
        Crowd("half heads behind a whole request", later, first + half),
    ]


def silent(count: int) -> list[Crowd]:
    """A connection, and nothing on it."""
    return [Crowd("silent", count)]


def never_closing(count: int) -> list[Crowd]:
    """Whole requests that ask for the connection's end, and leave it to the server; half of them are refused bodies."""
    asked = f"GET /jobs?limit=1 HTTP/1.1\r\n{HOST}\r\nConnection: close\r\n\r\n"
    refused = f"POST /import HTTP/1.1\r\n{HOST}\r\nConnection: close\r\nContent-Type: text/csv\r\nContent-Length: 90000"
    return [
        Crowd("never closing", count - count // 2, asked, held_seconds=10),
        Crowd("never closing, refused", count // 2, f"{refused}\r\n\r\n", held_seconds=10),
    ]


def slow_bodies(count: int) -> list[Crowd]:
    """Bodies of 1 KB/s: of few bytes, of many, and in chunks."""
    row = _rows("slow")
    chunk = f"{len(row):x}\r\n{row}\r\n"
    third = count // 3
    return [
        Crowd("1 KB/s, small", count - 2 * third, _post(f"Content-Length: {SMALL_BYTES}"), row),
        Crowd("1 KB/s, large", third, _post(f"Content-Length: {BIG_BYTES}"), row),
        Crowd("1 KB/s, chunked", third, _post("Transfer-Encoding: chunked"), chunk),
    ]


def dripping_bodies(count: int) -> list[Crowd]:
    """Bodies of a byte every five seconds, half of them to be looked at only, some within the head of a chunk."""
    drip = Crowd("byte in 5 s", 0, _post(f"Content-Length: {BIG_BYTES}"), "n", every_seconds=5)
    looked_at = _post(f"Content-Length: {BIG_BYTES}", path="/import/preview")
    half, chunked = count // 2, count // 8
    return [
        replace(drip, count=count - half - chunked),
        replace(drip, name="byte in 5 s, preview", count=half, head=looked_at),
        # Zeros before the length of a chunk are part of its head, and never of the body.
        replace(
            drip, name="byte in 5 s, chunk head", count=chunked, head=_post("Transfer-Encoding: chunked"), piece="0"
        ),
    ]


def slow_readers(count: int, paths: Sequence[str]) -> list[Crowd]:
    """Large answers, read at a byte a second."""
    share = count // len(paths)
    return [Crowd(f"slow readers {path.rpartition('/')[2]}", share, _get(path), is_slow_reader=True) for path in paths]


def patient_body(source: str, seconds: int) -> tuple[Crowd, list[str]]:
    """An honest client with 1 KB/s and a file for so many seconds; and the addresses in it."""
    length = f"Content-Length: {patient_bytes(source, seconds)}"
    return _patient(_post(length, f"X-Source: {source}", "Connection: close"), source, seconds)


def patient_patch(path: str, source: str, seconds: int) -> tuple[Crowd, list[str]]:
    """The same client with an upload (tus) that was made at `path`, for as many bytes: all of them in one request."""
    lines = [f"PATCH {path} HTTP/1.1", HOST, "Tus-Resumable: 1.0.0", "Upload-Offset: 0", "Connection: close"]
    lines += ["Content-Type: application/offset+octet-stream", f"Content-Length: {patient_bytes(source, seconds)}"]
    return _patient("\r\n".join([*lines, "", ""]), source, seconds)


def patient_bytes(source: str, seconds: int) -> int:
    return len(HEADER) + len(_rows(source)) * seconds


def _patient(head: str, source: str, seconds: int) -> tuple[Crowd, list[str]]:
    rows = _rows(source)
    emails = [row.partition(",")[2] for row in rows.split()] * seconds
    return Crowd("1 KB/s, to the end", 1, head + HEADER, rows, pieces=seconds), emails


HEADER = "name,email\n"


def _rows(domain: str) -> str:
    """A KiB of contacts."""
    ends = [f"{number}@{domain.replace(' ', '-')}.example\n" for number in range(PIECE_BYTES // ROW_BYTES)]
    return "".join(f"Name,{end.rjust(ROW_BYTES - len('Name,'), 'a')}" for end in ends)


def _post(*headers: str, path: str = "/import") -> str:
    if not any(header.startswith("X-Source") for header in headers):
        headers = (*headers, "X-Source: hostile")
    lines = [f"POST {path} HTTP/1.1", HOST, "Content-Type: text/csv", *headers]
    return "\r\n".join([*lines, "", ""])


def _get(path: str) -> str:
    return f"GET {path} HTTP/1.1\r\n{HOST}\r\n\r\n"
