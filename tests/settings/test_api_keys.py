"""API_KEYS, METRICS_KEY and TOKEN_SECRET: what they may be, and that no message or repr shows any of them."""

import hashlib
import traceback

import pytest
from marshmallow import ValidationError

from dataflow.config import Config
from dataflow.errors import ConfigError
from dataflow.settings.api_keys import ApiKey, digest_of, parse

pytestmark = pytest.mark.unit

KEY, OTHER = "hunter2-hunter2-hunter2", "hunter3-hunter3-hunter3"


def refusal(name: str, value: str, **others: str) -> str:
    """What is wrong with a setting; nothing of its value is in there, or in what a traceback would show."""
    with pytest.raises(ConfigError) as caught:
        Config.from_env({name: value, **others})
    assert "hunter" not in "".join(traceback.format_exception(caught.value))
    [_, problem] = caught.value.message.split("\n")
    return problem.strip()


@pytest.mark.parametrize("value", ["", "open"])
def test_there_may_be_none(value: str) -> None:
    assert parse(value) == ()
    assert Config.from_env({"API_KEYS": value}).api_keys == value


@pytest.mark.parametrize("between", [",", " ", "\n", "\t", ", ", ",\r\n  ", " ,, "])
def test_entries_are_apart_by_commas_and_white_space(between: str) -> None:
    value = f"{between}shop:{KEY}{between}crm.x-1_Y:{OTHER}:leads|customers{between}"
    assert parse(value) == (
        ApiKey("shop", digest_of(KEY)),
        ApiKey("crm.x-1_Y", digest_of(OTHER), frozenset({"leads", "customers"})),
    )


def test_a_key_is_compared_by_its_digest() -> None:
    assert digest_of(KEY) == hashlib.sha256(KEY.encode()).digest()
    assert digest_of("\udc80") != digest_of("?")


@pytest.mark.parametrize(
    ("written", "source"),
    [("a%20b", "a b"), ("a%2Cb%3Ac%7Cd", "a,b:c|d"), ("Z%C3%BCrich", "Zürich"), ("Zürich", "Zürich"), ("100%", "100%")],
)
def test_a_source_may_be_percent_encoded(written: str, source: str) -> None:
    [key] = parse(f"shop:{KEY}:{written}|other")
    assert key.sources == {source, "other"}


def test_a_key_may_have_all_visible_characters_but_the_separators() -> None:
    visible = "".join(chr(code) for code in range(33, 127) if chr(code) not in ",:|")
    assert parse(f"shop:{visible}") == (ApiKey("shop", digest_of(visible)),)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (" ", "has no keys"),
        (",", "has no keys"),
        (KEY, "entry 1 is not name:key"),
        (f"open shop:{KEY}", "entry 1 is not name:key"),
        ("OPEN", "entry 1 is not name:key"),
        (f"shop:{KEY} crm:", "entry 2 is not name:key"),
        (f":{KEY}", "the name of entry 1 "),
        (f"{'x' * 51}:{KEY}", "the name of entry 1 "),
        (f"shöp:{KEY}", "the name of entry 1 "),
        (f"a#b:{KEY}", "the name of entry 1 "),
        (f"{KEY}~:{KEY}", "the name of entry 1 "),
        (f"shop:{KEY[:19]}", "the key of entry 1 "),
        (f"shop:{KEY}|x", "the key of entry 1 "),
        (f"shop:hünter2-{KEY}", "the key of entry 1 "),
        (f"shop:{KEY}\x00", "the key of entry 1 "),
        (f"shop:{KEY}\x7f", "the key of entry 1 "),
        (f"shop:{KEY}\u00a0", "the key of entry 1 "),
        (f"shop:{KEY}:a:hunter2", "entry 1 has more than two colons"),
        (f"shop:{KEY}:", "a source of entry 1 "),
        (f"shop:{KEY}:a||b", "a source of entry 1 "),
        (f"shop:{KEY}:%20", "a source of entry 1 "),
        (f"shop:{KEY}:%FF", "a source of entry 1 "),
        (f"shop:{KEY}:{'x' * 101}", "a source of entry 1 "),
        (f"shop:{KEY} crm:{OTHER} shop:{OTHER}x", "entries 1 and 3 have the same name"),
        (f"shop:{KEY},crm:{OTHER},web:{OTHER}:a", "entries 2 and 3 have the same key"),
    ],
)
def test_what_is_wrong_is_said_by_the_number_of_the_entry(value: str, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        parse(value)
    assert refusal("API_KEYS", value).startswith(f"API_KEYS: {problem}")


@pytest.mark.parametrize("value", ["hunter2", f"{KEY},{OTHER}", f"{KEY} ", f"metrics:{KEY}"])
def test_the_key_of_the_metrics_is_a_key(value: str) -> None:
    assert refusal("METRICS_KEY", value).startswith("METRICS_KEY: must be 20 or more visible ASCII characters")
    assert Config.from_env({"METRICS_KEY": KEY}).metrics_key == KEY


def test_the_key_of_the_metrics_opens_nothing_else() -> None:
    keys = f"crm:{OTHER},shop:{KEY}"
    assert refusal("METRICS_KEY", KEY, API_KEYS=keys).startswith("METRICS_KEY: opens /metrics and nothing else")
    assert Config.from_env({"METRICS_KEY": f"{KEY}x", "API_KEYS": keys}).metrics_key == f"{KEY}x"


def test_the_secret_of_the_tokens_is_long() -> None:
    assert refusal("TOKEN_SECRET", "hunter2" * 4).startswith("TOKEN_SECRET: must be 32 or more random characters")
    assert Config.from_env({"TOKEN_SECRET": "x" * 32}).token_secret == "x" * 32


def test_no_key_and_no_secret_is_in_a_repr() -> None:
    variables = {"API_KEYS": f"shop:{KEY}", "METRICS_KEY": OTHER, "TOKEN_SECRET": "hunter4" * 5}
    shown = f"{Config.from_env(variables)!r} {parse(variables['API_KEYS'])!r}"
    assert "hunter" not in shown
    assert digest_of(KEY).hex() not in shown and repr(digest_of(KEY)) not in shown
