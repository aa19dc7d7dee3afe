"""Which contacts an export is to have, and in which format, as its request says it."""

from typing import Any

from marshmallow import Schema, ValidationError, validate
from marshmallow import fields as typed

from dataflow.contacts.filters import Address, Moment
from dataflow.contacts.schema import check_storable
from dataflow.exports.formats import FORMATS, JOB_FORMATS
from dataflow.exports.selection import FIELDS
from dataflow.imports.option_kinds import Flag, Number


class FieldNames(typed.String):
    """Names of fields with commas between them, each once."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        names = tuple(name.strip() for name in super()._deserialize(value, *args, **kwargs).split(","))
        if not set(names) <= {*FIELDS} or len({*names}) < len(names):
            raise ValidationError(f"Expected some of {', '.join(FIELDS)}, each once, with commas between them")
        return names


def _check_streamed(name: str) -> None:
    if name not in FORMATS and name in JOB_FORMATS:
        raise ValidationError(f"Made as a job: ask for {name} by POST /exports")
    validate.OneOf([*FORMATS], error="Expected one of {choices}")(name)


class ExportOrder(Schema):
    """Of an export job."""

    format = typed.String(
        load_default="csv", validate=validate.OneOf([*JOB_FORMATS], error="Expected one of {choices}")
    )
    source = typed.String(validate=check_storable)
    email = Address()
    job_id = typed.UUID(data_key="jobId")
    imported_after = Moment(data_key="importedAfter")
    imported_before = Moment(data_key="importedBefore")
    fields_ = FieldNames(data_key="fields")
    limit = Number(2**63 - 1, lowest=1)
    raw = Flag(load_default=False)


class ExportQuery(ExportOrder):
    """Of an export that goes out at once."""

    format = typed.String(load_default="csv", validate=_check_streamed, metadata={"enum": [*FORMATS]})
