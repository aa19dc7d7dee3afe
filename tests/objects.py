"""Objects put into a storage by tests."""

from collections.abc import Iterable

from dataflow.storage import Description, Storage, StoredObject


def store(
    storage: Storage, key: str, pieces: Iterable[bytes], content_type: str = "text/csv", is_resumable: bool = False
) -> StoredObject:
    """Store what `pieces` yields, of a length that nobody knows before."""
    return storage.put(key, pieces, lambda: Description(content_type, is_resumable=is_resumable), lambda address: None)
