"""What is answered when something is wrong."""

from marshmallow import fields as typed

from dataflow.web.answers.shown import Shown, always, maybe


class IssueSchema(Shown):
    path = always(
        typed.List,
        text="where it is: from `data` down, rows counted from 0; or the name of a parameter",
        cls_or_instance=typed.Raw(metadata={"type": ["string", "integer"]}),
        metadata={"example": ["data", 0, "email"]},
    )
    message = always(typed.String)


class ErrorSchema(Shown):
    error = always(typed.String, text="what is wrong, for people; may change")
    code = always(typed.String, text="the same for programs; does not change")
    status = always(typed.Integer, text="of the answer")
    issues = maybe(typed.List, text="the first 100 things that are wrong", cls_or_instance=typed.Nested(IssueSchema))
    issueCount = maybe(typed.Integer, text="how many things are wrong in all")  # noqa: N815 - as clients read it
