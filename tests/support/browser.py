"""A real browser, which tells what it was refused and whom it asked."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Request, Route, sync_playwright

#: Without the last ones it asks its maker's hosts for news.
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_MILLISECONDS = 60_000


def program() -> str | None:
    """Where it is, if there is one."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@dataclass
class Visit:
    """A page that is open, and what has happened in it so far."""

    page: Page
    errors: list[str] = field(default_factory=list)  #: as its console shows them
    asked: set[str] = field(default_factory=set)  #: hosts with their ports

    def note_request(self, request: Request) -> None:
        if urlsplit(request.url).scheme in ("http", "https", "ws", "wss"):
            self.asked.add(urlsplit(request.url).netloc)

    def go_through(self, base: str, prefix: str) -> None:
        """Have what is asked for below `prefix` go to `base` without it, as a proxy does that takes it off."""

        def forward(route: Route) -> None:
            below = route.request.url.removeprefix(f"{base}{prefix}")
            headers = {**route.request.headers, "X-Forwarded-Prefix": prefix}
            route.continue_(url=f"{base}{below}", headers=headers)

        self.page.route(f"{base}{prefix}/**", forward)


@contextmanager
def started(executable: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=[*FLAGS], timeout=TIMEOUT_MILLISECONDS)
        yield browser
        browser.close()


@contextmanager
def visiting(browser: Browser) -> Iterator[Visit]:
    """A page that knows nothing of those before it."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MILLISECONDS)
    visit = Visit(page)
    page.on("console", lambda said: visit.errors.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: visit.errors.append(str(error)))
    page.on("request", visit.note_request)
    yield visit
    context.close()
