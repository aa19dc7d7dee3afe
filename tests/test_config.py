"""Settings: the original's defaults, every problem at once, and no secret in anything that is shown."""

import dataclasses
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from psycopg.conninfo import conninfo_to_dict

from dataflow.config import MAX_SOCKET_DIR_BYTES, Config, embedded_url, socket_dir
from dataflow.errors import ConfigError

pytestmark = pytest.mark.unit

SUPABASE = {"SUPABASE_URL": "https://project.supabase.co", "SUPABASE_SERVICE_ROLE_KEY": "hunter2-key"}
DATABASE = {"DATABASE_URL": "postgresql://user:hunter2@db.example.org/contacts"}


def problems(**environ: str) -> list[str]:
    """What is wrong with these settings, a line each."""
    with pytest.raises(ConfigError) as caught:
        Config.from_env(environ)
    first, *lines = caught.value.message.splitlines()
    assert first == "The settings are not usable:"
    return [line.strip() for line in lines]


def test_the_defaults_of_the_original_are_kept():
    config = Config.from_env({})
    assert config.port == 3000
    assert config.upload_chunk_size == 6_291_456
    assert config.upload_cache_control == "3600"
    assert config.upload_default_content_type == "application/octet-stream"
    assert config.worker_concurrency == 10
    assert config.worker_poll_interval == 500
    assert config.poll_seconds == 0.5
    assert config.enable_metrics is True


def test_nothing_has_to_be_set():
    config = Config.from_env({})
    assert config.database_url == embedded_url(Path(".dataflow"))
    assert config.is_embedded
    assert (config.supabase_url, config.supabase_service_role_key) == ("", "")


def test_values_are_read_by_their_type():
    environ = {
        **DATABASE,
        **SUPABASE,
        "PORT": "8080",
        "UPLOAD_CHUNK_SIZE": "8388608",
        "WORKER_POLL_INTERVAL": "50",
        "MAX_ROW_BYTES": "65536",
        "LOG_FORMAT": "json",
        "DATA_DIR": "/var/lib/dataflow",
    }
    config = Config.from_env(environ)
    assert (config.port, config.upload_chunk_size, config.max_row_bytes) == (8080, 8_388_608, 65_536)
    assert config.poll_seconds == 0.05
    assert (config.database_url, config.is_embedded) == (DATABASE["DATABASE_URL"], False)
    assert config.supabase_service_role_key == "hunter2-key"
    assert (config.log_format, config.data_dir) == ("json", "/var/lib/dataflow")


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PORT", "4711")
    assert Config.from_env().port == 4711


def test_what_is_no_setting_is_ignored():
    assert Config.from_env({"PATH": "/bin", "NODE_ENV": "production", "port": "1"}) == Config.from_env({})


@pytest.mark.parametrize("name", [field.name.upper() for field in dataclasses.fields(Config)])
def test_an_empty_variable_counts_as_unset(name: str):
    assert Config.from_env({name: ""}) == Config.from_env({})


@pytest.mark.parametrize(
    ("value", "enabled"), [("false", False), ("FALSE", False), ("0", False), ("true", True), ("1", True)]
)
def test_enable_metrics_means_what_it_says(value: str, enabled: bool):
    assert Config.from_env({"ENABLE_METRICS": value}).enable_metrics is enabled


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config.from_env({}).port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("PORT", ["-1", "65536", "http", "3000.5"]),
        ("UPLOAD_CHUNK_SIZE", ["0", "65535", "67108865", "6MiB"]),
        ("MAX_ROW_BYTES", ["0", "65535", "67108865"]),
        ("UPLOAD_STALL_SECONDS", ["0", "3601"]),
        ("MAX_UPLOADS", ["0", "-1"]),
        ("WEB_CONCURRENCY", ["0", "65"]),
        ("WEB_THREADS", ["1", "513"]),
        ("WORKER_CONCURRENCY", ["0", "101"]),
        ("WORKER_POLL_INTERVAL", ["9", "3600001"]),
        ("SHUTDOWN_GRACE_SECONDS", ["-1", "3601"]),
        ("ENABLE_METRICS", ["maybe", "2"]),
        ("LOG_FORMAT", ["xml", "JSON"]),
        ("DATABASE_URL", ["mysql://db/x", "db.example.org", "http://db"]),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name: str, values: list[str]):
    for value in values:
        [problem] = problems(**{name: value})
        assert problem.startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("PORT", ["0", "65535"]),
        ("UPLOAD_CHUNK_SIZE", ["65536", "67108864"]),
        ("MAX_ROW_BYTES", ["65536", "67108864"]),
        ("WORKER_CONCURRENCY", ["1", "100"]),
        ("SHUTDOWN_GRACE_SECONDS", ["0", "3600"]),
        ("LOG_FORMAT", ["json", "text"]),
        ("DATABASE_URL", ["postgres://db/x", "postgresql:///x", "postgresql://u:p@h:5433/x?sslmode=require"]),
    ],
)
def test_the_ends_of_each_range_are_allowed(name: str, values: list[str]):
    for value in values:
        assert str(getattr(Config.from_env({name: value}), name.lower())) == value


def test_every_problem_is_reported_together_and_once():
    found = problems(PORT="x", MAX_UPLOADS="0", ENABLE_METRICS="maybe", LOG_FORMAT="xml", SUPABASE_URL="https://x.co")
    assert [line.partition(":")[0] for line in found] == [
        "ENABLE_METRICS",
        "LOG_FORMAT",
        "MAX_UPLOADS",
        "PORT",
        "SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY",
    ]


# Pairs, chunks, dynos


@pytest.mark.parametrize("name", SUPABASE)
def test_half_of_supabase_is_refused(name: str):
    [problem] = problems(**{name: SUPABASE[name]})
    assert "set both, or neither" in problem


def test_storage_and_database_are_chosen_apart():
    assert Config.from_env(SUPABASE).is_embedded
    assert not Config.from_env(DATABASE).supabase_url


def test_small_chunks_are_refused_with_supabase_only():
    small = {"UPLOAD_CHUNK_SIZE": str(5 * 1024 * 1024 - 1)}
    [problem] = problems(**SUPABASE, **small)
    assert problem.startswith("UPLOAD_CHUNK_SIZE: at least 5242880 ")
    assert Config.from_env(small).upload_chunk_size == 5_242_879
    assert Config.from_env({**SUPABASE, "UPLOAD_CHUNK_SIZE": "5242880"}).upload_chunk_size == 5_242_880


@pytest.mark.parametrize("given", [{}, DATABASE, SUPABASE, {"SUPABASE_URL": "https://x.co"}])
def test_a_dyno_names_everything_that_it_lacks_in_one_message(given: dict[str, str]):
    [problem] = problems(DYNO="web.1", **given)
    named, _, reason = problem.partition(":")
    assert named.split(", ") == [name for name in (*DATABASE, *SUPABASE) if name not in given]
    assert "required on a dyno" in reason


def test_a_dyno_with_everything_is_content():
    assert Config.from_env({"DYNO": "worker.1", **DATABASE, **SUPABASE}).dyno == "worker.1"


def test_what_is_given_but_wrong_is_not_called_missing_too():
    [problem] = problems(DYNO="web.1", DATABASE_URL="mysql://db/x", **SUPABASE)
    assert problem.startswith("DATABASE_URL: must begin with postgres")
    [problem] = problems(**{**SUPABASE, "SUPABASE_URL": "project.supabase.co"})
    assert problem.startswith("SUPABASE_URL: must begin with http")


# Secrets


def test_no_secret_is_in_the_repr():
    config = Config.from_env({**DATABASE, **SUPABASE})
    assert "hunter2" not in repr(config)
    assert "hunter2" not in f"{config}"
    assert "https://project.supabase.co" in repr(config)


def test_no_value_is_in_a_message():
    wrong = dict.fromkeys((field.name.upper() for field in dataclasses.fields(Config)), "hunter2-is-wrong")
    found = "\n".join(problems(**wrong))
    assert "hunter2" not in found
    for name in ("DATABASE_URL", "SUPABASE_URL", "PORT", "ENABLE_METRICS", "LOG_FORMAT"):
        assert f"{name}: " in found


def test_no_value_is_in_what_a_traceback_would_show():
    with pytest.raises(ConfigError) as caught:
        Config.from_env({"DATABASE_URL": "mysql://user:hunter2@db/x"})
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in str(error)
        error = error.__cause__ or error.__context__


# The embedded database


def test_the_socket_is_inside_a_data_dir_that_is_short_enough(tmp_path: Path):
    found = socket_dir(Path("/srv/dataflow"))
    assert found == Path("/srv/dataflow").resolve() / "run" / "postgres"
    at_limit = Path("/" + "x" * (MAX_SOCKET_DIR_BYTES - len("//run/postgres")))
    assert socket_dir(at_limit) == at_limit / "run" / "postgres"
    assert len(str(socket_dir(at_limit))) == MAX_SOCKET_DIR_BYTES


@pytest.mark.parametrize("folder", ["/" + "x" * 90, "/" + "é" * 50, "/srv/" + "deep/" * 40])
def test_the_socket_of_a_long_data_dir_is_elsewhere_short_and_always_the_same(folder: str):
    found = socket_dir(Path(folder))
    assert not found.is_relative_to(folder)
    assert len(bytes(found)) <= MAX_SOCKET_DIR_BYTES
    assert found == socket_dir(Path(folder) / "." / "x" / "..")
    assert found != socket_dir(Path(folder + "x"))


def test_a_relative_data_dir_is_the_one_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert socket_dir(Path(".dataflow")) == socket_dir(tmp_path / ".dataflow")


@pytest.mark.parametrize(
    "folder", ["/srv/plain", "/srv/with space", "/srv/50%?&=#", "/srv/größe", "/srv/a:b@c", "/" + "x" * 200]
)
def test_the_embedded_url_leads_to_the_socket(folder: str):
    url = embedded_url(Path(folder))
    assert urlsplit(url).scheme == "postgresql"
    found = conninfo_to_dict(url)
    assert found["host"] == str(socket_dir(Path(folder)))
    assert (found["user"], found["dbname"]) == ("postgres", "postgres")
    assert Config.from_env({"DATA_DIR": folder}).is_embedded
