"""The tests lie as what they test does, and what several of them need is in `tests/support`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scheduling import COMPUTING, LONG

pytestmark = pytest.mark.unit

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "dataflow"
#: What is not there to test a package of ours.
OTHERS = {"support", "doubles", "drills", "bench", "data"}


def modules() -> Iterator[Path]:
    yield from (path.relative_to(TESTS) for path in sorted(TESTS.rglob("*.py")))


def is_test(name: str) -> bool:
    return name.rpartition(".")[2].startswith("test_") or name.rpartition(".")[2] == "conftest"


def imported(path: Path) -> Iterator[str]:
    """Full names of what a module imports of the tests, wherever it does."""
    for node in ast.walk(ast.parse((TESTS / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("tests."))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "tests":
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_module_imports_a_test_module() -> None:
    found = [f"{path} imports {name}" for path in modules() for name in imported(path) if is_test(name)]
    assert found == []


def test_the_folders_of_the_tests_are_the_packages_of_the_program() -> None:
    folders = {path.parent for path in modules() if path.parts[0] not in OTHERS}
    assert [folder for folder in folders if not (PACKAGE / folder / "__init__.py").is_file()] == []


def test_only_test_modules_and_fixtures_lie_beside_them() -> None:
    """Support that lies among tests is found by nobody else."""
    beside = {path for path in modules() if path.parts[0] not in OTHERS and not is_test(path.stem)}
    assert {path.name for path in beside} == {"__init__.py"}


def test_a_test_module_is_found_by_the_name_of_what_it_tests() -> None:
    """The names of the program's modules before they were in packages find nothing any more."""
    forgotten = ("arrival", "child", "crew", "door", "receipt", "received", "slot", "tally")
    named = [path for path in modules() if any(word in path.stem.split("_") for word in forgotten)]
    assert named == []


def test_what_is_scheduled_by_its_name_is_there() -> None:
    assert [path for path in (*COMPUTING, *LONG) if not (TESTS.parent / path).exists()] == []
