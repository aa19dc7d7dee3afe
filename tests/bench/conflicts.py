"""What leaving duplicates out costs, and updating them, beside the plain import of as many rows in the same run."""

from itertools import islice
from pathlib import Path
from statistics import median

from tests.bench.once import OnceWorker, upload_file
from tests.bench.report import print_table, verdict
from tests.bench.rig import Rig
from tests.bench.sample import BLOCK_ROWS, LAYOUTS, contacts

MOST_OF_PLAIN = 3.0
SMALL_ROWS = 1_000
OVERLAPS = (0, 50, 100)


def run(rig: Rig, rows: int, rounds: int) -> None:
    """Import as many rows as are there, of which some are there, and a small file; print the medians."""
    _prepare_table(rig, rows)
    files = {overlap: _write(rig, f"overlap-{overlap}", rows - rows * overlap // 100, rows) for overlap in OVERLAPS}
    turns = {f"{how}, {overlap} % there": (how, files[overlap]) for overlap in OVERLAPS for how in ("skip", "update")}
    turns = {"insert": ("insert", files[50]), **turns}
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(rounds):
        for name, (how, path) in turns.items():
            seconds[name].append(_import(rig, how, path))
    _report(seconds, rows, rounds)
    _run_small(rig, rows, rounds)


def _run_small(rig: Rig, rows: int, rounds: int) -> None:
    path = _write(rig, "small", rows - SMALL_ROWS // 2, SMALL_ROWS)
    table = []
    for index in ("none", "lower(email)"):
        if index != "none":
            rig.connection.execute("CREATE INDEX contacts_by_address ON contacts (lower(email))")
        times = {how: median(_import(rig, how, path) for _ in range(rounds)) for how in ("insert", "skip", "update")}
        table.append((index, *(f"{1000 * each:.0f}" for each in times.values())))
    rig.connection.execute("DROP INDEX contacts_by_address")
    title = f"Import of {SMALL_ROWS:,} contacts into {rows:,}, half of them there, median of {rounds}, ms"
    print_table(title, ("index", "insert", "skip", "update"), table)


def _report(seconds: dict[str, list[float]], rows: int, rounds: int) -> None:
    plain, table = median(seconds["insert"]), []
    for name, each in seconds.items():
        ratio = median(each) / plain
        bar = verdict(ratio <= MOST_OF_PLAIN) if name.startswith("skip") else ""
        table.append((name, f"{median(each):.2f}", f"{ratio:.2f}", bar, f"{min(each):.2f} - {max(each):.2f}"))
    columns = ("onConflict", "seconds", "of insert", f"bar {MOST_OF_PLAIN:g}", "least - most s")
    print_table(f"Import of {rows:,} contacts into {rows:,}, claim to commit, median of {rounds}", columns, table)


def _prepare_table(rig: Rig, rows: int) -> None:
    rig.empty_contacts()
    _import(rig, "insert", _write(rig, "there", 0, rows), is_filled=False)
    rig.connection.execute("CREATE TABLE there AS SELECT * FROM contacts ORDER BY id")


def _write(rig: Rig, name: str, first: int, rows: int) -> Path:
    """A CSV of the sample's contacts from number `first` on."""
    path, layout = rig.folder / name, LAYOUTS["csv"]
    everyone = islice(contacts(first + rows), first, None)
    with path.open("w", encoding="utf-8") as file:
        file.write(layout.head)
        while block := list(islice(everyone, BLOCK_ROWS)):
            file.writelines(f"{layout.row(*contact)}\n" for contact in block)
    return path


def _import(rig: Rig, how: str, path: Path, is_filled: bool = True) -> float:
    """Seconds between started_at and finished_at of the job, on a table that is always the same before."""
    upload = upload_file(rig, "csv", path, {"onConflict": how})
    if is_filled:
        rig.connection.execute("TRUNCATE contacts")
        rig.connection.execute("INSERT INTO contacts SELECT * FROM there")
        rig.connection.execute("VACUUM ANALYZE contacts")
    rig.connection.execute("CHECKPOINT")
    rig.queue(upload)
    OnceWorker(rig.variables).finish()
    job = rig.job(upload)
    assert job["state"] == "succeeded", job["error"]
    return float((job["finished_at"] - job["started_at"]).total_seconds())
