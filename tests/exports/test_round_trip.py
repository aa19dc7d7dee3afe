"""An export that is imported again gives the same contacts, whatever their texts are, in every format."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dataflow import db
from dataflow.contacts.validation import judge
from dataflow.exports.formats import JOB_FORMATS, format_of
from dataflow.exports.selection import DEFAULT_FIELDS, Selection
from dataflow.exports.stream import Export
from dataflow.exports.throttle import Throttle
from dataflow.formats import formulas
from dataflow.formats.block import Block, cut
from dataflow.formats.reading import Findings, Reading
from dataflow.formats.registry import read_blocks, recognise
from tests.support.properties import MIB, storable

OPENINGS = [
    *formulas.OPENINGS,
    "'",
    "'=",
    "'+",
    '"',
    " ",
    "`",
    "BEGIN:VCARD",
    "end : vcard",
    "=C3=A9",
    "\\n",
    "NULL",
    "_x000D_",
    "_x005F_x0041_",
    "\\N",
    "<r>",
]
texts = st.builds(str.__add__, st.sampled_from(["", *OPENINGS]), st.text(storable, min_size=1, max_size=12))
addresses = st.sampled_from(
    [
        *("ann@example.com", "+ann@example.com", "'+ann@example.com", "=1+1@example.com", "-@example.com"),
        *("a=C3=A9@example.com", '"begin:vcard"@example.com', '"a,;b"@example.com', '"a\\"b"@example.com'),
        *("änn@bücher.example", "'@example.com", "`a`@example.com", "{a}@example.com", "7@example.com"),
    ]
)
Contact = tuple[str, str]


class Nowhere:
    def line(self, index: int) -> int | None:
        return index

    def row(self, index: int) -> str:
        return str(index)


def judged(block: Block) -> list[Contact]:
    verdict = judge(block)
    assert not verdict.refusals
    return list(zip(verdict.names, verdict.emails, strict=True))


def is_stored_as_it_is(contact: Contact) -> bool:
    name, email = contact
    verdict = judge(Block(0, [name], [email], Nowhere()))
    return not verdict.refusals and (verdict.names[0], verdict.emails[0]) == contact


def exported(url: str, name: str, fields: tuple[str, ...] = DEFAULT_FIELDS, is_raw: bool = False) -> bytes:
    export = Export(url, 60, lambda: None, Throttle(lambda: False))
    return b"".join(export.pieces(format_of(name, is_raw), fields, Selection()))


def imported(name: str, content: bytes) -> Iterator[Contact]:
    media_type = JOB_FORMATS[name].media_type.partition(";")[0]
    assert recognise(content, media_type, None).name == name
    for block in read_blocks(name, cut(content), Reading(MIB), Findings()):
        yield from judged(block)


contacts_of_ours = st.lists(st.tuples(texts, addresses).filter(is_stored_as_it_is), min_size=1, max_size=8)


@pytest.mark.parametrize("name", JOB_FORMATS)
@given(contacts=contacts_of_ours, source=texts, data=st.data())
@example(contacts=[('"Ann"', "'a@example.com"), ('"Bob"', "'b@example.com")], source="'=x", data=None)
@example(contacts=[("'=1", "ann@example.com"), ("=1", "+ann@example.com")], source="@x", data=None)
@example(contacts=[("A\nb,b@example.com,x,2026-01-01,", "ann@example.com")], source="x", data=None)
@example(contacts=[("\x1b$B;3ED", "ann@example.com")], source="x", data=None)
@example(contacts=[("NULL", "ann@example.com"), ("(NULL)", "bob@example.com")], source="x", data=None)
@example(contacts=[("<r><t>a</t></r>", "ann@example.com"), ("<r>a</t></r>", "bob@example.com")], source="x", data=None)
@example(
    contacts=[("a\rb\r\nc\ufffe\uffff_xFFFE_", "ann@example.com"), ("007", "7@example.com")], source="x", data=None
)
@example(contacts=[("_x0041\r_x005F_x0041_x0042_", "ann@example.com")], source="x", data=None)
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
def test_what_is_exported_and_imported_is_the_same(
    name: str,
    contacts: list[Contact],
    source: str,
    data: st.DataObject | None,
    connection: db.Connection,
    database: str,
) -> None:
    connection.execute("DELETE FROM contacts")
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO contacts (name, email, source) VALUES (%s, %s, %s)", [(*each, source) for each in contacts]
        )
    fields = DEFAULT_FIELDS
    if data and JOB_FORMATS[name].has_fields:
        fields = tuple(
            data.draw(st.permutations(["name", "email", *data.draw(st.sets(st.sampled_from(["id", "source"])))]))
        )
    content = exported(database, name, fields)
    assert sorted(imported(name, content)) == sorted(contacts)
