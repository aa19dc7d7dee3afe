"""Prometheus: the jobs table, the same on every dyno and across restarts, and the storage calls of one process."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from dataflow.errors import ConfigError, DataFlowError

Answer = TypeVar("Answer")
Ask = Callable[[], Future[Answer]]

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

#: Seconds; from a small call to a storage that is about to be given up.
STORAGE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class StorageMetrics:
    """What a process asks of the object storage: the `storage.Observer` that counts into `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._operations = Counter(
            "storage_operations",
            "Requests to the object storage by what came of them: ok, unreachable, broken, or the status of a refusal.",
            ["operation", "outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "storage_operation_seconds",
            "From the request to the end of its answer.",
            ["operation"],
            buckets=STORAGE_BUCKETS,
            registry=registry,
        )
        self._bytes = Counter("storage_bytes", "Content moved, up or down.", ["direction"], registry=registry)
        self._retries = Counter("storage_retries", "Requests that were made again.", ["operation"], registry=registry)

    def answered(self, operation: str, outcome: str, seconds: float) -> None:
        self._operations.labels(operation, outcome).inc()
        self._seconds.labels(operation).observe(seconds)

    def moved(self, direction: str, size_bytes: int) -> None:
        self._bytes.labels(direction).inc(size_bytes)

    def retried(self, operation: str) -> None:
        self._retries.labels(operation).inc()


def serve_storage_metrics(port: int) -> StorageMetrics:
    """Metrics that every GET on `port` is answered with, from a thread that ends with the process.

    :raises ConfigError: when the port cannot be had.
    """
    registry = CollectorRegistry()
    try:
        start_http_server(port, registry=registry)
    except OSError as error:
        raise ConfigError(f"WORKER_METRICS_PORT: port {port} cannot be used: {error.strerror}.") from error
    return StorageMetrics(registry)


class JobsCollector(Collector):
    """The jobs table at the moment of the scrape, as far as it can be told within `seconds`.

    Two questions at the same time, whose answers may fail with a DataFlowError: whether the database says anything at
    all, and the totals of the jobs. Those may take too long, or be refused, by a database that is up.
    """

    def __init__(self, connect: Ask[None], totals: Ask[dict[str, Any]], seconds: float) -> None:
        self._connect = connect
        self._totals = totals
        self._seconds = seconds

    def collect(self) -> Iterator[Metric]:
        deadline = time.monotonic() + self._seconds
        connecting, adding_up = self._connect(), self._totals()
        totals = _answer(adding_up, deadline)
        is_up = totals is not None or _has_succeeded(connecting, deadline)
        yield GaugeMetricFamily("dataflow_database_up", "Whether the database answered this scrape.", value=is_up)
        if totals is not None:
            yield from _of_jobs(totals)


def _answer(question: Future[Answer], deadline: float) -> Answer | None:
    try:
        return question.result(max(0.0, deadline - time.monotonic()))
    except (DataFlowError, TimeoutError):
        return None


def _has_succeeded(question: Future[None], deadline: float) -> bool:
    _answer(question, deadline)
    return question.done() and question.exception() is None


def _of_jobs(totals: dict[str, Any]) -> Iterator[Metric]:
    for name, text, total in (
        ("dataflow_contacts_imported", "Contacts that imports have inserted.", "rows_imported"),
        ("dataflow_contacts_rejected", "Rows that imports have refused.", "rows_rejected"),
        ("dataflow_rows_read", "Rows of all files: the sum of dataflow_rows.", "rows_read"),
    ):
        yield CounterMetricFamily(name, text, value=totals[total])
    by_outcome = CounterMetricFamily("dataflow_rows", "Rows by what became of them.", labels=["outcome"])
    for outcome in ("imported", "updated", "skipped", "rejected", "not_imported"):
        by_outcome.add_metric([outcome], totals[f"rows_{outcome}"])
    yield by_outcome
    by_state = GaugeMetricFamily("dataflow_jobs", "Jobs by state.", labels=["state"])
    for state, count in totals["jobs_by_state"].items():
        by_state.add_metric([state], count)
    yield by_state
    waited = "How long the job that has been due longest has waited."
    yield GaugeMetricFamily("dataflow_queue_oldest_seconds", waited, value=totals["queue_oldest_seconds"])


class AllProcesses(MultiProcessCollector):
    """What the processes of a dyno have counted. The file of one that is just starting is empty: it has not counted."""

    def collect(self) -> Any:
        files = [str(file) for file in Path(self._path).glob("*.db") if file.stat().st_size]
        return self.merge(files, accumulate=True)  # type: ignore[no-untyped-call]


def published_registry(own: CollectorRegistry, jobs: JobsCollector) -> CollectorRegistry:
    """What /metrics shows: all processes of this dyno when gunicorn runs several, else `own`; and the `jobs`."""
    registry = CollectorRegistry()
    if MULTIPROCESS_VARIABLE in os.environ:
        AllProcesses(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(own)
    registry.register(jobs)
    return registry
