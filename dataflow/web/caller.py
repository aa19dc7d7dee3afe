"""Who sends the request that is being answered: the holder of a key or of a token, or anybody where keys are unset."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import g, request

from dataflow.errors import Forbidden
from dataflow.queue.scope import Scope


@dataclass(frozen=True, slots=True)
class Caller:
    scope: str  #: tells callers apart: `key:NAME`, `token:ID` or `address:IP`
    created_by: str | None = None  #: what their jobs keep of them
    sources: frozenset[str] | None = None  #: theirs alone; None: all
    max_bytes: int = 0  #: of a body that they send; 0 is no limit
    #: that their imports have, and no others, where they hold a token
    options: dict[str, Any] = field(default_factory=dict)
    is_token: bool = False

    def may_use(self, source: str | None) -> bool:
        return self.sources is None or source in self.sources

    @property
    def scope_of_jobs(self) -> Scope:
        """The jobs that they see and change."""
        return Scope(self.sources, self.created_by, self.is_token)

    @property
    def own_options(self) -> dict[str, Any]:
        """What an import of theirs has, whatever the request says: nothing, but for a token its options and source."""
        return {**self.options, "source": next(iter(self.sources or ()))} if self.is_token else {}

    def check_options(self, given: Mapping[str, Any]) -> None:
        """Look at what a request asks for in one place of it, in camelCase.

        :raises Forbidden: for a source that is not theirs, or an option that is not their token's.
        """
        source = given.get("source")
        # What is no text is refused as such elsewhere.
        if isinstance(source, str) and not self.may_use(source):
            raise Forbidden(f"The source {source[:100]!r} is not one that this {self._holding} may use.")
        if not self.is_token:
            return
        for name in given.keys() - {"source"}:
            if name not in self.options or self.options[name] != given[name]:
                raise Forbidden(f"The token has another {name}, or none: leave it out, its own options count.")

    @property
    def _holding(self) -> str:
        return "token" if self.is_token else "key"


def caller() -> Caller:
    found: Caller = g.get("caller") or Caller(f"address:{request.remote_addr}")
    return found
