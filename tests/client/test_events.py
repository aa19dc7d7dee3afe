"""The parser of server-sent events, by the rules and examples of the HTML standard."""

import pytest

from dataflow.client.events import Event, EventParser

pytestmark = pytest.mark.unit


def parsed(text: str) -> list[tuple[str, str]]:
    """The kind and content of each event, however the stream is cut."""
    content = text.encode()
    wholes = [(event.kind, event.content) for event in EventParser().feed(content)]
    for size in (1, 2, 3, 7):
        parser = EventParser()
        cut = [content[start : start + size] for start in range(0, len(content), size)]
        assert [(event.kind, event.content) for piece in cut for event in parser.feed(piece)] == wholes, size
    return wholes


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("data: one\n\n", [("message", "one")]),
        ("event: done\ndata: {}\nid: 7\n\n", [("done", "{}")]),
        (
            "data: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            [("message", "first event"), ("message", "second event"), ("message", " third event")],
        ),
        ("data: YHOO\ndata: +2\ndata: 10\n\n", [("message", "YHOO\n+2\n10")]),
        ("data\n\ndata\ndata\n\ndata:", [("message", ""), ("message", "\n")]),
        (": a comment\n\n: another\ndata: x\n\n", [("message", "x")]),
        ("event: lost\n\ndata: x\n\n", [("message", "x")]),
        ("data: a\r\n\r\ndata: b\r\rdata: c\n\n", [("message", "a"), ("message", "b"), ("message", "c")]),
        ("\ufeffdata: a\n\n\ufeffdata: b\n\n", [("message", "a")]),
        ("data: ünïcödé \U0001f600\n\n", [("message", "ünïcödé \U0001f600")]),
        ("other: x\ndata:a:b\n\n", [("message", "a:b")]),
        ("data: begun", []),
    ],
)
def test_events_are_what_the_standard_says_however_the_stream_is_cut(text: str, events: list[tuple[str, str]]) -> None:
    assert parsed(text) == events


@pytest.mark.parametrize(
    ("text", "last_event_id"),
    [
        ("id: 1\ndata: x\n\n", "1"),
        ("id: 1\ndata: x\n\ndata: y\n\n", "1"),
        ("id: 1\n\nid\n\n", ""),
        ("id: 2\ndata: begun\n", "0"),
        ("id: 3\0\ndata: x\n\n", "0"),
    ],
)
def test_the_id_to_go_on_from_is_that_of_the_last_whole_event(text: str, last_event_id: str) -> None:
    parser = EventParser("0")
    list(parser.feed(text.encode()))
    assert parser.last_event_id == last_event_id


@pytest.mark.parametrize(("text", "seconds"), [("retry: 2500\n", 2.5), ("retry: 2.5\n", 1.0), ("retry: ٣\n", 1.0)])
def test_the_server_says_when_to_come_again_in_milliseconds(text: str, seconds: float) -> None:
    parser = EventParser()
    assert list(parser.feed(text.encode())) == []
    assert parser.retry_seconds == seconds


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    assert list(EventParser().feed(b"data: a\xffb\n\n")) == [Event("message", "a\ufffdb")]
