"""Prometheus: what the jobs table says, as metrics that are true across processes, dynos and restarts.

What one process counts of its own requests is set up by `web.metrics`; here is what it is joined with.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from dataflow.errors import DataFlowError

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


class JobsCollector(Collector):
    """The jobs table at the moment of the scrape; without a database only `dataflow_database_up 0`."""

    def __init__(self, fetch: Callable[[], dict[str, Any]]) -> None:
        self._fetch = fetch

    def collect(self) -> Iterator[Metric]:
        try:
            totals = self._fetch()
        except (DataFlowError, TimeoutError):
            yield GaugeMetricFamily("dataflow_database_up", "Whether the database answered this scrape.", value=0)
            return
        yield GaugeMetricFamily("dataflow_database_up", "Whether the database answered this scrape.", value=1)
        yield CounterMetricFamily(
            "dataflow_contacts_imported", "Contacts imported by succeeded jobs.", value=totals["rows_imported"]
        )
        yield CounterMetricFamily(
            "dataflow_contacts_rejected", "Rows refused by succeeded jobs.", value=totals["rows_rejected"]
        )
        by_state = GaugeMetricFamily("dataflow_jobs", "Jobs by state.", labels=["state"])
        for state, count in totals["jobs_by_state"].items():
            by_state.add_metric([state], count)
        yield by_state
        yield GaugeMetricFamily(
            "dataflow_queue_oldest_seconds",
            "How long the job that has been due longest has waited.",
            value=totals["queue_oldest_seconds"],
        )


def published_registry(own: CollectorRegistry, fetch: Callable[[], dict[str, Any]]) -> CollectorRegistry:
    """What /metrics shows: all processes of this dyno when gunicorn runs several, else `own`; and the jobs."""
    registry = CollectorRegistry()
    if MULTIPROCESS_VARIABLE in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(own)
    registry.register(JobsCollector(fetch))
    return registry
