"""What a web process keeps of the requests that it has served, seen from outside."""

import csv
import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psutil

from tests.support.processes import Web
from tests.support.waiting import eventually
from tests.support.workbooks import saved

CONTACTS = [[f"Contact {number}", f"contact{number}@example.com", f"+49 {number}"] for number in range(3000)]
#: README's figure, for a process that has served a hundred times as many.
MOST_MB = 160


def csv_of(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([["name", "email", "phone"], *rows])
    return text.getvalue().encode()


DOCUMENT = {"source": "s", "data": [{"name": name, "email": email} for name, email, _ in CONTACTS]}
BODIES = (
    (saved(["name", "email", "phone"], *CONTACTS[:1000]), "application/octet-stream"),
    (csv_of(CONTACTS * 3), "text/csv"),
    (
        json.dumps({"source": "s", "data": [{"name": n, "email": e} for n, e, _ in CONTACTS]}).encode(),
        "application/json",
    ),
)


def test_a_web_process_gives_back_what_previews_and_uploads_have_taken(start_web: Callable[..., Web]) -> None:
    web = start_web()
    [process] = psutil.Process(web.process.pid).children()

    def send(path: str, number: int) -> None:
        body, media_type = BODIES[number % len(BODIES)]
        headers = {"Content-Type": media_type, "X-Source": "s"}
        # Those that find no place are told to come again.
        eventually(lambda: web.post(path, data=body, headers=headers).status_code == 200, every_seconds=0.1)

    with ThreadPoolExecutor(32) as clients:
        list(clients.map(send, ["/import/preview"] * 90, range(90)))
        list(clients.map(send, ["/import"] * 18, range(18)))
    assert process.memory_info().rss / 10**6 < MOST_MB
