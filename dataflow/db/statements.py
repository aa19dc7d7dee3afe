"""The texts in `sql`: where they are, and the statements by name."""

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent
#: Inside the package in a wheel, beside it in a checkout and an editable install.
SQL = next(folder for folder in (_PACKAGE / "sql", _PACKAGE.parent / "sql") if folder.is_dir())


@cache
def query(name: str) -> bytes:
    """The statement in `sql/queries/<name>.sql`; its folder is the table it is about, as in `jobs/claim`.

    :raises LookupError: when there is none.
    """
    try:
        return (SQL / "queries" / f"{name}.sql").read_bytes()
    except FileNotFoundError as error:
        raise LookupError(f"There is no statement {name} in {SQL / 'queries'}.") from error
