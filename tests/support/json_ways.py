"""JSON without the fast way: every row of a document or a line is read for itself."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dataflow.formats.json import whole_rows


@contextmanager
def careful_only() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole_rows, "of_array", lambda _text: None)
        patch.setattr(whole_rows, "of_lines", lambda _lines: None)
        yield
