"""Files of contacts of a size that a test chooses, each row different, all of it incompressible."""

import random
from pathlib import Path

#: A column that no import takes, so that few rows are many bytes.
NOTE_BYTES = 450


def write_contacts(path: Path, size_bytes: int, number: int = 0) -> list[tuple[str, str]]:
    """A CSV of about so many bytes; the names and addresses in it. Each number has another file."""
    chance = random.Random(number)
    is_small = size_bytes < 10_000
    rows: list[tuple[str, str]] = []
    with path.open("w", encoding="utf-8") as file:
        file.write("name,email\n" if is_small else "name,email,note\n")
        while file.tell() < size_bytes:
            rows.append((f"Contact {len(rows)} Ä😀", f"row{len(rows)}@file{number}.example"))
            note = "" if is_small else f",{chance.randbytes(NOTE_BYTES).hex()}"
            file.write(f"{','.join(rows[-1])}{note}\n")
    return rows
