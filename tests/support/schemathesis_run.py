"""schemathesis over the whole document against a service that runs."""

import subprocess
import sys
from pathlib import Path

#: Whatever is generated, the answer is one that the document describes. Not asked for is that all that fits the schemas
#: succeeds: that a source has no contacts, or bytes are no workbook, is in no schema.
_SETTINGS = f"""
hooks = {str(Path(__file__).with_name("schemathesis_hooks.py"))!r}

[checks]
positive_data_acceptance.enabled = false
# DELETE of a job forgets what it keeps of people; the job itself stays.
use_after_free.enabled = false
# tus has its own for a wrong version, and a head may be too large.
negative_data_rejection.expected-statuses = ["4xx"]
missing_required_header.expected-statuses = ["400", "401", "412", "415", "431"]

# Rows that break the rules are no refusal, where they are to be skipped or looked at.
[[operations]]
include-path-regex = "/import.*"
checks.negative_data_rejection.enabled = false
"""


def run(url: str, key: str, folder: Path, seconds: int, *more: str) -> subprocess.CompletedProcess[str]:
    """What it says after about so many seconds; its exit code is not 0 if it has found anything."""
    (folder / "schemathesis.toml").write_text(_SETTINGS, encoding="utf-8")
    command = [
        *(str(Path(sys.executable).with_name("st")), "--no-color", "--config-file", "schemathesis.toml"),
        *("run", f"{url}/openapi.json", "--url", url, "--header", f"Authorization: Bearer {key}"),
        *("--max-time", str(seconds), "--request-timeout", "60", "--continue-on-failure", "--no-shrink"),
        *("--warnings", "off", "--output-truncate", "true", *more),
    ]
    # It computes all the time, and other tests have limits.
    command = ["nice", "-n", "19", *command]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds + 240, check=False)
