"""Settings: the original's defaults, every problem at once, and no secret in anything that is shown."""

import dataclasses
import json
from base64 import urlsafe_b64encode
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from psycopg.conninfo import conninfo_to_dict

from dataflow.config import Config
from dataflow.errors import ConfigError
from dataflow.settings.embedded_database import MAX_SOCKET_DIR_BYTES, embedded_url, socket_dir
from dataflow.storage.base import Unobserved
from dataflow.storage.supabase.api import Api

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
    assert config.upload_cache_control == 3600
    assert config.upload_default_content_type == "application/octet-stream"
    assert config.upload_retry_delays == (0, 3, 5, 10, 20)
    assert config.storage_bucket == "imports"
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
        ("UPLOAD_MIN_BYTES_SECOND", ["-1", "1048577"]),
        ("MAX_UPLOADS", ["0", "-1"]),
        ("WEB_CONCURRENCY", ["0", "65"]),
        ("WEB_THREADS", ["2", "513"]),
        ("MAX_CONNECTIONS", ["15", "65537"]),
        ("HEAD_SECONDS", ["0", "3601"]),
        ("WORKER_CONCURRENCY", ["0", "101"]),
        ("WORKER_POLL_INTERVAL", ["9", "3600001"]),
        ("SHUTDOWN_GRACE_SECONDS", ["-1", "3601"]),
        ("ENABLE_METRICS", ["maybe", "2"]),
        ("UPLOAD_CACHE_CONTROL", ["-1", "max-age=3600", "no-cache", "1.5"]),
        ("WORKER_METRICS_PORT", ["-1", "65536", "auto"]),
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
        ("UPLOAD_CACHE_CONTROL", ["0", "31536000"]),
        ("WORKER_METRICS_PORT", ["0", "65535"]),
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
    [problem] = problems(DYNO="web.1", API_KEYS="open", **given)
    named, _, reason = problem.partition(":")
    assert named.split(", ") == [name for name in (*DATABASE, *SUPABASE) if name not in given]
    assert "required on a dyno" in reason


def test_a_dyno_with_everything_is_content():
    keys = "shop:0123456789abcdefghij"
    for api_keys in (keys, "open"):
        config = Config.from_env({"DYNO": "worker.1", "API_KEYS": api_keys, **DATABASE, **SUPABASE})
        assert (config.dyno, config.api_keys) == ("worker.1", api_keys)


def test_a_dyno_is_closed_unless_its_owner_says_otherwise():
    [problem] = problems(DYNO="web.1", **DATABASE, **SUPABASE)
    assert problem.startswith("API_KEYS: required on a dyno")
    [problem] = problems(DYNO="web.1", API_KEYS="shop:short", **DATABASE, **SUPABASE)
    assert problem.startswith("API_KEYS: the key of entry 1 is not 20 or more")


def test_what_is_given_but_wrong_is_not_called_missing_too():
    [problem] = problems(DYNO="web.1", API_KEYS="open", DATABASE_URL="mysql://db/x", **SUPABASE)
    assert problem.startswith("DATABASE_URL: must begin with postgres")
    [problem] = problems(**{**SUPABASE, "SUPABASE_URL": "project.supabase.co"})
    assert problem.startswith("SUPABASE_URL: must be a URL with http")


# Storage


def jwt(**claims: object) -> str:
    """A key as Supabase makes them, hunter2 its signature."""
    header, payload = (
        urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in ({"alg": "HS256", "typ": "JWT"}, claims)
    )
    return f"{header}.{payload}.hunter2"


#: Of all lengths that base64 knows, and with characters that base64url writes otherwise.
ISSUERS = ("supabase", "supabase1", "supabase12", "~~~???>>>")


@pytest.mark.parametrize(
    "key",
    [*(jwt(iss=issuer, role="service_role", exp=1) for issuer in ISSUERS), "sb_secret_hunter2", "a.b.c"],
)
def test_a_key_that_may_be_the_service_s_is_accepted(key: str):
    config = Config.from_env({**SUPABASE, "SUPABASE_SERVICE_ROLE_KEY": key})
    assert config.supabase_service_role_key == key
    assert key not in repr(config)


@pytest.mark.parametrize(
    "key",
    [
        *(jwt(iss=issuer, role="anon", exp=1) for issuer in ISSUERS),
        jwt(role="authenticated"),
        "sb_publishable_hunter2",
    ],
)
def test_the_key_for_browsers_is_refused_without_being_shown(key: str):
    [problem] = problems(**{**SUPABASE, "SUPABASE_SERVICE_ROLE_KEY": key})
    assert problem.startswith("SUPABASE_SERVICE_ROLE_KEY: ")
    assert "browsers" in problem
    assert "service_role" in problem
    assert not any(part in problem for part in ("hunter2", *key.split(".")))


def test_a_token_without_a_role_is_refused_without_being_shown():
    key = jwt(sub="x")
    [problem] = problems(**{**SUPABASE, "SUPABASE_SERVICE_ROLE_KEY": key})
    assert problem.startswith("SUPABASE_SERVICE_ROLE_KEY: this token names no role")
    assert not any(part in problem for part in ("hunter2", *key.split(".")))


@pytest.mark.parametrize(
    "key",
    [
        "hunter2 hunter2",
        "hunter2\n",
        " hunter2",
        "Bearer hunter2",
        "hunter2\r\nX: y",
        "hunterzw\u00f6lf",
        "hunter2\x7f",
    ],
)
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(key: str):
    [problem] = problems(**{**SUPABASE, "SUPABASE_SERVICE_ROLE_KEY": key})
    assert problem.startswith("SUPABASE_SERVICE_ROLE_KEY: must be one line")
    assert "hunter" not in problem


@pytest.mark.parametrize("name", ["SUPABASE_URL", "STORAGE_URL"])
@pytest.mark.parametrize(
    "url",
    [
        "project.supabase.co",
        "ftp://project.supabase.co",
        "https://",
        "https:///storage/v1",
        "https://:8000",
        "https://project.supabase.co:port",
        "https://project.supabase.co:65536",
        "https://[::1",
        "https://project.supabase.co/?key=hunter2",
        "https://project.supabase.co/#top",
        "https://project.supabase.co?",
        "https://project.supabase.co#",
        "https://project.supabase.co/ ",
        " https://project.supabase.co",
        "https://project. supabase.co",
        "https://project.supabase.co\n",
        "https://project.supabase.co/\tx",
    ],
)
def test_a_url_below_which_no_request_can_be_sent_is_refused(name: str, url: str):
    [problem] = problems(**{**SUPABASE, name: url})
    assert problem.startswith(f"{name}: must be a URL with http")
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    ("supabase_url", "storage_url", "base"),
    [
        ("https://project.supabase.co", "", "https://project.supabase.co/storage/v1"),
        ("https://project.supabase.co/", "", "https://project.supabase.co/storage/v1"),
        ("http://localhost:54321", "", "http://localhost:54321/storage/v1"),
        ("http://[::1]:54321", "", "http://[::1]:54321/storage/v1"),
        ("https://example.org/supabase/", "", "https://example.org/supabase/storage/v1"),
        ("https://project.supabase.co", "http://storage:5000", "http://storage:5000"),
        ("https://project.supabase.co", "http://storage:5000/", "http://storage:5000"),
        (
            "https://project.supabase.co",
            "https://project.storage.supabase.co/storage/v1/",
            "https://project.storage.supabase.co/storage/v1",
        ),
    ],
)
def test_the_storage_is_below_the_project_unless_it_is_named(supabase_url: str, storage_url: str, base: str):
    config = Config.from_env({**SUPABASE, "SUPABASE_URL": supabase_url, "STORAGE_URL": storage_url})
    # A slash at its end makes no difference to where requests go.
    assert Api(config.storage_base_url, "key", "imports", Unobserved()).base_url == base


def test_a_local_directory_has_no_base_url():
    assert Config.from_env({}).storage_base_url == ""


def test_a_storage_url_alone_is_refused():
    [problem] = problems(STORAGE_URL="https://project.storage.supabase.co/storage/v1")
    assert problem.startswith("STORAGE_URL: ")
    assert "SUPABASE_URL" in problem


def test_a_wrong_supabase_url_is_not_called_missing_beside_a_storage_url():
    wrong = {**SUPABASE, "SUPABASE_URL": "project", "STORAGE_URL": "http://storage:5000"}
    [problem] = problems(**wrong)
    assert problem.startswith("SUPABASE_URL: ")


@pytest.mark.parametrize("name", ["imports", "a", "0", "_", "x" * 100, "my imports", "a-b.c_d!*'()&$@=;:+,?"])
def test_a_bucket_may_have_any_name_that_the_storage_takes(name: str):
    assert Config.from_env({"STORAGE_BUCKET": name}).storage_bucket == name


@pytest.mark.parametrize(
    "name",
    [
        "a/b",
        "/",
        "..",
        ".",
        ".hidden",
        " imports",
        "x" * 101,
        "imports\n",
        "gr\u00f6\u00dfe",
        "a%2Fb",
        "a#b",
        "a\\b",
        '"',
    ],
)
def test_a_bucket_with_another_name_is_refused(name: str):
    [problem] = problems(STORAGE_BUCKET=name)
    assert problem.startswith("STORAGE_BUCKET: must be the name of a bucket")


@pytest.mark.parametrize(
    ("value", "delays"),
    [
        ("0", (0.0,)),
        ("0,3,5,10,20", (0.0, 3.0, 5.0, 10.0, 20.0)),
        ("0.5,1.25", (0.5, 1.25)),
        (",".join(["1"] * 20), (1.0,) * 20),
    ],
)
def test_retry_delays_are_seconds_in_their_order(value: str, delays: tuple[float, ...]):
    assert Config.from_env({"UPLOAD_RETRY_SECONDS": value}).upload_retry_delays == delays


@pytest.mark.parametrize(
    "value",
    ["-1", "1,", ",1", "1,,2", "1;2", "1s", "nan", "inf", "1e3", ".5", "5.", "1\n", "\u0661", ",".join(["1"] * 21)],
)
def test_other_retry_delays_are_refused(value: str):
    [problem] = problems(UPLOAD_RETRY_SECONDS=value)
    assert problem.startswith("UPLOAD_RETRY_SECONDS: must be seconds")


@pytest.mark.parametrize(
    "media_type", ["text/csv", "application/vnd.ms-excel", "application/x-ndjson", "image/svg+xml"]
)
def test_the_default_content_type_is_a_media_type(media_type: str):
    found = Config.from_env({"UPLOAD_DEFAULT_CONTENT_TYPE": media_type})
    assert found.upload_default_content_type == media_type


@pytest.mark.parametrize(
    "media_type",
    [
        "csv",
        "text/",
        "/csv",
        "text/csv; charset=utf-8",
        "text/csv ",
        "text/csv\n",
        "a/b/c",
        "text/*",
        "t\u00ebxt/csv",
        "a" * 101 + "/b",
    ],
)
def test_another_default_content_type_is_refused(media_type: str):
    [problem] = problems(UPLOAD_DEFAULT_CONTENT_TYPE=media_type)
    assert problem.startswith("UPLOAD_DEFAULT_CONTENT_TYPE: must be a media type")


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


@pytest.mark.parametrize(
    "wrong",
    [
        {"DATABASE_URL": "mysql://user:hunter2@db/x"},
        {**SUPABASE, "SUPABASE_SERVICE_ROLE_KEY": "sb_publishable_hunter2"},
    ],
    ids=lambda wrong: list(wrong)[-1],
)
def test_no_value_is_in_what_a_traceback_would_show(wrong: dict[str, str]):
    with pytest.raises(ConfigError) as caught:
        Config.from_env(wrong)
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


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "::1", "localhost", "192.0.2.7"])
def test_an_address_to_listen_on(host: str):
    assert Config.from_env({"HOST": host}).host == host


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOST", "example.com"),
        ("HOST", "[::1]"),
        ("HOST", "127.0.0.1:3000"),
        ("HOST", "x86_64-conda-linux-gnu"),
        ("TRUSTED_PROXIES", "proxy.example.com"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("TRUSTED_PROXIES", "10.0.0.1 10.0.0.2"),
        ("CORS_ORIGINS", "app.example.com"),
        ("CORS_ORIGINS", "https://app.example.com/"),
        ("CORS_ORIGINS", "https://app.example.com/page"),
        ("CORS_ORIGINS", "https://*.example.com"),
        ("CORS_ORIGINS", "null"),
        ("CORS_ORIGINS", "https://a.example https://b.example"),
    ],
)
def test_what_is_no_address_proxy_or_origin_is_refused(name: str, value: str):
    [problem] = problems(**{name: value})
    assert problem.startswith(f"{name}: must be ")


@pytest.mark.parametrize(("web_threads", "most"), [(3, 2), (8, 6), (64, 48), (512, 496)])
@pytest.mark.parametrize("max_exports", [1, 2, 40])
def test_there_are_threads_for_all_uploads_and_exports(web_threads: int, most: int, max_exports: int):
    def given(max_uploads: int) -> dict[str, str]:
        named = {"WEB_THREADS": web_threads, "MAX_UPLOADS": max_uploads, "MAX_EXPORTS": max_exports}
        return {name: str(value) for name, value in named.items()}

    max_uploads = most - max_exports
    if max_uploads >= 1:
        assert Config.from_env(given(max_uploads)).max_uploads == max_uploads
    too_many = max(max_uploads, 0) + 1
    [problem] = problems(**given(too_many))
    assert problem.startswith(f"MAX_UPLOADS and MAX_EXPORTS: each needs a thread, {too_many + max_exports} in all")
    assert f"of {web_threads} WEB_THREADS {most} are for them" in problem
    assert "MAX_EVENT_STREAMS" in problem
