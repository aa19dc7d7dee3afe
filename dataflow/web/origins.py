"""Which web pages may use the service: its own, and those that CORS_ORIGINS names. Other programs pass.

A browser lets any page send requests to this machine, and read the answers under a host name that the page's own name
server points here.
"""

import re
from typing import Final

from flask import Flask, Response, request
from flask_cors import CORS

from dataflow.config import Config
from dataflow.errors import RequestError
from dataflow.settings.peers import ANYONE, is_loopback, is_same_place, items, name_of
from dataflow.web.proxies import is_peer_trusted

PREFLIGHT_SECONDS: Final = 600
METHODS: Final = ("GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS")
#: Of our answers; what else a page may read of them needs no permission.
EXPOSED: Final = (
    *("Location", "Link", "Retry-After", "X-Request-Id", "Content-Disposition", "ETag", "WWW-Authenticate"),
    *("Accept-Ranges", "Content-Range", "Repr-Digest"),
    *("RateLimit", "RateLimit-Policy", "Preference-Applied"),
    *("Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm"),
    *("Upload-Offset", "Upload-Length", "Upload-Defer-Length", "Upload-Metadata", "Upload-Expires"),
)


def register(app: Flask, config: Config) -> None:
    gate = _Gate(config)
    app.before_request(gate.admit)
    if origins := items(config.cors_origins):
        CORS(
            app,
            # As patterns: text with brackets, as IPv6 has them, would be taken for one.
            origins=[origin if origin == ANYONE else re.compile(re.escape(origin) + r"\Z") for origin in origins],
            methods=METHODS,
            expose_headers=EXPOSED,
            max_age=PREFLIGHT_SECONDS,
            # What has no Origin asks for nothing; and answers vary even then.
            always_send=False,
            vary_header=False,
            # Errors have handlers of ours, so that they are answers as any other.
            intercept_exceptions=False,
        )
        app.after_request(_vary)


def _vary(response: Response) -> Response:
    response.vary.add("Origin")
    return response


class _Gate:
    def __init__(self, config: Config) -> None:
        self._origins = items(config.cors_origins)
        # Behind a proxy the name is the proxy's to check, and may be whatever it has.
        self._only_local_names = is_loopback(config.host) and not items(config.trusted_proxies)

    def admit(self) -> Response | None:
        """Answer a preflight; let pass what no page has sent, or one that may.

        :raises RequestError: foreign_host, foreign_origin for the others.
        """
        self._check_host()
        self._check_origin()
        is_preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        # What it allows is in the headers that flask-cors adds. Any other OPTIONS is for its route.
        return Response(status=204) if is_preflight and self._is_named() else None

    def _check_host(self) -> None:
        host = request.headers.get("Host", "")
        if self._only_local_names and host and not is_loopback(name_of(host)):
            raise RequestError(
                "This service is for this machine (HOST): ask for localhost. Behind a proxy, set TRUSTED_PROXIES.",
                code="foreign_host",
            )

    def _check_origin(self) -> None:
        is_navigation = request.headers.get("Sec-Fetch-Mode") == "navigate" and request.method in ("GET", "HEAD")
        if is_navigation or self._is_named():
            return
        origin = request.headers.get("Origin")
        if origin is not None and not any(is_same_place(origin, place) for place in self._places()):
            raise RequestError(
                f"Pages of {origin[:100]} may not use {self._places()[0][:100]}: CORS_ORIGINS does not name them. "
                "Behind a proxy that asks for another Host, set TRUSTED_PROXIES.",
                code="foreign_origin",
            )
        if request.headers.get("Sec-Fetch-Site") == "cross-site":
            raise RequestError(
                "Pages of other sites may not use this service unless CORS_ORIGINS names them.", code="foreign_origin"
            )

    def _is_named(self) -> bool:
        origin = request.headers.get("Origin")
        return origin is not None and (origin in self._origins or ANYONE in self._origins)

    def _places(self) -> list[str]:
        """The hosts and ports under which this request may know us."""
        places = [request.headers.get("Host", "")]
        if is_peer_trusted():
            # The last is what our own proxy has added.
            places.append(request.headers.get("X-Forwarded-Host", "").rpartition(",")[2].strip())
        return places
