"""What a kind of job is to the worker: a handler, which does one attempt at a job and knows what belongs to that."""

from dataflow.db import Connection
from dataflow.errors import DataFlowError
from dataflow.queue.attempt import Attempt
from dataflow.queue.progress import Progress


class Handler:
    """Made for an attempt and closed with it, called in its thread alone. A kind overrides `run`, and what it needs."""

    def __init__(self, attempt: Attempt, progress: Progress | None = None) -> None:
        self.attempt = attempt
        self.progress = attempt.progress = progress or attempt.progress

    @property
    def subject(self) -> dict[str, object]:
        """What the log says of the job when it begins."""
        return {}

    @property
    def counts(self) -> dict[str, int]:
        """What the log says of a success."""
        return {}

    @property
    def failure_seconds(self) -> float:
        """How long `on_failure` may take, beyond a moment."""
        return 0.0

    def run(self, connection: Connection) -> None:
        """Do the job and settle it as succeeded, in transactions of its own and fenced (`jobs.fenced`).

        It calls `attempt.check` between steps, and sets `attempt.is_settling` before the statement that settles.

        :raises DataFlowError, psycopg.Error: when it cannot; `retryable` decides whether the job is tried again.
        """
        raise NotImplementedError

    def on_failure(self, connection: Connection, refusal: DataFlowError | None) -> str:  # noqa: ARG002
        """Write what is kept of a job that fails or is cancelled, in the transaction that settles it.

        May be called again when that has failed; `refusal` is an error that comes again, so that nothing more is to be
        written. Returns what to add to the job's error.
        """
        return ""

    def after_commit(self, connection: Connection) -> None:
        """Clean up after a success, of which nothing can change any more."""

    def close(self) -> None:
        """Let go of what the attempt has held, however it has ended."""
