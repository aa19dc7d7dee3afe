"""The tree of errors and the table of their codes."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import dataflow
from dataflow import errors
from dataflow.errors import CODES, DataFlowError, InputError, JobError, StorageUnavailable

pytestmark = pytest.mark.unit

ROOT = Path(dataflow.__file__).parent
CLASSES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, DataFlowError)]


def codes_given() -> Iterator[str]:
    """Every code that some line of the package gives an error which it makes."""
    names = {kind.__name__ for kind in CLASSES}
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                for keyword in node.keywords:
                    if keyword.arg == "code":
                        assert isinstance(keyword.value, ast.Constant), f"{path}:{node.lineno}: write the code out"
                        yield str(keyword.value.value)


def test_every_code_is_in_the_table_and_every_entry_of_the_table_is_used():
    assert {kind.code for kind in CLASSES} | set(codes_given()) == CODES.keys()


def test_an_error_has_the_code_of_its_class_or_one_of_its_own():
    assert (InputError("x").code, JobError("x").code) == ("malformed_input", "job_conflict")
    own = JobError("No job has this id.", code="job_not_found")
    assert (own.code, own.status, own.retryable) == ("job_not_found", 404, False)
    passing = StorageUnavailable("x")
    assert (passing.code, passing.status, passing.retryable) == ("storage_unavailable", 503, True)
    assert JobError.code == "job_conflict", "an error's own code must not become its class's"


def test_what_is_retried_is_never_the_fault_of_the_file():
    assert not any(CODES[kind.code].retryable for kind in CLASSES if issubclass(kind, InputError))
