"""How a name of ours is written elsewhere: on_conflict here, onConflict in JSON, on-conflict in flags and headers."""

import re
from functools import cache


@cache
def camel_case(name: str) -> str:
    """The name by which clients know what we call `name`."""
    return re.sub("_(.)", lambda part: part[1].upper(), name)


def kebab_case(name: str) -> str:
    """The name that clients know, as headers and flags of the command line have it."""
    return re.sub("([A-Z])", r"-\1", name).lower()
