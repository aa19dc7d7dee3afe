"""Whether the contacts of an import are in its range of ids, by which it is reverted."""

from dataflow.db import Connection, value
from dataflow.errors import DatabaseError
from dataflow.imports.import_progress import ImportProgress


def check_ids(connection: Connection, progress: ImportProgress) -> None:
    """See that the import can be reverted, which is by the range of its ids.

    Counting takes 0.1 us a row, so only where there is somebody who may have changed them.

    :raises DatabaseError: contacts_moved when some of the contacts are not in it.
    """
    if not progress.rows_imported or (triggers := value(connection, "contacts/insert_triggers")) is None:
        return
    found = value(connection, "contacts/count_range", first=progress.first_contact_id, last=progress.last_contact_id)
    if found < progress.rows_imported:
        raise DatabaseError(
            f"{progress.rows_imported - found} of {progress.rows_imported} contacts are not under the ids they were "
            f"given: a trigger of the table contacts ({triggers}) has changed new.id or removed them again, and the "
            "import could not be reverted. Change the trigger, and try the job again.",
            code="contacts_moved",
        )
