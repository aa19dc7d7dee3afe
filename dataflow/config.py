"""Settings: the environment, read once into one frozen `Config`, every problem reported together.

A field is a setting: its name in upper case is the variable, its marshmallow field has type, range and default. Only
DATABASE_URL (`cli`) and PROMETHEUS_MULTIPROC_DIR (`metrics`) are looked at elsewhere, for whether they are set.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, validate
from marshmallow import fields as typed

from dataflow.errors import ConfigError
from dataflow.settings import peers
from dataflow.settings.contradictions import contradictions
from dataflow.settings.embedded_database import embedded_url
from dataflow.settings.kinds import MEDIA_TYPE, matching, service_key, setting, text, url, web_url, whole

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be set. Without DATABASE_URL, `database_url` is the embedded Postgres of `data_dir`."""

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
        problems += contradictions(values, wrong)
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
        return self.database_url == embedded_url(Path(self.data_dir))


_SCHEMA = Schema.from_dict({f.name.upper(): f.metadata["kind"] for f in fields(Config)})(unknown=EXCLUDE)


def _load(environ: Mapping[str, str]) -> dict[str, Any]:
    return {name.lower(): value for name, value in _SCHEMA.load(environ).items()}
