"""JSON files that are replaced as a whole, so that SIGKILL at any moment leaves the old or the new."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4


def write_json(path: Path, value: Any) -> None:
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    part.write_text(json.dumps(value))
    part.replace(path)


def read_all_json(folder: Path) -> list[Any]:
    """Those of a folder, which is made if need be; what was being written when the server died is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in folder.glob("*.part"):
        part.unlink()
    return [json.loads(path.read_text()) for path in folder.glob("*.json")]
