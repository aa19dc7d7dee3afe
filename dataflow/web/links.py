"""Where the API is served, and the links in its answers: they stay below the prefix by which the request came."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from flask import Blueprint, Flask, request, url_for

from dataflow.web import parameters

Row = TypeVar("Row")

#: Each resource is at both, under names of its own for `url_for`.
_PREFIXES: Final = {"api": "", "api-v1": "/v1"}


def register(app: Flask, resource: Blueprint) -> None:
    for name, prefix in _PREFIXES.items():
        app.register_blueprint(resource, url_prefix=prefix, name=f"{name}:{resource.name}")


def to(view: str, **values: Any) -> str:
    """The path of a view, such as jobs.show."""
    return url_for(f"{(request.blueprint or '').partition(':')[0]}:{view}", **values)


def is_below_v1() -> bool:
    return bool(_PREFIXES[(request.blueprint or "api").partition(":")[0]])


def paged(
    rows: Sequence[Row], limit: int, cursor: Callable[[Row], object], **instead: object
) -> tuple[Sequence[Row], dict[str, str]]:
    """At most `limit` of the rows, and the header that leads to the next ones (RFC 8288).

    :param rows: one more than `limit` when there are more.
    :param cursor: what the next page begins behind.
    :param instead: other values for query parameters; one that is None is left out.
    """
    page = rows[:limit]
    if len(rows) == len(page):
        return page, {}
    values: dict[str, Any] = {**parameters.query(), **(request.view_args or {}), "cursor": cursor(page[-1])}
    values |= instead
    # Libraries that take the header apart look for these, also between the angle brackets.
    link = url_for(request.endpoint or "", **values).replace(";", "%3B").replace(",", "%2C")
    return page, {"Link": f'<{link}>; rel="next"'}


def as_time(moment: datetime) -> str:
    """A time in UTC as RFC 3339."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
