"""Figures as tables that a person can read."""

from collections.abc import Iterable, Sequence


def verdict(met: bool) -> str:
    """How a figure stands against its bar. Printed, not asserted: a busy machine proves nothing."""
    return "met" if met else "MISSED"


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """The first column flush left, figures flush right."""
    lines = [columns, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    print(f"\n{title}")
    for number, line in enumerate(lines):
        first, *others = (cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join([first.strip().ljust(widths[0]), *others]).rstrip(), flush=True)
        if number == 0:
            print("  ".join("-" * width for width in widths))
