"""What is under way when all is to stop is cut, and so is what begins later; what is over is left alone."""

import pytest

from dataflow.storage.stop import Stop

pytestmark = pytest.mark.unit


class Request:
    def __init__(self) -> None:
        self.is_cut = False

    def cut(self) -> None:
        self.is_cut = True


def test_what_is_lent_is_cut_and_what_has_ended_is_not():
    stop, held, inquiry, over = Stop(), Request(), Request(), Request()
    with stop.cutting(held):
        with stop.cutting(over):
            pass
        with stop.cutting(inquiry):
            assert not stop.wait(0)
            stop.set()
    assert (held.is_cut, inquiry.is_cut, over.is_cut) == (True, True, False)
    assert stop.wait(60)


def test_what_begins_after_the_stop_is_cut_at_once():
    stop, late = Stop(), Request()
    stop.set()
    with stop.cutting(late):
        assert late.is_cut
