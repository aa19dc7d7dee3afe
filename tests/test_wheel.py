"""The wheel as it is installed: all that the checkout has is there, and works from anywhere else."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import dataflow
from dataflow import db

ROOT = Path(dataflow.__file__).parent.parent

LOAD_ALL = """
import pathlib, pkgutil, sys
import dataflow
from dataflow import db

for module in pkgutil.walk_packages(dataflow.__path__, "dataflow."):
    __import__(module.name)
queries = db.SQL / "queries"
names = [path.relative_to(queries).with_suffix("").as_posix() for path in queries.rglob("*.sql")]
assert all(db.query(name) for name in names)
places = [pathlib.Path(module.__file__) for name, module in sys.modules.items() if name.split(".")[0] == "dataflow"]
assert all(place.is_relative_to(sys.argv[1]) for place in [queries, *places]), places
print(len(places), len(names))
"""


def run(*command: str | Path, **variables: str | Path) -> str:
    environ = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    done = subprocess.run(
        list(map(str, command)), cwd="/", env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shipped() -> set[str]:
    """The files of the checkout, as git knows them or would, by their place in a wheel."""
    listed = ("git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "dataflow", "sql")
    names = [name for name in run(*listed).splitlines() if (ROOT / name).exists()]
    return {f"dataflow/{name}" if name.startswith("sql/") else name for name in names}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built of a copy, because building writes beside the sources."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    for name in ("dataflow", "sql"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "setup.py", "README.rst", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "--no-index")
    run(*pip, "--no-build-isolation", "--wheel-dir", built, source)
    [path] = built.iterdir()
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps", "--no-index")
    run(*pip, "--target", folder, wheel)
    return folder


@pytest.mark.unit
def test_the_wheel_has_all_files_of_the_package_and_the_sql_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == shipped()


@pytest.mark.unit
def test_every_module_and_statement_of_the_installed_package_can_be_loaded(installed: Path) -> None:
    modules = {name for name in shipped() if name.endswith(".py")}
    statements = {name for name in shipped() if name.startswith("dataflow/sql/queries/")}
    loaded = run(sys.executable, "-P", "-c", LOAD_ALL, installed, PYTHONPATH=installed)
    assert loaded.split() == [str(len(modules)), str(len(statements))]


def test_the_installed_command_migrates(installed: Path, empty_database: str, tmp_path: Path) -> None:
    command = installed / "bin" / "dataflow"
    assert "migrate" in run(command, "--help", PYTHONPATH=installed)
    migrated = run(command, "migrate", PYTHONPATH=installed, DATABASE_URL=empty_database, DATA_DIR=tmp_path)
    count = len(list((db.SQL / "migrations").iterdir()))
    assert migrated.startswith(f"{count} migrations applied.\n")
    assert db.migrate(empty_database) == []
