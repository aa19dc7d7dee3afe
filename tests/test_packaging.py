"""What is installed: what the checkout has and nothing else, and the same at every build of it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import dataflow

pytestmark = pytest.mark.unit

ROOT = Path(dataflow.__file__).parent.parent
#: For which the versions are chosen; another one may need a little less.
PYTHON = (ROOT / ".python-version").read_text().strip()
PINNED = re.compile(r"([a-z0-9][a-z0-9._-]*)==(\d[\w.]*)")


def names_in(folder: Path) -> set[Path]:
    return {
        path.relative_to(folder) for path in folder.rglob("*") if path.suffix in (".py", ".sql", ".tsv", ".js", ".html")
    }


def test_a_build_takes_nothing_that_an_earlier_one_has_left_behind(tmp_path: Path) -> None:
    built = tmp_path / "lib"
    stale = [
        built / "dataflow" / "sql" / "migrations" / "9999_deleted.sql",
        built / "dataflow" / "deleted.py",
        built / "dataflow" / "gone" / "__init__.py",
    ]
    foreign = built / "another" / "__init__.py"
    for path in (*stale, foreign):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    # egg_info writes beside the sources unless it is told where.
    command = ["setup.py", "-q", "egg_info", "--egg-base", str(tmp_path), "build_py", "--build-lib", str(built)]
    environ = {**os.environ, "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, *command], cwd=ROOT, env=environ, timeout=60, check=True)
    sql = {Path("sql", name) for name in names_in(ROOT / "sql")}
    assert names_in(built / "dataflow") == names_in(ROOT / "dataflow") | sql
    assert foreign.exists()


def lines() -> list[str]:
    text = (ROOT / "requirements.txt").read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def needed(name: str, extras: frozenset[str] = frozenset()) -> Iterator[str]:
    """Whatever an installed package needs to run, and what that needs."""
    environ = {"python_version": PYTHON, "python_full_version": f"{PYTHON}.0"}
    for requirement in map(Requirement, requires(name) or ()):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({**environ, "extra": extra}) for extra in ("", *extras)):
            yield canonicalize_name(requirement.name)
            with suppress(PackageNotFoundError):
                yield from needed(requirement.name, frozenset(requirement.extras))


def test_requirements_are_exact_versions_and_the_checkout_and_no_places() -> None:
    *pinned, last = lines()
    assert last == "."
    assert [line for line in pinned if not PINNED.fullmatch(line)] == []
    assert pinned == sorted(set(pinned))


def test_requirements_name_all_that_is_needed_to_run_and_nothing_else() -> None:
    pinned = {canonicalize_name(line.partition("==")[0]) for line in lines()[:-1]}
    assert pinned == set(needed("dataflow-import"))


def test_requirements_satisfy_the_lower_bounds() -> None:
    pinned = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines()[:-1])}
    for text in requires("dataflow-import") or ():
        requirement = Requirement(text)
        if requirement.marker is None:
            assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), text
