"""RATE_LIMIT: how many requests a minute a caller may send; what is over is refused before its body is read.

Not by Flask-Limiter: it would ask the storage three times for each request, once to count and twice for the fields, by
the clock of each host, and what authentication refuses would not be counted.
"""

from typing import Final

from flask import Flask, Response, g, request

from dataflow.config import Config
from dataflow.errors import RateLimited
from dataflow.settings.peers import subscriber
from dataflow.web.caller import caller
from dataflow.web.rate_storage import WINDOW_SECONDS, Rate, RateStorage
from dataflow.web.services import Services

#: A platform that cannot ask restarts the service.
EXEMPT: Final = ("health",)
#: Of the policy, in both fields (draft-ietf-httpapi-ratelimit-headers-11).
POLICY: Final = '"default"'


def register(app: Flask, config: Config) -> None:
    """To be called last: a caller is known when authentication has let the request through."""
    if config.rate_limit:
        services: Services = app.extensions["dataflow"]
        limiter = _Limiter(app, config.rate_limit, RateStorage(services.pool, config.rate_limit))
        app.before_request(limiter.admit)
        app.after_request(limiter.tell)


class _Limiter:
    def __init__(self, app: Flask, limit: int, storage: RateStorage) -> None:
        self._app = app
        self._limit = limit
        self._storage = storage

    def admit(self) -> None:
        """:raises RateLimited: when the caller has used up what it may send."""
        if request.method == "OPTIONS" or request.endpoint in EXEMPT:
            return
        rate = g.rate = self._storage.count(_key())
        if rate and rate.is_exceeded:
            raise RateLimited(
                f"More than {self._limit} requests in a minute (RATE_LIMIT). Go on in {rate.left_seconds} s."
            )

    def tell(self, response: Response) -> Response:
        """Say in the answer where the caller stands; what authentication has refused is counted only here."""
        if "rate" not in g and (response.status_code == 401 or "caller" in g):
            try:
                self.admit()
            except RateLimited as error:
                response = self._app.make_response(self._app.handle_user_exception(error))
        rate: Rate | None = g.get("rate")
        if rate:
            response.headers["RateLimit-Policy"] = f"{POLICY};q={self._limit};w={WINDOW_SECONDS}"
            response.headers["RateLimit"] = f"{POLICY};r={rate.remaining};t={rate.left_seconds}"
            if rate.is_exceeded:
                response.headers["Retry-After"] = str(rate.left_seconds)
        return response


def _key() -> str:
    kind, _, name = caller().scope.partition(":")
    return f"{kind}:{subscriber(name)}" if kind == "address" else f"{kind}:{name}"
