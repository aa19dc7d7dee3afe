"""The object storage that the settings choose: a backend is one module and one line here."""

from pathlib import Path

from dataflow.config import Config
from dataflow.storage.base import Observer, Storage, Unobserved
from dataflow.storage.local import LocalStorage

#: Of the time for an answer, what is left for writing it down.
QUEUEING_SECONDS = 2.0


def open_storage(config: Config, observer: Observer | None = None) -> Storage:
    """Connects to nothing yet."""
    if not config.supabase_url:
        return LocalStorage(Path(config.data_dir) / "objects" / config.storage_bucket)
    # requests takes 60 ms to import, which the local directory need not pay.
    from dataflow.storage.retry import Schedule
    from dataflow.storage.supabase import SupabaseStorage
    from dataflow.storage.supabase.api import Api

    key, bucket = config.supabase_service_role_key, config.storage_bucket
    api = Api(config.storage_base_url, key, bucket, observer or Unobserved())
    schedule = Schedule(config.upload_retry_delays, last_chunk_seconds=config.upload_answer_seconds - QUEUEING_SECONDS)
    return SupabaseStorage(api, schedule, config.upload_chunk_size, config.upload_cache_control)
