"""The command `dataflow`: one subcommand for each process and each thing an operator does.

Imports happen inside the commands: `web` must exec gunicorn before anything imports prometheus_client, and no process
should begin with what another command needs.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataflow import __version__, allocator
from dataflow.client import commands as client_commands
from dataflow.errors import DataFlowError

if TYPE_CHECKING:
    from dataflow.config import Config

AddOptions = Callable[[argparse.ArgumentParser], None]


class _Command(argparse.ArgumentParser):
    """The parser of one command. Its options are added when it is called: those of an import need marshmallow."""

    add_options: AddOptions | None = None

    def fill(self) -> None:
        """Add the options, once."""
        if self.add_options:
            self.add_options(self)
            self.add_options = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self.fill()
        return super().parse_known_args(args, namespace)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; an error of ours becomes one line on standard error."""
    parser = _parser()
    # argparse.REMAINDER would take psql's arguments only if the first of them were no option.
    arguments, rest = parser.parse_known_args(argv)
    if rest and arguments.run is not _psql:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = rest
    arguments.is_whole_process = argv is None
    try:
        code: int = arguments.run(arguments)
    except DataFlowError as error:
        print(f"dataflow: {error.message}{_hint(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever reads has seen enough, as `head` has. What is left of the output would be flushed at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code


def _hint(error: DataFlowError) -> str:
    """What the driver said, and that nobody has named a database."""
    from dataflow.db.failures import connection_failure

    if (reason := connection_failure(error)) is None:
        return ""
    unset = "" if os.environ.get("DATABASE_URL") else " DATABASE_URL is not set; is `dataflow run` running?"
    return f" ({reason}){unset}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dataflow", description="Contact imports of any size into Postgres.")
    parser.add_argument("--version", action="version", version=f"dataflow {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Command)

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str, add_options: AddOptions | None = None
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        added.add_options = add_options
        added.set_defaults(run=run)
        return added

    run = command("run", _run, "everything at once: database, web and worker")
    run.add_argument("--reload", action="store_true", help="restart web and worker when the code changes")
    command("web", _web, "the HTTP service (gunicorn)")
    worker = command("worker", _worker, "the listener that imports what was uploaded")
    worker.add_argument("--once", action="store_true", help="work off what is due; exit 1 if a job failed")
    command("migrate", _migrate, "bring the database up to date and make the bucket; safe to run at any time")
    adopt = command("adopt", _adopt, "release the jobs that came with a dump: this database takes its original's place")
    adopt.add_argument("--as-copy", action="store_true", help="have them fail instead, and leave their files alone")
    client_commands.add_to(command)
    key = command("key", _key, "a new entry for API_KEYS: its name and a random key")
    key.add_argument("name", nargs="?", default="default", type=_key_name, metavar="NAME", help="(default: default)")
    document = command("openapi", _openapi, "print the OpenAPI document of the service")
    document.add_argument("--postman", action="store_true", help="as a Postman collection")
    command("psql", _psql, "open psql on the configured database; arguments are passed on")
    command("demo", _demo, "import 5,003 sample contacts with everything embedded")
    return parser


def _key_name(text: str) -> str:
    from dataflow.settings.api_keys import NAME

    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"expected 1 to 50 letters, digits and . _ -, not {text!r}")
    return text


def _config() -> "Config":
    from dataflow.config import Config

    return Config.from_env()


def _settings() -> "Config":
    """The environment's settings; logging is on from here."""
    from dataflow import logs

    config = _config()
    logs.configure(config.log_format)
    return config


def _run(arguments: argparse.Namespace) -> int:
    from dotenv import load_dotenv

    from dataflow.local import supervisor

    load_dotenv(Path.cwd() / ".env")
    return supervisor.run(_settings(), reload=arguments.reload)


def _web(_: argparse.Namespace) -> int:
    command = [sys.executable, "-m", "gunicorn", "--config", "python:dataflow.gunicorn_conf"]
    os.execve(sys.executable, [*command, "dataflow.web.app:create_app()"], allocator.environment(os.environ))


def _worker(arguments: argparse.Namespace) -> int:
    if arguments.is_whole_process:
        allocator.begin_again()
    from dataflow.storage.registry import open_storage
    from dataflow.worker.loop import Worker

    config = _settings()
    observer = None
    if config.worker_metrics_port:
        from dataflow.metrics import serve_storage_metrics

        observer = serve_storage_metrics(config.worker_metrics_port)
    return Worker(config, open_storage(config, observer)).run(once=arguments.once)


def _migrate(_: argparse.Namespace) -> int:
    from dataflow import db
    from dataflow.storage.registry import open_storage

    config = _settings()
    applied = db.migrate(config.database_url)
    print(f"{len(applied)} migrations applied." if applied else "The database is up to date.")
    print(open_storage(config).prepare())
    return 0


def _adopt(arguments: argparse.Namespace) -> int:
    from dataflow import db
    from dataflow.db import migrations
    from dataflow.queue import database_identity

    config = _config()
    with db.translated(), db.connect(config.database_url, "dataflow/adopt") as connection:
        migrations.require(connection)
        if arguments.as_copy:
            count = database_identity.adopt_as_copy(connection)
            done = "Jobs given up: {}. Unfinished ones have failed as database_copied; their files are left alone."
        else:
            count = database_identity.adopt(connection)
            done = "Jobs released: {}. They and their files are this database's own now."
    print(done.format(count) if count else "Nothing held: all jobs are this database's own.")
    return 0


def _key(arguments: argparse.Namespace) -> int:
    import secrets

    print(f"{arguments.name}:{secrets.token_urlsafe(32)}")
    return 0


def _openapi(arguments: argparse.Namespace) -> int:
    from dataflow.web.openapi import command

    return command.run(arguments.postman)


def _psql(arguments: argparse.Namespace) -> int:
    from dataflow.local import psql

    config = _config()
    program = psql.program(config.is_embedded)
    connection, secrets = psql.connection(config.database_url)
    os.execve(program, [program, connection, *arguments.rest], {**os.environ, **secrets})


def _demo(_: argparse.Namespace) -> int:
    from dataflow.local import demo

    return demo.run()
