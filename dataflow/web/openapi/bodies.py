"""The bodies that bring contacts: JSON, a form, or the file itself, with an example of each."""

from typing import Any, Final

from marshmallow import Schema
from marshmallow import fields as typed

from dataflow.contacts.schema import ContactSchema
from dataflow.formats.registry import FORMATS
from dataflow.imports.options import MEMBERS, REFUSED_MEMBERS, OptionsSchema
from dataflow.web.openapi import examples
from dataflow.web.openapi.description import JSON, SUCCESS, Body

_FIELDS: Final = OptionsSchema().declared_fields
_DATA: Final = typed.List(typed.Nested(ContactSchema), required=True, metadata={"minItems": 1})
ImportBodySchema: Final = Schema.from_dict(
    {"data": _DATA, **{name: field for name, field in _FIELDS.items() if name in MEMBERS - REFUSED_MEMBERS}},
    name="ImportBodySchema",
)
FormSchema: Final = Schema.from_dict(
    {"file": typed.Raw(required=True, metadata={"type": "string", "format": "binary"}), **_FIELDS}, name="FormSchema"
)
_TEXT: Final = {"type": "string"}
_BYTES: Final = {"type": "string", "format": "binary"}
_FILES: Final[dict[str, tuple[Any, Any]]] = {
    "csv": (_TEXT, examples.TABLE),
    "ndjson": (_TEXT, examples.LINES),
    "vcard": (_TEXT, examples.CARDS),
    "xlsx": (_BYTES, None),
}


def contacts(source_text: str, opaque: tuple[str, ...], refused: str) -> Body:
    """
    :param opaque: media types whose files say by their content what they are.
    :param refused: the code that contacts with a wrong address get, of which nothing else is wrong.
    """
    named = {SUCCESS: examples.CONTACTS, **({refused: examples.BAD_CONTACTS} if refused else {})}
    rows = {"anyOf": [ImportBodySchema, {"type": "array", "items": ContactSchema}]}
    content: dict[str, tuple[Any, Any]] = {
        JSON: (rows, named),
        "multipart/form-data": (FormSchema, {SUCCESS: examples.FORM}),
    }
    for name, (schema, example) in _FILES.items():
        content[FORMATS[name].media_types[0]] = (schema, {SUCCESS: example} if example else {})
    for media_type in opaque[:3]:
        content[media_type] = (_BYTES, {})
    others = [each for known in FORMATS.values() for each in known.media_types[1:]] + [*opaque[3:]]
    text = f"{source_text} Each may be compressed with gzip. These types are taken as well: {', '.join(others)}."
    return Body(content, text)
