"""GET /metrics: requests by route from every process of this dyno, and the state of the jobs from the database."""

from typing import Any

from flask import Flask, Response, request
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.exposition import choose_encoder
from prometheus_flask_exporter import PrometheusMetrics

from dataflow import db
from dataflow.db import borrowed
from dataflow.metrics import JobsCollector, published_registry
from dataflow.queue import job_counts
from dataflow.web.openapi import examples
from dataflow.web.openapi.description import Answer, described
from dataflow.web.probe import Probe
from dataflow.web.services import Services

#: Scrapers give up after 10 s; a database that hangs must cost them less.
DEADLINE_SECONDS = 2.0
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def register(app: Flask, own: CollectorRegistry) -> None:
    """Count the requests of `app` in `own` and serve /metrics. Call it last: only routes known by then are counted."""
    # No path: the exporter's own endpoint would show its counters and hide ours.
    PrometheusMetrics(app, path=None, group_by="url_rule", registry=own)
    _count_requests(app, own)
    shared: Services = app.extensions["dataflow"]

    def totals() -> dict[str, Any]:
        with borrowed(shared.pool) as connection:
            return job_counts.totals(connection)

    def connect() -> None:
        # One of its own: neither an exhausted pool nor a slow statement is a database that is down.
        db.connect(shared.config.database_url, "dataflow/metrics").close()

    collector = JobsCollector(Probe(connect).ask, Probe(totals).ask, DEADLINE_SECONDS)
    published = published_registry(own, collector)

    @described(
        "What Prometheus scrapes",
        {200: Answer("Counters and gauges.", {"text/plain": ({"type": "string"}, examples.METRICS)})},
        text="In the format of OpenMetrics where `Accept` asks for it. METRICS_KEY may be the only key for it.",
        errors=["not_found"],
        uses_database=False,
    )
    def show() -> Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(published), content_type=content_type)

    app.add_url_rule("/metrics", view_func=show, endpoint="metrics")


def _count_requests(app: Flask, registry: CollectorRegistry) -> None:
    requests = Counter("http_requests", "HTTP requests.", ["method", "path", "status"], registry=registry)

    def leave_out_unknown_method() -> None:
        if request.method not in METHODS:
            request.prom_do_not_track = True  # type: ignore[attr-defined]

    def count(response: Response) -> Response:
        # The route, never the path, and no method of a client's own: each new label is a new series, for ever.
        route = request.url_rule.rule if request.url_rule else "unmatched"
        method = request.method if request.method in METHODS else "other"
        requests.labels(method, route, response.status_code).inc()
        return response

    app.before_request(leave_out_unknown_method)
    app.after_request(count)
