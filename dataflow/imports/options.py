"""What a client may ask of an import; kept on the job under the names clients write.

An option is one field of `Options`. From it follow its query parameter, form field, header (X-On-Conflict), member of
a JSON body (onConflict), flag of the command line with its help (--on-conflict), and its typed value.
"""

from dataclasses import dataclass, field, fields
from enum import Enum, auto
from typing import Any, Final, Self

from marshmallow import Schema
from marshmallow import fields as typed

from dataflow.formats.reading import Mapping, Reading
from dataflow.imports.option_kinds import Delimiter, EncodingName, Flag, MappingText, Number, check_sheet, one_of
from dataflow.imports.option_names import camel_case

MAX_REJECTS_DEFAULT: Final = 100_000


def _check_source(value: str) -> None:
    # Not at the top: the library for e-mail addresses comes with it, for which every command would wait.
    from dataflow.contacts.schema import check_source_text

    check_source_text(value)


class Member(Enum):
    """What becomes of a member of a JSON body that has the name of an option."""

    TAKEN = auto()
    REFUSED = auto()  #: rows may stand before it, and it has to be known when they are read
    IGNORED = auto()  #: nothing in JSON answers to it


def _option(kind: typed.Field[Any], text: str, default: Any = None, member: Member = Member.TAKEN) -> Any:
    kind.metadata = {"description": text}
    return field(default=default, metadata={"kind": kind, "member": member})


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one import. What is None is found out from the content."""

    on_invalid: str = _option(one_of("skip", "abort"), "what a refused row does (default: skip)", "skip")
    max_rejects: int = _option(
        Number(1_000_000),
        f"refused rows beyond which nothing is imported (default: {MAX_REJECTS_DEFAULT})",
        MAX_REJECTS_DEFAULT,
    )
    on_conflict: str = _option(
        one_of("insert", "skip", "update"),
        "what becomes of a row whose e-mail is there already (default: insert)",
        "insert",
    )
    dry_run: bool = _option(Flag(), "the same job and report, without a contact", default=False)
    mapping: Mapping | None = _option(  # noqa: RUF009 - makes a field
        MappingText(), 'the columns of each member: {"name": ["First", "Last"], "email": "Mail"}', member=Member.REFUSED
    )
    encoding: str | None = _option(EncodingName(), "of the text, such as cp1252", member=Member.REFUSED)
    delimiter: str | None = _option(Delimiter(), "of CSV: , ; | or tab", member=Member.REFUSED)
    skip_rows: int | None = _option(Number(1000), "lines before the header row", member=Member.REFUSED)
    use_resumable: bool = _option(Flag(), "by tus to Supabase Storage, whatever the size", default=False)
    charset: str | None = None  #: of the Content-Type; no option
    sheet: str | None = _option(
        typed.String(validate=check_sheet), "of a workbook: its name, or its number from 1", member=Member.IGNORED
    )

    @classmethod
    def of(cls, given: dict[str, Any]) -> Self:
        """Those that `given` names, in camelCase; jobs of earlier versions name fewer."""
        return cls(**{own: given[name] for own, name in _NAMES.items() if name in given})

    def as_json(self) -> dict[str, Any]:
        """All that is decided, in camelCase."""
        values = {name: getattr(self, own) for own, name in _NAMES.items()}
        return {name: value for name, value in values.items() if value is not None}

    def reading(self, max_row_bytes: int, max_expanded_bytes: int) -> Reading:
        """How the content is to be read."""
        return Reading(
            max_row_bytes,
            max_expanded_bytes,
            self.mapping,
            self.encoding,
            self.charset,
            self.delimiter,
            self.skip_rows,
            self.sheet,
            members=MEMBERS,
        )


_NAMES: Final = {own.name: camel_case(own.name) for own in fields(Options)}
_ENTRIES: Final = {_NAMES[own.name]: own.metadata for own in fields(Options) if own.metadata}


def _named(*members: Member) -> frozenset[str]:
    return frozenset(name for name, entry in _ENTRIES.items() if entry["member"] in members)


#: Members of a JSON body that mean something beside its rows, and those of them that it may not have.
MEMBERS: Final = _named(Member.TAKEN, Member.REFUSED) | {"source"}
REFUSED_MEMBERS: Final = _named(Member.REFUSED)
#: Members that take no text, whatever may be written in a query, and what a message expects of them.
TYPED_MEMBERS: Final[dict[str, tuple[type, str]]] = {
    name: (bool, "Expected true or false") if isinstance(_ENTRIES[name]["kind"], Flag) else (int, "Expected a number")
    for name in _named(Member.TAKEN)
    if isinstance(_ENTRIES[name]["kind"], Flag | Number)
}
#: None stands for a missing source, which only what needs one refuses.
_SOURCE: Final = typed.String(
    validate=_check_source,
    error_messages={"null": "Required", "invalid": "Expected a string"},
    metadata={"description": "where the contacts come from, at most 100 characters", "minLength": 1, "maxLength": 100},
)
#: The options of an import as text, wherever they come from; with the source, which is not kept among them.
OptionsSchema: Final = Schema.from_dict(
    {"source": _SOURCE, **{name: entry["kind"] for name, entry in _ENTRIES.items()}}, name="OptionsSchema"
)
