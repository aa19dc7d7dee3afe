"""How far something is, as a bar on standard error: redrawn on a terminal, elsewhere a line for each new label."""

import shutil
import sys
from typing import NoReturn

from tqdm import tqdm


class Progress:
    def __init__(self) -> None:
        self._label = ""
        self._bar: tqdm[NoReturn] | None = None

    def show(self, label: str, done: int, total: int | None, detail: str) -> None:
        """Without a total there is only what it says."""
        part = min(done / total, 1.0) if total else 0.0
        form = f"{label:<9} [{{bar:30}}] {{percentage:3.0f}}% {detail}" if total else f"{label:<9} {detail}"
        if not sys.stderr.isatty():
            if label != self._label:
                print(tqdm.format_meter(part, 1.0, 0, bar_format=form, ascii=" #"), file=sys.stderr)
        elif self._bar is None:
            # tqdm itself draws nothing on a terminal that does not tell its size.
            columns, rows = shutil.get_terminal_size()
            self._bar = tqdm(
                total=1.0, initial=part, bar_format=form, ascii=" #", miniters=0, ncols=columns, nrows=rows
            )
        else:
            self._bar.bar_format = form
            self._bar.update(part - self._bar.n)
            if label != self._label:
                self._bar.refresh()
        self._label = label

    def redraw(self, label: str, detail: str) -> None:
        """What has no end that is known, on a terminal only."""
        if sys.stderr.isatty():
            self.show(label, 0, None, detail)

    def note(self, text: str) -> None:
        self.close()
        print(text, file=sys.stderr)

    def close(self) -> None:
        """Leave the bar standing as it is."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None
