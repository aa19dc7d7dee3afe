"""The kinds of job: a further one is a module with its handler, and a line here."""

from collections.abc import Callable

from dataflow.config import Config
from dataflow.db import Connection
from dataflow.errors import JobError
from dataflow.exports.file_job import ExportHandler
from dataflow.imports.load import ImportHandler
from dataflow.imports.revert import RevertHandler
from dataflow.queue.attempt import Attempt
from dataflow.queue.handler import Handler
from dataflow.storage.base import Storage


class UnknownKindHandler(Handler):
    """Of a job that a newer release or a person has queued."""

    def run(self, _connection: Connection) -> None:
        known = ", ".join(sorted(HANDLERS))
        raise JobError(
            f"This worker does jobs of the kinds {known}; this one is of kind {self.attempt.job.kind}.",
            code="unknown_kind",
        )


HANDLERS: dict[str, Callable[[Attempt, Storage, Config], Handler]] = {
    "import": ImportHandler,
    "export": ExportHandler,
    "revert": RevertHandler,
}


def handler_of(attempt: Attempt, storage: Storage, config: Config) -> Handler:
    """The handler of the job's kind; for a kind that is not known, one that fails the job."""
    make = HANDLERS.get(attempt.job.kind)
    return make(attempt, storage, config) if make else UnknownKindHandler(attempt)
