"""Undoing an import, as far as it is a matter of the jobs table: who may, and how often.

Deleting the contacts is left to `revert`.
"""

from uuid import UUID

from dataflow.db import Connection, query
from dataflow.errors import JobNotFound, NotRevertible
from dataflow.ids import uuid7


def order(connection: Connection, job_id: UUID, request_id: str | None) -> UUID:
    """Queue a revert of an import; the id of that, or of the one that is unfinished or has undone the import already.

    :raises JobNotFound: when there is no such job.
    :raises NotRevertible: when it is no import that has succeeded.
    """
    found = connection.execute(query("jobs/lock"), {"id": job_id}).fetchone()
    if found is None:
        raise JobNotFound(f"There is no job {job_id}.")
    if (found["kind"], found["state"]) != ("import", "succeeded"):
        what = found["state"] if found["kind"] == "import" else f"a job of kind {found['kind']}"
        raise NotRevertible(f"Job {job_id} is {what}; only an import that has succeeded can be reverted.")
    if found["is_dry_run"]:
        raise NotRevertible(f"Job {job_id} was a dry run: there is nothing to undo.")
    values = {"id": uuid7(), "of_job": job_id, "request_id": request_id}
    while True:
        # Again, when somebody has queued an old one between the two.
        for name in ("jobs/find_revert", "jobs/insert_revert"):
            row = connection.execute(query(name), values).fetchone()
            if row is not None:
                revert_id: UUID = row["id"]
                return revert_id
