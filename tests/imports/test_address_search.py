"""What holds an address, and what merely looks so."""

import json

import pytest

from dataflow.imports.address_search import holds, spellings

pytestmark = pytest.mark.unit

ADDRESS = "ann@example.com"


@pytest.mark.parametrize(
    "text",
    [
        *(ADDRESS, "ANN@Example.Com", "Ann <ann@example.com>", "mailto:ann@example.com", "'ann@example.com'"),
        *("Write to ann@example.com.", "=ann@example.com", "- ann@example.com", "-ann@example.com", "ann@example.com;"),
        *("Ann|ann@example.com|1", "joann@example.com ann@example.com", "ann@example.com_old", "…ann@example.com—"),
        json.dumps(["Ann", "Line 1\nann@example.com\tx"]),
        json.dumps({"contact": {"mails": [{"ann@example.com": 1}]}}),
        r'["\u0061nn@example.com"]',
    ],
)
def test_an_address_is_found_wherever_it_stands_alone(text: str) -> None:
    assert holds(text, ADDRESS)


@pytest.mark.parametrize(
    "text",
    [
        *("", "ann", "joann@example.com", "jo.ann@example.com", "jo-ann@example.com", "o'ann@example.com"),
        *("jo+ann@example.com", "jo_ann@example.com", "jo__ann@example.com", "ann@example.com.au", "ann@example.como"),
        *("ann@example.com-net.de", "ann@examplexcom", "éann@example.com", json.dumps(["joann@example.com"])),
    ],
)
def test_a_longer_address_is_somebody_elses(text: str) -> None:
    assert not holds(text, ADDRESS)


@pytest.mark.parametrize("address", ['"a\\"b"@example.com', '"a b"@example.com', "jörg@bücher.de", "a+b@example.com"])
def test_the_database_looks_for_each_way_in_which_a_row_may_have_been_kept(address: str) -> None:
    kept = [f'Ann,"{address.replace(chr(34), chr(34) * 2)}",x', json.dumps(["Ann", address]), f"Ann\t{address}"]
    kept.append(json.dumps(["Ann", address], ensure_ascii=False))
    for text in kept:
        assert any(spelling in text for spelling in spellings(address)), text
        assert holds(text, address), text


@pytest.mark.parametrize("text", ["[" * 4000, "9" * 5000, '{"a":', "\ud800", "nan"])
def test_what_cannot_be_read_as_json_is_text(text: str) -> None:
    assert not holds(text, ADDRESS)
    assert holds(f"{text} {ADDRESS}", ADDRESS)


def test_a_row_is_looked_through_however_deep_it_is_nested_and_however_often_it_has_others() -> None:
    deep = "[" * 700 + r'"\u0061nn@example.com"' + "]" * 700
    assert holds(deep, ADDRESS)
    assert not holds("jo" + ADDRESS + "." * 100_000, ADDRESS)
    assert not holds(("x-ann@example.com" * 50_000)[:-1], ADDRESS)
