"""Addresses and times as parameters."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from marshmallow import Schema, ValidationError

from dataflow.contacts.filters import Address, Moment

pytestmark = pytest.mark.unit


class Query(Schema):
    email = Address()
    moment = Moment()


def loaded(**given: str) -> object:
    [value] = Query().load(given).values()
    return value


def refusal(**given: str) -> str:
    with pytest.raises(ValidationError) as refused:
        Query().load(given)
    return " ".join(refused.value.messages_dict[next(iter(given))])


@pytest.mark.parametrize(
    "address", ["ann@example.com", "Ann+Tag@Example.COM", "o'neil@example.com", '"a b"@example.com', "jörg@bücher.de"]
)
def test_an_address_stays_as_it_is(address: str) -> None:
    assert loaded(email=address) == address


@pytest.mark.parametrize(
    "text", ["", "zzq", "zzq@", "@zzq.com", "zzq@@example.com", "zzq@example", " zzq@example.com", "zzq@a.com,b@a.com"]
)
def test_what_is_no_address_is_refused_without_being_repeated(text: str) -> None:
    assert "zzq" not in refusal(email=text)


@pytest.mark.parametrize("text", ["a\0@example.com", "a" * 250 + "@example.com", "%@", "a\nb@example.com"])
def test_what_no_table_holds_is_refused(text: str) -> None:
    assert refusal(email=text)


def test_a_plus_that_became_a_blank_is_explained() -> None:
    assert refusal(email="ann tag@example.com").endswith("Write + as %2B: alone it is a blank.")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-30", datetime(2026, 11, 30, tzinfo=UTC)),
        ("2026-11-30T09:00:00Z", datetime(2026, 11, 30, 9, tzinfo=UTC)),
        ("2026-11-30t09:00:00z", datetime(2026, 11, 30, 9, tzinfo=UTC)),
        ("2026-11-30T09:00:00.125Z", datetime(2026, 11, 30, 9, 0, 0, 125_000, tzinfo=UTC)),
        ("2026-11-30T09:00:00-03:30", datetime(2026, 11, 30, 9, tzinfo=timezone(-timedelta(hours=3, minutes=30)))),
        ("2026-11-30T00:30:00+01:00", datetime(2026, 11, 29, 23, 30, tzinfo=UTC)),
        ("0199-02-09T20:23:00+23:15", datetime(199, 2, 8, 21, 8, tzinfo=UTC)),
    ],
)
def test_a_moment_is_a_time_of_rfc_3339_or_the_beginning_of_a_day_in_utc(text: str, expected: datetime) -> None:
    assert loaded(moment=text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2026", "2026-11", "20261130", "2026-W49-1", "2026-13-01", "2026-02-30", "0000-01-01"),
        *("2026-11-30T09:00:00", "2026-11-30 09:00:00Z", "2026-11-30T09:00Z", "2026-11-30T24:00:00Z"),
        *("2026-11-30T09:00:00 01:00", "2026-11-30T09:00:00+25:00", "infinity", "२०२६-११-३०"),
        *("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"),
    ],
)
def test_any_other_text_is_refused_with_an_example(text: str) -> None:
    assert refusal(moment=text).startswith("Expected a date or a time, as in 2026-11-30, 2026-11-30T09:00:00Z")
