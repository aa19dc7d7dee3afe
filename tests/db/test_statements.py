"""Statements by name: each is there, and each is used."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import dataflow
from dataflow import db

pytestmark = pytest.mark.unit

QUERIES = db.SQL / "queries"
STATEMENTS = {path.relative_to(QUERIES).with_suffix("").as_posix() for path in QUERIES.rglob("*.sql")}
FOLDERS = {name.partition("/")[0] for name in STATEMENTS}
#: The functions that are given a name, and which of their arguments it is.
NAMED_IN = {"query": 0, "value": 1, "fenced": 1, "guarded": 1}
TREES = [ast.parse(path.read_text()) for path in Path(dataflow.__file__).parent.rglob("*.py")]


def texts() -> Iterator[str]:
    for tree in TREES:
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def names_in_calls() -> Iterator[str]:
    for tree in TREES:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                for argument in node.args[NAMED_IN.get(function, len(node.args)) :][:1]:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        yield argument.value


def test_every_statement_is_used_and_every_name_in_use_is_one() -> None:
    name = re.compile(rf"((?:{'|'.join(FOLDERS)})/\w+)(?:\.sql)?")
    used = {found[1] for text in texts() if (found := name.fullmatch(text))}
    assert used == STATEMENTS
    assert set(names_in_calls()) <= STATEMENTS


def test_each_statement_stands_in_a_folder_of_its_table() -> None:
    assert {name.count("/") for name in STATEMENTS} == {1}


def test_each_file_is_one_statement() -> None:
    for name in STATEMENTS:
        text = re.sub(r"\$\$.*?\$\$|'.*?'|--.*?$", "", db.query(name).decode(), flags=re.DOTALL | re.MULTILINE)
        assert ";" not in text, name


def test_a_statement_that_is_not_there_is_named() -> None:
    with pytest.raises(LookupError, match="no statement jobs/clam in "):
        db.query("jobs/clam")
