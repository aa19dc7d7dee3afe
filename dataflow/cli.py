"""The command `dataflow`: one subcommand for each process and each thing an operator does.

Only reads arguments, loads the settings and hands over; imports happen inside the commands, because the web command
must exec gunicorn before anything imports prometheus_client.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from dataflow import __version__
from dataflow.config import Config
from dataflow.errors import DataFlowError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; an error of ours becomes one line on standard error."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except DataFlowError as error:
        print(f"dataflow: {error.message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dataflow", description="Contact imports of any size into Postgres.")
    parser.add_argument("--version", action="version", version=f"dataflow {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    run = commands.add_parser("run", help="everything at once: embedded Postgres unless DATABASE_URL, web, worker")
    run.add_argument("--reload", action="store_true", help="restart web and worker when the code changes")
    run.set_defaults(run=_run)

    web = commands.add_parser("web", help="the HTTP service (gunicorn)")
    web.set_defaults(run=_web)

    worker = commands.add_parser("worker", help="the listener that imports what was uploaded")
    worker.add_argument("--once", action="store_true", help="work off what is due; exit 1 if a job failed")
    worker.set_defaults(run=_worker)

    migrate = commands.add_parser("migrate", help="bring the database up to date; safe to run at any time")
    migrate.set_defaults(run=_migrate)

    upload = commands.add_parser("import", help="upload a file over HTTP and wait for its contacts")
    upload.add_argument("file", type=Path, metavar="FILE", help="JSON, NDJSON or CSV")
    upload.add_argument("--source", required=True, help="where the contacts come from, at most 100 characters")
    upload.add_argument("--url", help="the service (default: http://localhost:PORT)")
    upload.add_argument("--on-invalid", choices=("skip", "abort"), help="what a refused row does (default: skip)")
    upload.set_defaults(run=_import)

    jobs = commands.add_parser("jobs", help="the newest jobs, as a table")
    jobs.add_argument("--limit", type=int, default=20, help="how many (default: 20)")
    jobs.set_defaults(run=_jobs)

    psql = commands.add_parser("psql", help="open psql on the configured database")
    psql.add_argument("arguments", nargs=argparse.REMAINDER, help="passed on to psql")
    psql.set_defaults(run=_psql)

    demo = commands.add_parser("demo", help="import 5,003 sample contacts with everything embedded, then stop")
    demo.set_defaults(run=_demo)
    return parser


def _settings() -> Config:
    """The environment's settings; logging is on from here."""
    from dataflow import logs

    config = Config.from_env()
    logs.configure(config.log_format)
    return config


def _run(arguments: argparse.Namespace) -> int:
    from dotenv import load_dotenv

    from dataflow import supervisor

    load_dotenv(Path.cwd() / ".env")
    return supervisor.run(_settings(), reload=arguments.reload)


def _web(_: argparse.Namespace) -> int:
    # Read here already, so that a wrong setting is one line and not gunicorn's traceback.
    Config.from_env()
    command = [sys.executable, "-m", "gunicorn", "--config", "python:dataflow.gunicorn_conf"]
    os.execv(sys.executable, [*command, "dataflow.web:create_app()"])


def _worker(arguments: argparse.Namespace) -> int:
    from dataflow.storage import open_storage
    from dataflow.worker import Worker

    config = _settings()
    return Worker(config, open_storage(config)).run(once=arguments.once)


def _migrate(_: argparse.Namespace) -> int:
    from dataflow import db

    applied = db.migrate(_settings().database_url)
    print(f"{len(applied)} migrations applied." if applied else "The database is up to date.")
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from dataflow import client

    url = arguments.url or f"http://localhost:{Config.from_env().port}"
    return client.import_file(url, arguments.file, arguments.source, arguments.on_invalid)


def _jobs(arguments: argparse.Namespace) -> int:
    columns = 'id, state, source, age, running_for, rows, rejected, percent, "rows/s", health, error'
    return _psql_with(["--command", f"SELECT {columns} FROM job_status LIMIT {arguments.limit}"])  # noqa: S608


def _psql(arguments: argparse.Namespace) -> int:
    return _psql_with(arguments.arguments)


def _psql_with(arguments: list[str]) -> int:
    """Become psql: the one on the PATH, else the embedded Postgres' own."""
    import shutil

    from dataflow import embedded

    program = shutil.which("psql") or str(embedded.binary("psql"))
    os.execv(program, [program, Config.from_env().database_url, *arguments])


def _demo(_: argparse.Namespace) -> int:
    from dataflow import demo

    return demo.run()
