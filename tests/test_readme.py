"""The README keeps up with the program."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from dataflow import db
from dataflow.cli import _parser
from dataflow.config import Config
from dataflow.ids import uuid7
from dataflow.web.app import create_app

README = (Path(__file__).parent.parent / "README.rst").read_text()


@pytest.mark.unit
def test_it_has_at_most_560_lines() -> None:
    assert len(README.splitlines()) <= 560


@pytest.mark.parametrize("name", [f.name.upper() for f in fields(Config)])
def test_every_setting_is_described(name: str) -> None:
    assert re.search(rf"^``{name}`` ", README, re.MULTILINE), name


def test_every_default_is_the_one_described() -> None:
    defaults = Config.from_env({})
    for name in ("port", "max_uploads", "upload_chunk_size", "worker_concurrency", "max_row_bytes", "data_dir"):
        line = next(line for line in README.splitlines() if line.startswith(f"``{name.upper()}`` "))
        assert str(getattr(defaults, name)) in line, line


def test_every_command_is_mentioned() -> None:
    choices = next(action.choices for action in _parser()._actions if action.choices)
    for command in choices or ():
        assert f"``{command}" in README or f"dataflow {command}" in README, command


def test_every_route_belongs_to_a_line_of_the_table_or_says_all_of_them_itself() -> None:
    """Its methods, parameters and answers are in the document of OpenAPI, which is tested to have every route."""
    told = README.partition("\nHTTP\n----\n")[2].partition("An option is a query parameter")[0]
    for rule in create_app(Config.from_env({})).url_map.iter_rules():
        resource = rule.rule.removeprefix("/v1").split("/")[1]
        assert f"``/{resource}``" in told, rule.rule


def test_the_statements_for_the_operators_questions_run(connection: db.Connection) -> None:
    block = README[README.index("-- What is going on?") : README.index("Leave deleting rows")]
    statements = [text.strip() for text in re.sub(r"--.*", "", block).split(";") if text.strip()]
    assert len(statements) == 7
    for statement in statements:
        connection.execute(statement.replace("'...'", f"'{uuid7()}'").encode())
