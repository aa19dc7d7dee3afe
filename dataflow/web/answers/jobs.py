"""A job, as one and as one of a page; its refused rows."""

from marshmallow import fields as typed
from marshmallow import validate

from dataflow.queue import jobs
from dataflow.web.answers.errors import IssueSchema
from dataflow.web.answers.shown import Shown, Time, always, maybe

_ROWS = {"minimum": 0}


class JobLinksSchema(Shown):
    self = always(typed.String)
    rejects = maybe(typed.String)
    events = always(typed.String)
    job = maybe(typed.String, text="of an export")
    file = maybe(typed.String, text="of an export")


class JobSchema(Shown):
    """What the columns of the jobs table show of themselves, by sql/queries/jobs/get.sql and list.sql."""

    job_id = always(typed.UUID, "jobId")
    kind = always(typed.String, text="import, revert (what undoes one) or export")
    of_job = always(typed.UUID, "ofJob", "the import that a revert undoes", is_nullable=True)
    state = always(typed.String, validate=validate.OneOf(jobs.STATES))
    partial = always(typed.Boolean, text="it has succeeded, and rows of it were refused")
    source = always(typed.String, is_nullable=True)
    file_name = always(typed.String, "fileName", is_nullable=True)
    rows_imported = always(typed.Integer, "rowsImported", "contacts so far", metadata=_ROWS)
    rows_updated = always(typed.Integer, "rowsUpdated", "of `onConflict=update`", metadata=_ROWS)
    rows_skipped = always(typed.Integer, "rowsSkipped", "of `onConflict=skip`", metadata=_ROWS)
    rows_rejected = always(typed.Integer, "rowsRejected", metadata=_ROWS)
    rows_not_imported = always(typed.Integer, "rowsNotImported", "valid ones of a dry run", metadata=_ROWS)
    rows_read = always(typed.Integer, "rowsRead", "at the end the sum of these", metadata=_ROWS)
    rows_exported = always(typed.Integer, "rowsExported", metadata=_ROWS)
    bytes_done = always(typed.Integer, "bytesDone", metadata=_ROWS)
    bytes_total = always(typed.Integer, "bytesTotal", is_nullable=True, metadata=_ROWS)
    content_sha256 = always(typed.String, "contentSha256", "of the file of an export", is_nullable=True)
    error = always(typed.String, text="an ErrorCode, a colon and a sentence", is_nullable=True)
    attempt = always(typed.Integer)
    failures = always(typed.Integer)
    max_failures = always(typed.Integer, "maxFailures", "with so many it fails")
    run_at = always(Time, "runAt", "when it is due")
    created_at = always(Time, "createdAt")
    started_at = always(Time, "startedAt", is_nullable=True)
    finished_at = always(Time, "finishedAt", "set exactly when it has ended", is_nullable=True)
    content_type = always(typed.String, "contentType", is_nullable=True)
    format = always(typed.String, is_nullable=True)
    options = always(typed.Dict, text="of the import: what was asked for, and defaults")
    detected = always(
        typed.Dict,
        text="what was found out about the file: encoding, delimiter, mapping, columns and the like; not all of it is "
        "always there. Of a dry run, `dryRun` has what would be",
    )
    ignored_columns = always(
        typed.List, "ignoredColumns", "columns that are neither name nor e-mail", cls_or_instance=typed.String()
    )
    issues = maybe(
        typed.List,
        text="of the first 100 refused rows; not in a page",
        cls_or_instance=typed.Nested(IssueSchema),
    )
    first_contact_id = always(typed.UUID, "firstContactId", "its contacts are these ids, and between", is_nullable=True)
    last_contact_id = always(typed.UUID, "lastContactId", is_nullable=True)
    object_deleted_at = always(Time, "objectDeletedAt", "since when its file is not kept any more", is_nullable=True)
    expires_at = always(Time, "expiresAt", "when the file of an export goes", is_nullable=True)
    reverted_at = always(Time, "revertedAt", is_nullable=True)
    reverted_rows = always(typed.Integer, "revertedRows", is_nullable=True)
    duplicate_of = always(typed.UUID, "duplicateOf", "the latest job with the same file and source", is_nullable=True)
    request_id = always(typed.String, "requestId", is_nullable=True)
    created_by = always(typed.String, "createdBy", "the name of a key", is_nullable=True)
    links = always(typed.Nested, nested=JobLinksSchema)


class EventSchema(Shown):
    """One of a stream of server-sent events."""

    id = maybe(typed.String)
    event = maybe(typed.String, validate=validate.OneOf(["progress", "done"]))
    data = maybe(typed.String, text="the job", metadata={"contentMediaType": "application/json"})
    retry = maybe(typed.Integer, text="milliseconds")


class JobsPageSchema(Shown):
    jobs = always(typed.List, cls_or_instance=typed.Nested(JobSchema))


class RejectSchema(Shown):
    record = always(typed.Integer, text="which row it is, from 1")
    line = always(typed.Integer, text="at which it begins, where a file has lines", is_nullable=True)
    field = always(typed.String, text="name or email, unless the row is wrong as a whole", is_nullable=True)
    code = always(typed.String)
    message = always(typed.String)
    row = always(typed.Raw, text="as it came: cells of a table, a member of JSON, or text", is_nullable=True)
    truncated = always(typed.Boolean, text="what follows of a long row is not kept")


class RejectsPageSchema(Shown):
    rejects = always(typed.List, cls_or_instance=typed.Nested(RejectSchema))
    columns = always(typed.List, text="the file's header row", cls_or_instance=typed.String())
