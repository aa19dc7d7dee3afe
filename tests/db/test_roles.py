"""The grants in README are enough: a role that may change no table runs web and worker."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from dataflow import db
from tests.support.commands import dataflow
from tests.support.databases import on_server
from tests.support.processes import Web

README = (Path(__file__).resolve().parents[2] / "README.rst").read_text()
ROLE = f"dataflow_least_{os.getpid()}"
CSV = b"name,email\nAnn,ann@example.com\nBob,bob@example.com\nNobody,nowhere\n"
OF_FILE = {"Content-Type": "text/csv", "X-Source": "crm"}


@pytest.fixture
def least(empty_database: str, server: str) -> Iterator[str]:
    """URL of a migrated database for a role that has what README says."""
    grants = re.findall(r"^    ((?:ALTER DEFAULT PRIVILEGES|GRANT) .*) TO dataflow;$", README, re.MULTILINE)
    assert len(grants) == 2
    on_server(server, f"CREATE ROLE {{name}} LOGIN PASSWORD '{urlsplit(server).password or ''}'", ROLE)
    try:
        # The first alone is for what comes after it.
        with psycopg.connect(empty_database, autocommit=True) as owner:
            owner.execute(f"{grants[0]} TO {ROLE}".encode())
            db.migrate(empty_database)
            yield re.sub(r"//[^@/]*@|//(?=/)", f"//{ROLE}:{urlsplit(server).password or 'none'}@", empty_database)
            owner.execute(f"DROP OWNED BY {ROLE}".encode())
    finally:
        on_server(server, "DROP ROLE {name}", ROLE)


def test_a_role_without_rights_to_change_tables_runs_web_and_worker(
    least: str, start_web: Callable[..., Web], tmp_path: Path
) -> None:
    with db.connect(least, "dataflow/test") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("ALTER TABLE jobs ADD COLUMN more int")
    web = start_web(DATABASE_URL=least, DATA_DIR=tmp_path)
    ids = [
        web.post(f"/import?onConflict={on_conflict}", data=CSV, headers=OF_FILE).json()["jobId"]
        for on_conflict in ("insert", "skip", "update")
    ]
    assert dataflow("worker", "--once", DATABASE_URL=least, DATA_DIR=tmp_path).returncode == 0
    assert [web.get(f"/jobs/{name}").json()["state"] for name in ids] == ["succeeded"] * 3
    reverted = web.post(f"/jobs/{ids[0]}/revert").json()["jobId"]
    assert dataflow("worker", "--once", DATABASE_URL=least, DATA_DIR=tmp_path).returncode == 0
    assert web.get(f"/jobs/{reverted}").json()["state"] == "succeeded"
    assert web.request("DELETE", f"/jobs/{ids[0]}").status_code == 204
    assert "dataflow_jobs" in web.get("/metrics").text
    assert web.get("/health").status_code == 200
    exported = web.post("/exports?format=xlsx").json()["jobId"]
    assert dataflow("worker", "--once", DATABASE_URL=least, DATA_DIR=tmp_path).returncode == 0
    assert web.get(f"/exports/{exported}/file").status_code == 200
    with db.connect(least, "dataflow/test") as connection:
        assert len(connection.execute("SELECT * FROM job_status").fetchall()) == 5
