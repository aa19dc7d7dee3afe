"""The WSGI application: where its parts are put together."""

import atexit
import logging
import re
import uuid
from functools import partial

from flask import Flask, Response, request
from prometheus_client import CollectorRegistry
from werkzeug.exceptions import NotFound

from dataflow import db, logs
from dataflow.config import Config
from dataflow.errors import TooManyUploads
from dataflow.imports.completion import Completions
from dataflow.imports.idempotency import IdempotencyKeys
from dataflow.imports.receive import Receiver
from dataflow.imports.resumable import ResumableUploads
from dataflow.metrics import StorageMetrics
from dataflow.settings.api_keys import parse
from dataflow.storage.registry import open_storage
from dataflow.web.client_line import ClientLine
from dataflow.web.event_feed import EventFeed
from dataflow.web.server.transfers import Transfers
from dataflow.web.services import Services
from dataflow.web.tokens import Tokens

logger = logging.getLogger(__name__)

#: A request id that is sent in another form is replaced.
_REQUEST_ID = re.compile(r"[\w.:/+=@-]{1,200}", re.ASCII)


def create_app(config: Config | None = None) -> Flask:
    """The application for `config` (default: the environment). Connects to nothing yet.

    :raises ConfigError: when the environment does not describe a service.
    """
    from dataflow.web import auth, errors, links, method_override, origins, proxies, rates
    from dataflow.web.routes import (
        contacts,
        events,
        export_jobs,
        exports,
        health,
        imports,
        jobs,
        metrics,
        openapi,
        rejects,
        tokens,
        ui,
        uploads,
    )

    config = config or Config.from_env()
    app = Flask("dataflow.web", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.merge_slashes = False
    counts = CollectorRegistry()
    app.extensions["dataflow"] = _services(config, counts)
    app.before_request(_take_request_id)
    app.before_request(_put_off)
    app.after_request(_give_request_id)
    errors.register(app)
    for resource in (imports, uploads, jobs, events, rejects, contacts, exports, export_jobs, tokens, openapi, ui):
        links.register(app, resource.blueprint)
    health.register(app)
    if config.enable_metrics:
        metrics.register(app, counts)
    # Last: what they refuse is counted as well.
    app.before_request(_take_one_spelling)
    origins.register(app, config)
    auth.register(app, config)
    proxies.register(app, config)
    rates.register(app, config)
    method_override.register(app)
    return app


def _services(config: Config, counts: CollectorRegistry) -> Services:
    """What the resources share; what the storage is asked is counted in `counts`."""
    pool = db.open_pool(config.database_url, "dataflow/web")
    # A goodbye, so that the server does not log connections that were lost.
    atexit.register(pool.close)
    storage = open_storage(config, StorageMetrics(counts) if config.enable_metrics else None)
    completions = Completions(partial(db.borrowed, pool), config.max_uploads)
    return Services(
        config,
        pool,
        storage,
        Receiver(config, pool, storage, completions),
        ResumableUploads(config, pool, storage, completions),
        Transfers(
            config.max_uploads,
            config.upload_chunk_size,
            config.upload_stall_seconds,
            config.upload_min_bytes_second,
            max_exports=config.max_exports,
        ),
        Tokens(parse(config.api_keys), config.token_secret),
        IdempotencyKeys(pool),
        EventFeed(partial(db.connect, config.database_url, "dataflow/web/events"), partial(db.borrowed_once, pool)),
    )


def _take_one_spelling() -> None:
    """A path that a proxy keeps away must not come as another: werkzeug takes no notice of slashes before the first."""
    if request.environ["PATH_INFO"].startswith("//"):
        raise NotFound


def _take_request_id() -> None:
    given = request.headers.get("X-Request-Id", "")
    logs.request_id.set(given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex)


def _put_off() -> None:
    """Refuse what `server.http_worker` found no thread of its kind for.

    :raises TooManyUploads: then.
    """
    if ClientLine.of_request().is_put_off:
        raise TooManyUploads("All threads of this process for uploads and downloads are busy. Try again soon.")


def _give_request_id(response: Response) -> Response:
    response.headers["X-Request-Id"] = logs.request_id.get() or ""
    return response
