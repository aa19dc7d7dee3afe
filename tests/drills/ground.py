"""The server that drills make their databases on, and the migrated database that these are copies of."""

import itertools
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dataflow import db
from dataflow.local.postgres import EmbeddedPostgres
from tests.support.databases import on_server, url_of

#: What a crash of the machine would lose is a drill's database; what a crash of the server would lose is not.
QUICK = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Ground:
    """A server. One that is `local.postgres` belongs to whoever opened the ground, who may restart it."""

    url: str
    template: str
    folder: Path
    embedded: EmbeddedPostgres | None = field(default=None, repr=False)

    @contextmanager
    def database(self) -> Iterator[str]:
        """URL of a freshly migrated database."""
        with self._new("CREATE DATABASE {name} TEMPLATE {template}", template=self.template) as url:
            yield url

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        """URL of a database with nothing in it."""
        with self._new("CREATE DATABASE {name}") as url:
            yield url

    @contextmanager
    def _new(self, statement: str, **names: str) -> Iterator[str]:
        name = f"dataflow_drill_{os.getpid()}_{next(_numbers)}"
        on_server(self.url, statement, name, **names)
        try:
            yield url_of(self.url, name)
        finally:
            on_server(self.url, "DROP DATABASE {name} WITH (FORCE)", name)

    def restart(self, is_crash: bool, away_seconds: float = 0.0) -> None:
        """Restart the server, as `pg_ctl restart` does with `-m fast`, or with `-m immediate` as after a crash.

        It accepts connections again when this returns, and has been away for `away_seconds`.
        """
        assert self.embedded is not None, "this server is not the drill's own"
        if is_crash:
            os.kill(self._postmaster(), signal.SIGQUIT)
        self.embedded.stop()
        time.sleep(away_seconds)
        self.embedded.start()

    def _postmaster(self) -> int:
        return int((self.folder / "postgres" / "postmaster.pid").read_text().split()[0])


@contextmanager
def open_ground(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[Ground]:
    """An embedded server in `folder` for as long as the block runs."""
    with EmbeddedPostgres(folder, {**QUICK, **(settings or {})}) as embedded:
        template = "dataflow_drill_template"
        on_server(embedded.url, "CREATE DATABASE {name}", template)
        db.migrate(url_of(embedded.url, template))
        yield Ground(embedded.url, template, folder.resolve(), embedded)
