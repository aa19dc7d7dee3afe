"""Objects put into a storage by tests, and looked for."""

from collections.abc import Iterable

from dataflow.errors import ObjectMissing
from dataflow.storage.base import Description, Storage, StoredObject


def store(
    storage: Storage, key: str, pieces: Iterable[bytes], content_type: str = "text/csv", is_resumable: bool = False
) -> StoredObject:
    """Store what `pieces` yields, of a length that nobody knows before."""
    return storage.put(key, pieces, lambda: Description(content_type, is_resumable=is_resumable), lambda address: None)


def read(storage: Storage, key: str) -> bytes:
    """The content of an object."""
    with storage.open(key) as reader:
        return b"".join(reader.pieces(65536))


def is_there(storage: Storage, key: str) -> bool:
    """Whether there is an object that can be read."""
    try:
        read(storage, key)
    except ObjectMissing:
        return False
    return True
