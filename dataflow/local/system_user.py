"""The system user that the embedded Postgres runs as, because Postgres refuses to run as root."""

import os
import pwd
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dataflow.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Account:
    """Ourselves, or another user when we are root."""

    uid: int
    gid: int

    @classmethod
    def for_cluster(cls, cluster: Path) -> "Account":
        """As root: the owner of a cluster that an ordinary user made, otherwise `nobody`."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid())
        if cluster.exists() and (found := cluster.stat()).st_uid != 0:
            return cls(found.st_uid, found.st_gid)
        nobody = pwd.getpwnam("nobody")
        return cls(nobody.pw_uid, nobody.pw_gid)

    def own(self, folder: Path) -> None:
        """Own `folder` and what is in it; the folder itself last, so that its owner says that all is done."""
        if folder.stat().st_uid == self.uid:
            return
        for parent, _, files in os.walk(folder, topdown=False):
            for path in (*(Path(parent, name) for name in files), Path(parent)):
                os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def prefix(self, paths: Iterable[Path]) -> list[str]:
        """The words before a command that make it run as this user and able to reach `paths`.

        Folders above them that are closed to this user stay closed: the command gets a capability. It also gets
        no_setuid_fixup, because access(2), with which Postgres looks for its files, ignores capabilities otherwise.
        """
        if self.uid == os.geteuid():
            return []
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise ConfigError(
                "Postgres does not run as root, and setpriv, which starts it as another user, is missing. "
                "Run as an ordinary user, install util-linux, or set DATABASE_URL."
            )
        words = [setpriv, f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups", "--pdeathsig=TERM"]
        if all(self._may_enter(folder) for path in paths for folder in (*path.parents, *path.resolve().parents)):
            return words
        capability = _search_capability()
        words += [f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}"]
        return [*words, "--securebits=+no_setuid_fixup"]

    def _may_enter(self, folder: Path) -> bool:
        found = folder.stat()
        return bool(found.st_mode & (stat.S_IXUSR if found.st_uid == self.uid else stat.S_IXOTH))


def _search_capability() -> str:
    """What opens the folders of others: read-only if our bounding set has it (Docker's default has not)."""
    bounding = Path("/proc/self/status").read_text().split("CapBnd:")[1].split()[0]
    return "dac_read_search" if int(bounding, 16) >> 2 & 1 else "dac_override"
