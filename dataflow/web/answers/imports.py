"""What is answered to a body: the job that it became, how it would be read, and how far an upload is."""

from marshmallow import INCLUDE, validate
from marshmallow import fields as typed

from dataflow.formats.registry import FORMATS
from dataflow.web.answers.shown import Shown, Time, always


class AcceptedSchema(Shown):
    jobId = always(typed.UUID)  # noqa: N815 - as clients read it


class ProblemSchema(Shown):
    field = always(typed.String, is_nullable=True)
    code = always(typed.String)
    message = always(typed.String)


class PreviewRowSchema(Shown):
    record = always(typed.Integer)
    line = always(typed.Integer, is_nullable=True)
    name = always(typed.String, is_nullable=True)
    email = always(typed.String, is_nullable=True)
    problems = always(typed.List, cls_or_instance=typed.Nested(ProblemSchema))


class PreviewSchema(Shown):
    """Beside these, what a job has in `detected`."""

    class Meta:
        unknown = INCLUDE

    format = always(typed.String, validate=validate.OneOf([*FORMATS]))
    ignoredColumns = always(typed.List, cls_or_instance=typed.String())  # noqa: N815
    isComplete = always(typed.Boolean, text="all of the body was looked at")  # noqa: N815
    rows = always(typed.List, text="the first 20", cls_or_instance=typed.Nested(PreviewRowSchema))


class UploadLinksSchema(Shown):
    self = always(typed.String)
    job = always(typed.String)


class UploadSchema(Shown):
    job_id = always(typed.UUID, "jobId")
    state = always(typed.String, text="a job's, or `completing`, `expired` and the like")
    offset = always(typed.Integer, metadata={"minimum": 0})
    length = always(typed.Integer, text="of the whole upload, if it was declared", is_nullable=True)
    expires_at = always(Time, "expiresAt", "while it is open", is_nullable=True)
    links = always(typed.Nested, nested=UploadLinksSchema)
