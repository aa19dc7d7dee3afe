"""Settings: the environment, read once into one frozen `Config`, every problem reported together.

A field is a setting: its name in upper case is the variable, the field has its type, range and default. Only
DATABASE_URL (`cli`) and PROMETHEUS_MULTIPROC_DIR (`metrics`) are looked at elsewhere, for whether they are set; and
DATAFLOW_API_KEY (`cli`), which is a client's.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from marshmallow.validate import OneOf

from dataflow.errors import ConfigError
from dataflow.settings import environment, peers
from dataflow.settings.api_keys import check_api_keys, check_key, check_token_secret
from dataflow.settings.contradictions import contradictions
from dataflow.settings.embedded_database import embedded_url
from dataflow.settings.kinds import (
    MEDIA_TYPE,
    check_database_url,
    check_service_key,
    check_web_url,
    flag,
    matching,
    text,
    whole,
)

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be set. Without DATABASE_URL, `database_url` is the embedded Postgres of `data_dir`."""

    port: int = whole(3000, 0, 65535)
    host: str = text("", peers.check_host)
    trusted_proxies: str = text("", peers.check_proxies)
    cors_origins: str = text("", peers.check_origins)
    api_keys: str = text("", check_api_keys, secret=True)
    metrics_key: str = text("", check_key, secret=True)
    token_secret: str = text("", check_token_secret, secret=True)
    database_url: str = text("", check_database_url, secret=True)
    supabase_url: str = text("", check_web_url)
    supabase_service_role_key: str = text("", check_service_key, secret=True)
    storage_url: str = text("", check_web_url)
    storage_bucket: str = matching(
        "imports", r"[A-Za-z0-9_][\w!.*'()&$@=;:+,? -]{0,99}", "must be the name of a bucket, without slashes."
    )
    upload_chunk_size: int = whole(6 * MIB, 64 * 1024, 64 * MIB)
    upload_cache_control: int = whole(3600, 0)
    upload_default_content_type: str = matching(
        "application/octet-stream", MEDIA_TYPE, "must be a media type without parameters."
    )
    upload_retry_seconds: str = matching(
        "0,3,5,10,20", r"(\d+(\.\d+)?)(,\d+(\.\d+)?){0,19}", "must be seconds, with commas between them."
    )
    upload_answer_seconds: int = whole(20, 3, 300)
    upload_stall_seconds: int = whole(30, 1, 3600)
    upload_min_bytes_second: int = whole(500, 0, MIB)
    upload_expires_hours: int = whole(24, 1, 8760)
    max_uploads: int = whole(8, 1)
    max_upload_bytes: int = whole(0, 0)
    rate_limit: int = whole(0, 0, 1_000_000)
    max_exports: int = whole(2, 1, 64)
    export_seconds: int = whole(3600, 1)
    export_stall_seconds: int = whole(30, 1, 3600)
    max_event_streams: int = whole(64, 1, 512)
    max_row_bytes: int = whole(MIB, 64 * 1024, 64 * MIB)
    max_expanded_bytes: int = whole(10 * 1024 * MIB, MIB)
    web_concurrency: int = whole(2, 1, 64)
    web_threads: int = whole(64, 3, 512)
    max_connections: int = whole(1000, 16, 65_536)
    head_seconds: int = whole(10, 1, 3600)
    worker_concurrency: int = whole(10, 1, 100)
    worker_poll_interval: int = whole(500, 10, 3_600_000)
    worker_metrics_port: int = whole(0, 0, 65535)
    import_stall_seconds: int = whole(900, 60)
    object_retention_days: int = whole(7, 0, 36_500)
    job_retention_days: int = whole(0, 0, 36_500)
    shutdown_grace_seconds: int = whole(25, 0, 3600)
    enable_metrics: bool = flag(default=True)
    log_format: str = text("", OneOf(["json", "text"], error="must be json or text."))
    data_dir: str = text(".dataflow")
    dyno: str = text()

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Config":
        """The settings in `environ` (default: the process environment), checked as a whole.

        :raises ConfigError: naming every variable that is missing or wrong, never its value.
        """
        values, wrong = environment.read(fields(cls), os.environ if environ is None else environ)
        problems = [f"{name}: {' '.join(texts)}" for name, texts in sorted(wrong.items())]
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
