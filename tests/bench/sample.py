"""The contacts of the benchmark and how each format writes them: always the same, never in memory as a whole."""

import json
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

SOURCE = "bench"
#: The lengths have no common divisor, so every first name meets every last name and every domain.
FIRST_NAMES = (
    *("Anna", "Ben", "Chloé", "David", "Elena", "Frank", "Grace", "Hans-Peter", "Ivan", "James", "María José", "Noah"),
    *("Olivia", "Peter", "Quentin", "Sofia", "Thomas", "Ursula", "Łukasz", "Yusuf", "Zara", "Liam", "美咲"),
)
LAST_NAMES = (
    *("Müller", "Smith", "Johnson", "García Márquez", "Nguyen", "Kowalski", "Rossi", "O'Neill", "Schmidt", "Brown"),
    *("Baker", "Dubois", "Silva", "Andersson", "Novak", "King, Jr.", "Taylor", "Åkesson", "Walker"),
)
DOMAINS = ("example.com", "mail.example.org", "example.co.uk", "shop.example.net", "example.de")
#: Contacts written in one go, and in the block that a long body repeats.
BLOCK_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Layout:
    """How a format writes contacts: `head`, the rows with `separator` between them, `tail`."""

    media_type: str
    row: Callable[[str, str], str]
    head: str = ""
    separator: str = "\n"
    tail: str = "\n"

    def pieces(self, rows: int) -> Iterator[bytes]:
        """A file of `rows` contacts, all addresses different."""
        everyone, opening = contacts(rows), self.head
        while block := [self.row(*contact) for contact in islice(everyone, BLOCK_ROWS)]:
            yield (opening + self.separator.join(block)).encode()
            opening = self.separator
        yield self.tail.encode()

    def body(self, size_bytes: int) -> "Body":
        """At least `size_bytes` of contacts, in whole blocks of the same ones."""
        block = self.separator.join(self.row(*contact) for contact in contacts(BLOCK_ROWS)).encode()
        return Body(
            self.head.encode(), block, self.separator.encode(), -(-size_bytes // len(block)), self.tail.encode()
        )


@dataclass(frozen=True, slots=True)
class Body:
    """A body of any size in the memory of one block, which comes `copies` times; requests sends it block by block."""

    head: bytes
    block: bytes
    separator: bytes
    copies: int
    tail: bytes

    def __len__(self) -> int:
        blocks = self.copies * (len(self.block) + len(self.separator)) - len(self.separator)
        return len(self.head) + blocks + len(self.tail)

    def __iter__(self) -> Iterator[bytes]:
        yield self.head + self.block
        for _ in range(self.copies - 1):
            yield self.separator + self.block
        yield self.tail


def contacts(rows: int) -> Iterator[tuple[str, str]]:
    """Names and addresses; no address comes twice."""
    spelled = {name: _in_address(name) for name in (*FIRST_NAMES, *LAST_NAMES)}
    for number in range(rows):
        first, last = FIRST_NAMES[number % len(FIRST_NAMES)], LAST_NAMES[number % len(LAST_NAMES)]
        domain = DOMAINS[number % len(DOMAINS)]
        yield f"{first} {last}", f"{spelled[first]}.{spelled[last]}{number}@{domain}"


def _in_address(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return "".join(filter(str.isalnum, plain)) or "contact"


def _as_object(name: str, email: str) -> str:
    return json.dumps({"name": name, "email": email}, ensure_ascii=False, separators=(",", ":"))


def _as_cells(name: str, email: str) -> str:
    return f'"{name}",{email}' if "," in name else f"{name},{email}"


LAYOUTS = {
    "json": Layout("application/json", _as_object, f'{{"source":"{SOURCE}","data":[', ",", '],"useResumable":false}'),
    "ndjson": Layout("application/x-ndjson", _as_object),
    "csv": Layout("text/csv", _as_cells, "name,email\n"),
}
#: Rows for psql, which has nowhere else to learn the source from.
PSQL = Layout("text/csv", lambda name, email: f"{_as_cells(name, email)},{SOURCE}")
