"""psql on the configured database: which program that is, and how it gets the password without showing it."""

import shutil
from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dataflow.db import translated
from dataflow.errors import ConfigError
from dataflow.local import postgres

#: Secrets for which libpq has no environment variable.
UNSPEAKABLE = ("sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")


def program(is_embedded: bool) -> str:
    """The path of psql; for the embedded Postgres its own, because an older one fails there.

    :raises ConfigError: when there is none.
    """
    found = None if is_embedded else shutil.which("psql")
    try:
        return found or str(postgres.binary("psql"))
    except ConfigError as error:
        if is_embedded:
            raise
        raise ConfigError(
            "psql is not on the PATH. Install the client programs of Postgres (on Debian: postgresql-client), "
            "or the embedded Postgres, which has one: pip install 'dataflow-import[embedded]'."
        ) from error


def connection(url: str) -> tuple[str, dict[str, str]]:
    """A connection string that everybody may see in the list of processes, and variables with what is secret.

    :raises ConfigError: when the URL has a secret that psql can only be told where others see it.
    :raises DatabaseError: when it is no URL of a database.
    """
    with translated():
        parts: dict[str, Any] = dict(conninfo_to_dict(url))
        password = parts.pop("password", None)
        if shown := [name for name in UNSPEAKABLE if name in parts]:
            raise ConfigError(
                f"DATABASE_URL has {' and '.join(shown)}, which every user of this machine would see in the list of "
                "processes: start psql by hand, with a service file (PGSERVICEFILE)."
            )
        return make_conninfo(**parts), {"PGPASSWORD": str(password)} if password else {}
