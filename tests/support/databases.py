"""Databases on the server that the tests have, made and removed by statements."""

from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql


def on_server(server: str, statement: str, name: str, **names: str) -> None:
    identifiers = {key: sql.Identifier(value) for key, value in {"name": name, **names}.items()}
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(**identifiers))


def url_of(server: str, name: str) -> str:
    return urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
