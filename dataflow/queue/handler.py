"""What a kind of job is to the worker: a handler, which does one attempt at a job."""

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
        """How long `on_failure` may take."""
        return 0.0

    def run(self, connection: Connection) -> None:
        """Do the job and settle it as succeeded, fenced, in transactions of its own; `attempt.check` between steps."""
        raise NotImplementedError

    def on_failure(self, connection: Connection, refusal: DataFlowError | None) -> str:  # noqa: ARG002
        """Write what is kept of a failure, in the transaction that settles the job; returns what to add to its error.

        After a `refusal` of the database nothing is to be written: it would be the same again.
        """
        return ""

    def after_commit(self, connection: Connection) -> None:
        """Clean up after a success, which nothing can change any more."""

    def close(self) -> None:
        """Let go of what the attempt has held, however it has ended."""
