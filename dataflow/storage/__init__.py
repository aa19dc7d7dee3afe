"""Object storage: a backend is one module here and one line in `open_storage`."""

from pathlib import Path

from dataflow.config import Config
from dataflow.errors import ConfigError
from dataflow.storage.base import ObjectReader, Storage, StoredObject
from dataflow.storage.local import LocalStorage

__all__ = ["ObjectReader", "Storage", "StoredObject", "open_storage"]


def open_storage(config: Config) -> Storage:
    """The storage that the settings choose."""
    if config.supabase_url:
        raise ConfigError("SUPABASE_URL is set, but this version stores objects in DATA_DIR only; unset it.")
    return LocalStorage(Path(config.data_dir) / "objects" / config.storage_bucket)
