"""A person at a browser: what they do on the page, and what must never happen while they do it."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

import lucid_api.pages
from tests.cli.support import Lucid
from tests.processes import eventually, free_port

AXE = Path(lucid_api.pages.__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
GRAVE = ("serious", "critical")
PHONE = {"width": 375, "height": 812}
DESK = {"width": 1280, "height": 900}
_PATIENCE_MS = 60_000
_LINK = re.compile(r"(http://[^/\s]+)(/sign-in\?token=\S+)")
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = (
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def chromium() -> str | None:
    """The Chromium of this machine: Playwright's own would have to be downloaded."""
    named = os.environ.get("LUCID_TEST_CHROMIUM")
    return named or next((found for name in _NAMES if (found := shutil.which(name))), None)


def printed_link(log: Path) -> tuple[str, str]:
    """Where the service is that writes this log, and the path of the link in it to sign in by."""
    found = eventually(lambda: _LINK.search(log.read_text()), every=0.1)
    return found[1], found[2]


@contextmanager
def serving(lucid: Lucid) -> Iterator[tuple[str, str]]:
    """The session API over a home: where it is, and the path of the link that it prints to sign in by."""
    log = lucid.folder / "api.log"
    command = [sys.executable, "-m", "lucid_api"]
    environment = lucid.having(api_port=str(free_port())).environment
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=lucid.folder)
    try:
        yield printed_link(log)
    finally:
        process.kill()
        process.wait()


@contextmanager
def a_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visitor:
    """One person with a browser of their own; `faults` is what should not have happened so far."""

    url: str
    context: BrowserContext
    page: Page
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        expect.set_options(timeout=_PATIENCE_MS)
        self.context.set_default_timeout(_PATIENCE_MS)
        self.page.on("console", lambda message: self._hear(message.type, message.text))
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.context.on("request", lambda request: self._see(request.url))

    def goes_to(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def opens(self, name: str) -> Page:
        """From the list of sessions, the one with this name."""
        self.goes_to("/")
        self.page.get_by_role("link", name=name).click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text(name)
        return self.page

    def assert_readable(self) -> None:
        """No serious finding of axe on the page as it stands."""
        self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("axe.run()")["violations"]
        told = [(one["impact"], one["id"], [node["html"] for node in one["nodes"]]) for one in found]
        assert not [one for one in told if one[0] in GRAVE], json.dumps(told, indent=1)

    def assert_fits(self) -> None:
        """Nothing hangs out of the page at its side."""
        width = self.page.evaluate("document.documentElement.scrollWidth")
        assert width <= self.page.evaluate("innerWidth"), f"{self.page.url} is {width} wide"

    def forgets(self, pattern: str) -> None:
        """Faults that belong to what was tested: exactly those that match, and at least one."""
        left = [fault for fault in self.faults if not re.search(pattern, fault)]
        assert len(left) < len(self.faults), f"there was no {pattern}"
        self.faults[:] = left

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.faults.append(f"{kind}: {text}")

    def _see(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and f"{parts.scheme}://{parts.netloc}" != self.url:
            self.faults.append(f"request: {url}")


@contextmanager
def visiting(browser: Browser, url: str, **options: Any) -> Iterator[Visitor]:
    """A visit, at the end of which nothing may have gone wrong; at a desk unless `viewport` says otherwise."""
    context = browser.new_context(**{"viewport": DESK, **options})
    try:
        visitor = Visitor(url, context, context.new_page())
        yield visitor
        assert not visitor.faults, visitor.faults
    finally:
        context.close()
