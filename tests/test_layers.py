"""The packages: each imports what it stands on and nothing above, and each outside library has its place."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

import dataflow

pytestmark = pytest.mark.unit

ROOT = Path(dataflow.__file__).parent

#: One rule a package, or module at the top: what it stands on. It may import that, and what that stands on in turn.
STANDS_ON: dict[str, set[str]] = {
    "__main__": {"cli"},
    "cli": {"local", "web", "worker", "gunicorn_conf", "metrics", "client.commands"},
    "local": {"client", "db", "config", "allocator"},
    "gunicorn_conf": {"config", "logs"},
    "web": {"web.server", "imports", "exports", "metrics"},
    "web.server": {"config", "storage"},
    "worker": {"imports", "exports"},
    "imports": {"queue", "contacts", "storage", "logs", "allocator"},
    "exports": {"queue", "contacts", "storage"},
    "queue": {"db", "text", "ids"},
    "contacts": {"formats", "ids"},
    "formats": {"text", "errors"},
    "storage": {"config"},
    "client": {"errors"},
    "client.commands": {"client", "config", "imports"},
    "metrics": {"errors"},
    "db": {"errors"},
    "config": {"settings"},
    "settings": {"errors"},
    "allocator": set(),
    "errors": {"error_codes"},
    "error_codes": set(),
    "ids": set(),
    "logs": set(),
    "text": set(),
    "": set(),
}

#: The packages of `formats` that one of them may import, beside the modules of `formats`, which all of them may.
FORMATS_STAND_ON: dict[str, set[str]] = {
    "columns": set(),
    "vcard": set(),
    "tables": {"columns"},
    "csv": {"columns", "tables"},
    "json": {"columns", "tables"},
    "xlsx": {"columns", "tables"},
}

#: The modules of `queue` and `worker` that know what an import is; for the others a job is of any kind.
KNOW_IMPORTS = {"worker.handlers", "worker.orphaned_uploads"}

#: The field has words for these: check, pool, thread, upload, progress, process.
METAPHORS = {
    *("arrival", "arrivals", "child", "children", "crew", "door", "doors", "intake", "receipt", "receipts", "received"),
    *("slot", "slots", "tally", "tallies"),
}

#: `__slots__` is Python's, `child_exit` a hook of gunicorn's.
NAMED_BY_OTHERS = {
    "formats.tables.cells": {"slots"},
    "web.server.answer_socket": {"slots"},
    "gunicorn_conf": {"child"},
}

#: Who may import an outside library, at all.
LIBRARIES = {
    "apispec": {"web.openapi"},
    "flask": {"web"},
    "flask_cors": {"web.origins"},
    "flask_swagger_ui": {"web.routes.ui"},
    "gunicorn": {"web.server"},
    "werkzeug": {"web"},
    "prometheus_flask_exporter": {"web"},
    "prometheus_client": {"web", "metrics", "gunicorn_conf"},
    "requests": {"storage.supabase", "client"},
    "urllib3": {"storage.supabase", "client.service"},
    "psycopg": {
        "db",
        "queue",
        "imports.load",
        "exports.formats",
        "exports.order",
        "exports.file_job",
        "local.psql",
        "worker",
    },
    "ijson": {"formats.json"},
    "msgspec": {"formats.json"},
    "openpyxl": {"formats.xlsx"},
    "xlsxwriter": {"exports.workbook"},
    "environs": {"settings"},
    "itsdangerous": {"web"},
    "tqdm": {"client"},
}

#: The gunicorn master must not have these: prometheus_client decides at its import whether it counts per process.
TOO_EARLY = {"prometheus_client", "prometheus_flask_exporter"}
EARLY = ["cli", "gunicorn_conf", "local.supervisor", "__main__"]


def module_name(path: Path) -> str:
    """The name of a module below `dataflow`; the package itself is the empty name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports(tree: ast.AST, at_import_time: bool = False) -> Iterator[str]:
    """Full names of everything that is imported, `from x import y` as x.y; optionally without those in functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide the layer"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not (at_import_time and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)):
            yield from imports(node, at_import_time)


def imported_by(module: str, at_import_time: bool = False) -> set[str]:
    return set(imports(ast.parse(MODULES[module].read_text()), at_import_time))


def own(names: set[str]) -> set[str]:
    """The modules of ours among imported names: the longest part of a name that is a module."""
    found = set()
    for name in names:
        package, *parts = name.split(".")
        if package == "dataflow":
            while ".".join(parts) not in MODULES:
                parts.pop()
            found.add(".".join(parts))
    return found


def belongs(module: str, names: set[str]) -> bool:
    return any(module == name or (name and module.startswith(f"{name}.")) for name in names)


def package_of(module: str) -> str:
    """The package that the module is in, or the module itself at the top."""
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        if (name := ".".join(parts[:end])) in STANDS_ON:
            return name
    pytest.fail(f"dataflow.{module} has no rule in STANDS_ON")


def foundations(package: str) -> set[str]:
    """All that the package stands on, down to the ground, `dataflow` itself included."""
    below = {package, ""}
    waiting = {package}
    while waiting:
        waiting = {name for found in waiting for name in STANDS_ON[found]} - below
        below |= waiting
    return below


def is_allowed(module: str, imported: str) -> bool:
    return package_of(imported) in foundations(package_of(module)) if imported else True


def test_no_package_stands_on_itself():
    assert set(TopologicalSorter(STANDS_ON).static_order()) == set(STANDS_ON)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str):
    upward = {imported for imported in own(imported_by(module)) if not is_allowed(module, imported)}
    assert upward == set()


@pytest.mark.parametrize("package", FORMATS_STAND_ON)
def test_a_format_imports_no_other_format(package: str):
    for module in MODULES:
        if module.startswith(f"formats.{package}."):
            others = {name.split(".")[1] for name in own(imported_by(module)) if name.startswith("formats.")}
            assert others & FORMATS_STAND_ON.keys() <= FORMATS_STAND_ON[package] | {package}, module


def test_jobs_of_any_kind_are_run_without_knowing_imports():
    knowing = {
        module
        for module in MODULES
        if module.startswith(("worker.", "queue."))
        and any(name.split(".")[0] == "imports" for name in own(imported_by(module)))
    }
    assert knowing == KNOW_IMPORTS


@pytest.mark.parametrize(
    "package", [name for name in STANDS_ON if name and MODULES.get(name, ROOT).name == "__init__.py"]
)
def test_a_package_says_what_it_may_import(package: str):
    docstring = ast.get_docstring(ast.parse(MODULES[package].read_text())) or ""
    said = docstring.partition("May import ")[2].partition(", never")[0]
    assert set(re.findall(r"`([\w.]+)`", said)) == STANDS_ON[package]


@pytest.mark.parametrize("package", FORMATS_STAND_ON)
def test_a_package_of_formats_says_which_others_it_may_import(package: str):
    said = ast.get_docstring(ast.parse(MODULES[f"formats.{package}"].read_text())) or ""
    if FORMATS_STAND_ON[package]:
        named = re.search(r"of its packages (.*)\.", said)
        assert named and set(re.findall(r"`(\w+)`", named[1])) == FORMATS_STAND_ON[package]
    else:
        assert "none of its packages" in said


@pytest.mark.parametrize("module", MODULES)
def test_outside_libraries_are_imported_where_they_belong(module: str):
    libraries = {name.partition(".")[0] for name in imported_by(module)}
    misplaced = {name for name in libraries & LIBRARIES.keys() if not belongs(module, LIBRARIES[name])}
    assert misplaced == set()


def test_no_modules_import_one_another_in_a_circle():
    graph = {module: own(imported_by(module, at_import_time=True)) - {module} for module in MODULES}
    assert set(TopologicalSorter(graph).static_order()) == set(MODULES)


@pytest.mark.parametrize("module", EARLY)
def test_nothing_of_prometheus_is_imported_before_gunicorn_forks(module: str):
    seen: set[str] = set()
    libraries: set[str] = set()
    waiting = {module}
    while waiting:
        current = waiting.pop()
        seen.add(current)
        names = imported_by(current, at_import_time=True)
        libraries |= {name.partition(".")[0] for name in names}
        # Importing a module runs the packages that it is in.
        parents = {imported.rpartition(".")[0] for imported in own(names)}
        waiting |= (own(names) | parents) - seen
    assert libraries & TOO_EARLY == set()


def test_nothing_of_prometheus_is_loaded_with_the_command_line_and_gunicorns_settings(tmp_path: Path):
    program = "import sys, dataflow.cli, dataflow.gunicorn_conf; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, text=True, timeout=30, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "dataflow" in loaded
    assert loaded & TOO_EARLY == set()


def test_a_command_begins_without_the_libraries_that_others_need(tmp_path: Path):
    program = "import sys; from dataflow import cli; cli._parser(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, text=True, timeout=30, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded & {"marshmallow", "psycopg", "flask", "requests", "gunicorn", "environs"} == set()


def words_of_names(tree: ast.AST) -> Iterator[str]:
    """The words of which the names that a module gives are made, in lower case."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.arg | ast.FunctionDef | ast.ClassDef | ast.Attribute):
            name = next(getattr(node, field) for field in ("id", "arg", "name", "attr") if hasattr(node, field))
            yield from re.sub("([A-Z])", r"_\1", name).lower().strip("_").split("_")


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_named_by_a_metaphor_of_our_own(module: str):
    words = set(words_of_names(ast.parse(MODULES[module].read_text())))
    assert words & METAPHORS == NAMED_BY_OTHERS.get(module, set())


def test_the_walks_in_the_readme_go_down():
    hacking = (ROOT.parent / "README.rst").read_text().partition("each line is a module")[2]
    lines = re.findall(r"^    (\S+) +.*?  +(\S+) +.*$", hacking.partition("Each package says")[0], re.MULTILINE)
    walks = [[name.replace("/", ".") for name in walk] for walk in zip(*lines, strict=True)]
    assert [len(walk) for walk in walks] == [6, 6]
    for walk in walks:
        assert set(walk) <= MODULES.keys()
        for upper, lower in pairwise(walk):
            assert is_allowed(upper, lower), (upper, lower)
            assert package_of(upper) == package_of(lower) or not is_allowed(lower, upper), (upper, lower)


# The tests above are worth what the search for imports finds.


def test_every_way_of_importing_is_found():
    source = """
import dataflow.db, flask.json as j
from dataflow import ids, __version__
from dataflow.web import errors
from dataflow.formats.block import ABSENT
if True:
    import requests
class A:
    import psycopg
def later():
    from dataflow.storage import local
async def even_later():
    try:
        import werkzeug
    except ImportError:
        from ijson.backends import yajl2_c
"""
    found = set(imports(ast.parse(source)))
    assert own(found) == {"db", "ids", "", "web.errors", "formats.block", "storage.local"}
    at_import_time = set(imports(ast.parse(source), at_import_time=True))
    assert found - at_import_time == {"dataflow.storage.local", "werkzeug", "ijson.backends.yajl2_c"}
    with pytest.raises(AssertionError, match="line 1: relative"):
        set(imports(ast.parse("from .db import query")))


@pytest.mark.parametrize(
    ("module", "imported", "allowed"),
    [
        ("worker.loop", "worker.runner", True),
        ("worker.runner", "imports.load", True),
        ("web.routes.jobs", "web.services", True),
        ("web.routes.jobs", "queue.jobs", True),
        ("imports.receive", "imports.json_check", True),
        ("storage.local", "storage.base", True),
        ("cli", "local.supervisor", True),
        ("imports.load", "db", True),
        ("web.app", "worker.loop", False),
        ("worker.loop", "web.routes.jobs", False),
        ("web.server.http_worker", "web.app", False),
        ("queue.leases", "imports.load", False),
        ("storage.local", "db", False),
        ("metrics", "queue.jobs", False),
        ("db", "queue.jobs", False),
        ("formats.block", "contacts.schema", False),
        ("local.supervisor", "cli", False),
        ("worker.runner", "cli", False),
    ],
)
def test_the_packages_are_told_apart(module: str, imported: str, allowed: bool):
    assert is_allowed(module, imported) is allowed


def test_a_module_without_a_rule_is_noticed():
    with pytest.raises(pytest.fail.Exception, match="stray has no rule"):
        package_of("stray")
