"""Who sends the request that is being answered: the holder of a key or of a token, or anybody where keys are unset."""

from dataclasses import dataclass, field
from typing import Any

from flask import g, request


@dataclass(frozen=True, slots=True)
class Caller:
    scope: str  #: tells callers apart: `key:NAME`, `token:ID` or `address:IP`
    created_by: str | None = None  #: what their jobs keep of them
    sources: frozenset[str] | None = None  #: theirs alone; None: all
    max_bytes: int = 0  #: of a body that they send; 0 is no limit
    options: dict[str, Any] = field(
        default_factory=dict
    )  #: that their imports have, and no others, where they hold a token
    is_token: bool = False

    def may_use(self, source: str | None) -> bool:
        return self.sources is None or source in self.sources


def caller() -> Caller:
    found: Caller = g.get("caller") or Caller(f"address:{request.remote_addr}")
    return found
