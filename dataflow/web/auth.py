"""Who may use the service: before a route runs, or any of the body is read, its key or token is looked at."""

import re
import secrets
from typing import Final

from flask import Flask, g, request

from dataflow.config import Config
from dataflow.errors import Forbidden, Unauthorized
from dataflow.settings.api_keys import ApiKey, digest_of, parse
from dataflow.web.caller import Caller
from dataflow.web.credentials import Credential, credential
from dataflow.web.services import Services
from dataflow.web.tokens import MARK, Tokens

#: What has no secrets: whether the service lives, and how it is used.
_OPEN_PATHS: Final = re.compile(r"(/v1)?/(health|ui(/.*)?|openapi\.json|postman\.json)", re.DOTALL)
METRICS_PATH: Final = "/metrics"
#: The views that the holder of a token may use, beside all of `uploads`: a new one is not for tokens until it is here.
TOKEN_VIEWS: Final = {
    *("imports.receive", "imports.look_at", "rejects.show"),
    *("jobs.index", "jobs.show", "jobs.cancel", "jobs.revert", "events.show"),
}


def register(app: Flask, config: Config) -> None:
    shared: Services = app.extensions["dataflow"]
    app.before_request(_Gate(config, shared.tokens).admit)


class _Gate:
    def __init__(self, config: Config, tokens: Tokens) -> None:
        self._keys = parse(config.api_keys)
        self._metrics_digest = digest_of(config.metrics_key) if config.metrics_key else None
        self._tokens = tokens

    def admit(self) -> None:
        """Note who sends the request.

        :raises Unauthorized: when nobody knows.
        :raises Forbidden: when that is not for them.
        """
        if request.method == "OPTIONS" or _OPEN_PATHS.fullmatch(request.path):
            return
        given = credential()
        if request.path == METRICS_PATH and self._metrics_digest is not None:
            self._admit_to_metrics(given, self._metrics_digest)
        elif (found := self._caller(given)) is not None:
            # First, so that what is refused counts as his.
            g.caller = found
            _check_view(found)

    def _admit_to_metrics(self, given: Credential | None, digest: bytes) -> None:
        if given is not None and not given.is_in_query and secrets.compare_digest(digest_of(given.text), digest):
            return
        if given is None or self._caller(given) is None:
            raise Unauthorized("This needs METRICS_KEY. Send it as Authorization: Bearer, or as X-API-Key.")
        raise Forbidden("This needs METRICS_KEY, and no other key or token.")

    def _caller(self, given: Credential | None) -> Caller | None:
        """Who it is; None for anybody, where there are no keys."""
        if given is None:
            if self._keys:
                raise Unauthorized("This needs a key or a token. Send it as Authorization: Bearer, or as X-API-Key.")
            return None
        key = self._key(given.text)
        if key is not None and given.is_in_query:
            raise Unauthorized(
                "A key must not be in an address, which others keep: only tokens may. Send it as a header."
            )
        if key is not None:
            return Caller(f"key:{key.name}", key.name, key.sources)
        if self._keys or given.is_in_query or (self._tokens.are_possible and MARK in given.text):
            return self._tokens.read(given.text)
        return None

    def _key(self, text: str) -> ApiKey | None:
        given = digest_of(text)
        # All are compared, whichever it is: the time tells nothing.
        found = [key for key in self._keys if secrets.compare_digest(given, key.digest)]
        return found[0] if found else None


def is_for_tokens(view: str) -> bool:
    """Whether holders of tokens may use a view, such as jobs.show."""
    return view in TOKEN_VIEWS or view.startswith("uploads.")


def _check_view(found: Caller) -> None:
    """:raises Forbidden: when the request is not for holders of a token, and one has sent it."""
    if found.is_token and not is_for_tokens((request.endpoint or "").partition(":")[2]):
        raise Forbidden("A token is for its own imports: to send them, and to see, cancel and revert their jobs.")
