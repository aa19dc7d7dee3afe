"""The layers of the package: imports point down, and each outside library has its place."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import dataflow

pytestmark = pytest.mark.unit

ROOT = Path(dataflow.__file__).parent

#: From top to bottom. A layer is made of families; a name stands for a module, or a package with all that is in it.
#: An import goes to a lower layer or stays within its family.
LAYERS: dict[str, list[set[str]]] = {
    "entry": [{"cli", "__main__", "gunicorn_conf", "supervisor", "child", "demo"}],
    "processes": [
        {"web"},
        {
            *{"worker", "crew", "slot", "heartbeat", "outage", "recovery", "orphaned_uploads", "sweep", "watchdog"},
            *{"connection_plan", "kept_connection", "self_pipe", "work_connections"},
        },
        {"client"},
        {"psql"},
    ],
    "use cases": [
        {"intake", "receipt", "arrival", "door", "preview", "completion"},
        {"importer", "reverter", "received", "attempt"},
    ],
    "domain": [
        {"jobs", "job_counts", "reverts", "leases", "live_workers", "retention"} | {"wakeups", "database_identity"},
        {"rejects", "rejects_file"},
        {"merge"},
    ],
    "rules": [{"contacts", "verdicts", "addresses", "import_progress", "options"}],
    "adapters": [
        {"storage"},
        {"db", "database_errors", "migrations", "pool", "session", "statements"},
        {"metrics"},
        {"logs"},
        {"embedded", "account"},
        {"allocator"},
    ],
    "core": [{"", "deadlines", "formats", "config", "errors", "ids", "peers", "progress", "setting_kinds", "storable"}],
}

#: Who may import an outside library, at all.
LIBRARIES = {
    "flask": {"web"},
    "gunicorn": {"web.connection", "web.http_worker", "web.request_head"},
    "werkzeug": {"web"},
    "prometheus_flask_exporter": {"web"},
    "prometheus_client": {"web", "metrics", "gunicorn_conf"},
    "requests": {"storage.supabase", "client"},
    "urllib3": {"storage.supabase"},
    "psycopg": {"db", "session", "database_errors", "jobs", "wakeups", "importer", "psql", "worker", "slot"},
    "ijson": {"formats.json_events"},
    "openpyxl": {"formats.workbook"},
}

#: The gunicorn master must not have these: prometheus_client decides at its import whether it counts per process.
TOO_EARLY = {"prometheus_client", "prometheus_flask_exporter"}
EARLY = ["cli", "gunicorn_conf", "supervisor", "__main__"]


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


def place_of(module: str) -> tuple[int, int]:
    """Layer, counted from the top, and family within it."""
    for depth, families in enumerate(LAYERS.values()):
        for number, family in enumerate(families):
            if belongs(module, family):
                return depth, number
    pytest.fail(f"dataflow.{module} has no place in LAYERS")


def is_allowed(module: str, imported: str) -> bool:
    here, there = place_of(module), place_of(imported)
    return there[0] > here[0] or there == here


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str):
    upward = {imported for imported in own(imported_by(module)) if not is_allowed(module, imported)}
    assert upward == set()


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


# The tests above are worth what the search for imports finds.


def test_every_way_of_importing_is_found():
    source = """
import dataflow.db, flask.json as j
from dataflow import jobs, __version__
from dataflow.web import errors
from dataflow.formats.rows import ABSENT
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
    assert own(found) == {"db", "jobs", "", "web.errors", "formats.rows", "storage.local"}
    at_import_time = set(imports(ast.parse(source), at_import_time=True))
    assert found - at_import_time == {"dataflow.storage.local", "werkzeug", "ijson.backends.yajl2_c"}
    with pytest.raises(AssertionError, match="line 1: relative"):
        set(imports(ast.parse("from .db import query")))


@pytest.mark.parametrize(
    ("module", "imported", "allowed"),
    [
        ("worker", "slot", True),
        ("worker", "importer", True),
        ("web.jobs", "web", True),
        ("web.jobs", "jobs", True),
        ("intake", "door", True),
        ("storage.local", "storage.base", True),
        ("cli", "supervisor", True),
        ("importer", "db", True),
        ("web", "worker", False),
        ("worker", "web.jobs", False),
        ("importer", "intake", False),
        ("storage.local", "db", False),
        ("metrics", "jobs", False),
        ("db", "jobs", False),
        ("formats.rows", "contacts", False),
        ("supervisor", "cli", True),
        ("slot", "cli", False),
    ],
)
def test_the_layers_are_told_apart(module: str, imported: str, allowed: bool):
    assert is_allowed(module, imported) is allowed


def test_a_module_without_a_place_is_noticed():
    with pytest.raises(pytest.fail.Exception, match="stray has no place"):
        place_of("stray")
