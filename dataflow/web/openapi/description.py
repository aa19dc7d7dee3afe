"""What a route says of itself: what it takes and answers, and with which errors. Putting it together is `document`'s.

Examples that belong together have one name, in parameters, bodies and answers: a request made of those that are called
`success` gets the success under which it stands, one of those called like an error code that error.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from marshmallow import Schema

View = TypeVar("View", bound=Callable[..., Any])
#: What marks examples of requests that succeed.
SUCCESS: Final = "success"
JSON: Final = "application/json"
_ATTRIBUTE: Final = "__descriptions__"


@dataclass(frozen=True, slots=True)
class Header:
    """Of a request or an answer."""

    name: str
    text: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent, by media type: a schema of marshmallow or of JSON, and examples by their names."""

    content: Mapping[str, tuple[Any, Mapping[str, Any]]]
    text: str = ""
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """A success: for each media type a schema, as in `Body`, and an example."""

    text: str
    content: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    headers: Sequence[Header] = ()


@dataclass(frozen=True, slots=True)
class Description:
    summary: str
    answers: Mapping[int, Answer]
    text: str = ""
    query: type[Schema] | None = None
    headers: Sequence[Header] = ()
    #: whose members are headers as well: X-On-Conflict for onConflict
    header_options: type[Schema] | None = None
    body: Body | None = None
    errors: Sequence[str] = ()  #: codes, beside those that all routes have
    #: by their name, values of parameters by theirs
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {SUCCESS: {}})
    is_open: bool = False  #: needs no key
    uses_database: bool = True


def described(
    summary: str, answers: Mapping[int, Answer], methods: Sequence[str] = (), **more: Any
) -> Callable[[View], View]:
    """Has a view say what it does, for those of its `methods` that have no description yet (default: all others).

    The parameters are those of `Description`.
    """

    def note(view: View) -> View:
        given = Description(summary, answers, **more)
        setattr(view, _ATTRIBUTE, {**of(view), **dict.fromkeys(methods or [""], given)})
        return view

    return note


def of(view: Callable[..., Any]) -> Mapping[str, Description]:
    """By method; under no method that of all others."""
    found: Mapping[str, Description] = getattr(view, _ATTRIBUTE, {})
    return found


def find(view: Callable[..., Any], method: str) -> Description | None:
    said = of(view)
    return said.get(method) or said.get("")


def typed_answer(text: str, content: Mapping[str, tuple[Any, Any]], headers: Sequence[Header] = ()) -> Answer:
    """With a body of one of several media types."""
    return Answer(text, content, headers)


def bare_answer(text: str, headers: Sequence[Header] = ()) -> Answer:
    """Without a body."""
    return Answer(text, headers=headers)


def json_answer(text: str, schema: type[Schema], example: Any, headers: Sequence[Header] = ()) -> Answer:
    return Answer(text, {JSON: (schema, example)}, headers)
