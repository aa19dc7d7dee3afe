"""The commands that ask a running service: import, export, jobs; their arguments, and what is done with these."""

import os
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

from dataflow.errors import RequestError
from dataflow.imports.option_names import kebab_case

Command = Callable[[str, Callable[[Namespace], int], str, Callable[[ArgumentParser], None]], ArgumentParser]

#: Which contacts go out and how: the service's name of each, and what it says.
_EXPORT_OPTIONS: Final = {
    "source": "only contacts of this source",
    "email": "only contacts with this address",
    "jobId": "only what this import has created",
    "importedAfter": "only from this time on: 2026-11-29, or 2026-11-29T12:00:00Z",
    "importedBefore": "only from before this time",
    "fields": "the columns, with commas between them (default: name,email,source,imported_at)",
    "limit": "only so many, the newest",
}
_ONLY_AS_JOB: Final = "xlsx"
_FORMATS: Final = {
    **{".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json", ".vcf": "vcard"},
    ".xlsx": _ONLY_AS_JOB,
}


def add_to(command: Command) -> None:
    """Each with a line in the help of `dataflow`."""
    command("import", _import, "upload a file over HTTP and wait for its contacts", _add_import)
    command("export", _export, "write contacts to a file, over HTTP", _add_export)
    command("jobs", _jobs, "the newest jobs of a service, as a table", _add_jobs)


def _add_service(parser: ArgumentParser) -> None:
    parser.add_argument("--url", help="the service (default: http://localhost:PORT)")
    parser.add_argument("--key", help="one of its API_KEYS (default: DATAFLOW_API_KEY, which others cannot see)")


def _add_import(upload: ArgumentParser) -> None:
    """A flag for each option of an import, which leaves its text under the option's own name."""
    from dataflow.imports.option_kinds import Flag
    from dataflow.imports.options import OptionsSchema

    upload.add_argument("file", type=Path, metavar="FILE", help="JSON, NDJSON, CSV, vCard or XLSX, also gzipped")
    _add_service(upload)
    for name, kind in OptionsSchema().fields.items():
        word = kebab_case(name)
        add = partial(upload.add_argument, f"--{word}", dest=name, help=kind.metadata["description"])
        if isinstance(kind, Flag):
            add(action="store_const", const="true")
        elif choices := getattr(kind.validate, "choices", None):
            add(choices=choices)
        else:
            add(metavar=word.upper(), required=name == "source")
    upload.add_argument(
        "--option",
        action="append",
        default=[],
        type=_option,
        metavar="NAME=VALUE",
        help="one that this command does not know",
    )


def _option(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise ArgumentTypeError(f"expected NAME=VALUE, not {text!r}")
    return name, value


def _add_export(export: ArgumentParser) -> None:
    text = "where to; - is standard output (default: the name that the service gives, in this folder)"
    export.add_argument("file", nargs="?", type=Path, metavar="FILE", help=text)
    _add_service(export)
    text = "csv, ndjson, json, vcard, or, as a job, xlsx (default: by the name of FILE, else csv)"
    export.add_argument("--format", metavar="FORMAT", help=text)
    for name, help_text in _EXPORT_OPTIONS.items():
        word = kebab_case(name)
        export.add_argument(f"--{word}", dest=name, metavar=word.upper(), help=help_text)
    text = "have the service write a file first, and fetch that: a download that breaks off goes on where it was"
    export.add_argument("--job", action="store_true", help=text)
    text = "fetch the file of such a job, or what is missing of it"
    export.add_argument("--resume", type=UUID, metavar="JOBID", help=text)
    text = "cells of CSV that a spreadsheet would run as formulas stay as they are"
    export.add_argument("--raw", action="store_const", const="true", help=text)


def _add_jobs(jobs: ArgumentParser) -> None:
    _add_service(jobs)
    for name in ("kind", "state", "source"):
        jobs.add_argument(f"--{name}", metavar=name.upper(), help=f"only jobs of this {name}")
    jobs.add_argument("--limit", type=_count, default="20", help="how many (default: 20)")
    jobs.add_argument("--watch", action="store_true", help="go on showing them, until Ctrl-C")


def _count(text: str) -> str:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ArgumentTypeError(f"expected a number from 1, not {text!r}")
    return text


def _import(arguments: Namespace) -> int:
    from dataflow.client.imports import import_file
    from dataflow.imports.options import OptionsSchema

    options = _given(arguments, OptionsSchema().fields) | dict(arguments.option)
    return import_file(_url(arguments), arguments.file, options, _key(arguments))


def _export(arguments: Namespace) -> int:
    from dataflow.client.export_jobs import export_by_job, resume_export
    from dataflow.client.exports import export_file

    # What is begun is removed then as it is after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    wanted = given = _given(arguments, [*_EXPORT_OPTIONS, "format", "raw"])
    if arguments.file is not None:
        wanted = {"format": _FORMATS.get(arguments.file.suffix.lower(), "csv")} | given
    url, key, path = _url(arguments), _key(arguments), arguments.file
    if arguments.resume is not None:
        if given or arguments.job:
            raise RequestError("--resume takes the export as it was asked for: beside FILE only --url and --key.")
        return resume_export(url, path, str(arguments.resume), key)
    if arguments.job or wanted.get("format") == _ONLY_AS_JOB:
        return export_by_job(url, path, wanted, key)
    return export_file(url, path, wanted, key)


def _jobs(arguments: Namespace) -> int:
    from dataflow.client.jobs import show_jobs

    wanted = _given(arguments, ["kind", "state", "source", "limit"])
    return show_jobs(_url(arguments), wanted, _key(arguments), arguments.watch)


def _given(arguments: Namespace, names: Iterable[str]) -> dict[str, str]:
    values = {name: getattr(arguments, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _url(arguments: Namespace) -> str:
    from dataflow.config import Config

    return arguments.url or f"http://localhost:{Config.from_env().port}"


def _key(arguments: Namespace) -> str:
    return arguments.key or os.environ.get("DATAFLOW_API_KEY", "")
