"""tus-js-client, run by node: a client that we did not write."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).parent / "tus_js"
INSTALL = ("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", "--loglevel=error")
INSTALL_SECONDS = 120
IMPATIENT = ("--prefer-offline", "--fetch-retries=0", "--fetch-timeout=30000")
RETRY_MILLISECONDS = (0, 50, 100, 200)


class NotInstallable(Exception):
    """Says what is missing here."""


@dataclass(frozen=True, slots=True)
class TusJs:
    """The script with its packages, in a folder of its own."""

    folder: Path

    @classmethod
    def install(cls, folder: Path) -> "TusJs":
        """:raises NotInstallable: when node, npm or the package cannot be had."""
        for command in ("node", "npm"):
            if shutil.which(command) is None:
                raise NotInstallable(f"{command} is not installed here")
        shutil.copytree(SCRIPT, folder)
        try:
            subprocess.run([*INSTALL, *IMPATIENT], cwd=folder, capture_output=True, timeout=INSTALL_SECONDS, check=True)
        except subprocess.TimeoutExpired as error:
            raise NotInstallable(f"npm did not install tus-js-client within {INSTALL_SECONDS} s") from error
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode().partition("npm error syscall")[0]
            raise NotInstallable(f"npm cannot install tus-js-client: {said}") from error
        return cls(folder)

    def upload(
        self,
        endpoint: str,
        file: Path,
        metadata: Mapping[str, str],
        *,
        chunk_bytes: int | None = None,
        is_deferred: bool = False,
        source: str = "buffer",
        headers: Mapping[str, str] | None = None,
        retry_milliseconds: tuple[int, ...] = RETRY_MILLISECONDS,
        options: Mapping[str, Any] | None = None,
        seconds: float = 60,
    ) -> dict[str, Any]:
        """Upload the file; `accepted` offsets, statuses that were `retried` (0: no answer), `urls` of uploads made."""
        given = {
            **{"endpoint": endpoint, "file": str(file), "source": source, "chunkBytes": chunk_bytes or 0},
            **{"isDeferred": is_deferred, "metadata": dict(metadata), "headers": dict(headers or {})},
            **{"retryMilliseconds": retry_milliseconds, "options": dict(options or {})},
        }
        ran = subprocess.run(
            ["node", "upload.mjs"],
            cwd=self.folder,
            input=json.dumps(given),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        happened: dict[str, Any] = json.loads(ran.stdout)
        return happened
