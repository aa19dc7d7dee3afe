"""Settings: the environment, read once into one frozen `Config`, every problem reported together.

One field here is one setting: its name in upper case is the variable, its marshmallow field is its type,
range and default. An empty variable counts as unset. Elsewhere the environment is only handed on, to here or to
child processes, and looked at for whether DATABASE_URL (`cli`) and PROMETHEUS_MULTIPROC_DIR (`metrics`) are set.
"""

import hashlib
import os
import tempfile
from collections.abc import Container, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

from marshmallow import EXCLUDE, Schema, ValidationError, validate
from marshmallow import fields as typed

from dataflow.errors import ConfigError
from dataflow.settings import peers
from dataflow.settings.kinds import MEDIA_TYPE, matching, service_key, setting, text, url, web_url, whole

MIB = 1024 * 1024
#: Of the threads of a web process, as many, but no more than a quarter, never serve bodies and rejects files.
OTHER_THREADS = 16
#: Supabase's S3 backend holds a part under 5 MiB in a volatile side object (contract section 0.3).
MIN_SUPABASE_CHUNK_BYTES = 5 * MIB
#: `sun_path` holds 108 bytes on Linux and 104 on macOS, the socket's own name and a NUL included.
MAX_SOCKET_DIR_BYTES = 103 - len("/.s.PGSQL.5432")


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be set. `database_url` is always filled in: see `from_env`."""

    port: int = setting(whole(3000, 0, 65535))
    host: str = setting(peers.bind_host())
    trusted_proxies: str = setting(peers.proxies())
    cors_origins: str = setting(peers.origins())
    database_url: str = setting(url("postgres", "postgresql"), secret=True)
    supabase_url: str = setting(web_url())
    supabase_service_role_key: str = setting(service_key(), secret=True)
    storage_url: str = setting(web_url())
    storage_bucket: str = setting(
        matching(
            "imports", r"[A-Za-z0-9_][\w!.*'()&$@=;:+,? -]{0,99}", "must be the name of a bucket, without slashes."
        )
    )
    upload_chunk_size: int = setting(whole(6 * MIB, 64 * 1024, 64 * MIB))
    upload_cache_control: int = setting(whole(3600, 0))
    upload_default_content_type: str = setting(
        matching("application/octet-stream", MEDIA_TYPE, "must be a media type without parameters.")
    )
    upload_retry_seconds: str = setting(
        matching("0,3,5,10,20", r"(\d+(\.\d+)?)(,\d+(\.\d+)?){0,19}", "must be seconds, with commas between them.")
    )
    upload_answer_seconds: int = setting(whole(20, 3, 300))
    upload_stall_seconds: int = setting(whole(30, 1, 3600))
    upload_min_bytes_second: int = setting(whole(500, 0, MIB))
    max_uploads: int = setting(whole(8, 1))
    max_row_bytes: int = setting(whole(MIB, 64 * 1024, 64 * MIB))
    max_expanded_bytes: int = setting(whole(10 * 1024 * MIB, MIB))
    web_concurrency: int = setting(whole(2, 1, 64))
    web_threads: int = setting(whole(64, 2, 512))
    max_connections: int = setting(whole(1000, 16, 65_536))
    head_seconds: int = setting(whole(10, 1, 3600))
    worker_concurrency: int = setting(whole(10, 1, 100))
    worker_poll_interval: int = setting(whole(500, 10, 3_600_000))
    worker_metrics_port: int = setting(whole(0, 0, 65535))
    import_stall_seconds: int = setting(whole(900, 60))
    object_retention_days: int = setting(whole(7, 0, 36_500))
    job_retention_days: int = setting(whole(0, 0, 36_500))
    shutdown_grace_seconds: int = setting(whole(25, 0, 3600))
    enable_metrics: bool = setting(typed.Boolean(load_default=True))
    log_format: str = setting(
        typed.String(load_default="", validate=validate.OneOf(["", "json", "text"], error="must be json or text."))
    )
    data_dir: str = setting(text(".dataflow"))
    dyno: str = setting(text())

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Config":
        """The settings in `environ` (default: the process environment), checked as a whole.

        Without DATABASE_URL, `database_url` is the embedded Postgres of `data_dir`.

        :raises ConfigError: naming every variable that is missing or wrong, never its value.
        """
        environ = os.environ if environ is None else environ
        present = {name: value for name, value in environ.items() if value != ""}
        problems: list[str] = []
        wrong: dict[str, Any] = {}
        try:
            values = _load(present)
        except ValidationError as error:
            wrong = error.messages_dict
            problems += [f"{name}: {' '.join(texts)}" for name, texts in sorted(wrong.items())]
            values = _load({name: value for name, value in present.items() if name not in wrong})
        problems += _contradictions(values, wrong)
        if problems:
            raise ConfigError("The settings are not usable:\n  " + "\n  ".join(problems))
        values["database_url"] = values["database_url"] or embedded_url(Path(values["data_dir"]))
        return cls(**values)

    @property
    def storage_base_url(self) -> str:
        """Where the storage's API begins; empty for a local directory."""
        return self.storage_url or (
            self.supabase_url and f"{self.supabase_url.rstrip('/').removesuffix('/storage/v1')}/storage/v1"
        )

    @property
    def upload_retry_delays(self) -> tuple[float, ...]:
        return tuple(map(float, self.upload_retry_seconds.split(",")))

    @property
    def poll_seconds(self) -> float:
        return self.worker_poll_interval / 1000

    @property
    def is_embedded(self) -> bool:
        """Whether the database is the embedded Postgres of `data_dir`."""
        return self.database_url == embedded_url(Path(self.data_dir))


_SCHEMA = Schema.from_dict({f.name.upper(): f.metadata["kind"] for f in fields(Config)})(unknown=EXCLUDE)


def _load(environ: Mapping[str, str]) -> dict[str, Any]:
    return {name.lower(): value for name, value in _SCHEMA.load(environ).items()}


def _contradictions(values: Mapping[str, Any], wrong: Container[str]) -> list[str]:
    """What no single setting shows: halves of a pair, what a dyno cannot do without, and sums."""

    def is_given(name: str) -> bool:
        return bool(values[name]) or name.upper() in wrong

    problems = []
    if values["dyno"]:
        needed = ("database_url", "supabase_url", "supabase_service_role_key")
        missing = [name.upper() for name in needed if not is_given(name)]
        if missing:
            problems.append(f"{', '.join(missing)}: required on a dyno, whose own disk is lost at every restart.")
    elif is_given("supabase_url") != is_given("supabase_service_role_key"):
        problems.append("SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY: set both, or neither for a local directory.")
    if is_given("storage_url") and not is_given("supabase_url"):
        problems.append("STORAGE_URL: says where the storage of SUPABASE_URL is; set both.")
    if is_given("supabase_url") and values["upload_chunk_size"] < MIN_SUPABASE_CHUNK_BYTES:
        problems.append(f"UPLOAD_CHUNK_SIZE: at least {MIN_SUPABASE_CHUNK_BYTES} with Supabase Storage.")
    if values["max_uploads"] > (threads := transfer_threads(values["web_threads"])):
        problems.append(
            f"MAX_UPLOADS: each needs a thread, and of {values['web_threads']} WEB_THREADS {threads} are for them."
        )
    return problems


def transfer_threads(web_threads: int) -> int:
    """How many of them serve bodies and rejects files; the others are for everything else."""
    return web_threads - max(1, min(OTHER_THREADS, web_threads // 4))


def socket_dir(data_dir: Path) -> Path:
    """Where the embedded Postgres of `data_dir` has its Unix socket; made and guarded by `local.postgres`.

    Inside `data_dir` where the path fits a socket address and has no comma (libpq takes what is around one for two
    hosts), otherwise a private folder of the temporary directory whose name follows from `data_dir`, so that every
    process finds it without asking.
    """
    inside = data_dir.resolve() / "run" / "postgres"
    if len(os.fsencode(inside)) <= MAX_SOCKET_DIR_BYTES and "," not in str(inside):
        return inside
    digest = hashlib.sha256(os.fsencode(inside)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"dataflow-{os.getuid()}-{digest}"


def embedded_url(data_dir: Path) -> str:
    """The URL of the embedded Postgres of `data_dir`, running or not."""
    # The port names the socket's file; left out, libpq would take PGPORT from the user's environment.
    return f"postgresql://postgres@/postgres?host={quote(str(socket_dir(data_dir)), safe='/')}&port=5432"
