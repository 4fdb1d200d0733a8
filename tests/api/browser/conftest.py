"""One service and one browser for all tests here; a visit of its own for each."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from lucid_api.access import sign_in_links
from lucid_api.state import StateDatabase
from tests.api.browser.support import PHONE, Visitor, a_browser, chromium, serving, visiting
from tests.api.conftest import DEMO
from tests.cli.conftest import META
from tests.cli.support import Lucid, flip
from tests.processes import free_port

_HERE = Path(__file__).parent
LINES = 40_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where there is no browser, nothing here can be tested."""
    if chromium() is None:
        reason = "there is no Chromium: install it, or name it by LUCID_TEST_CHROMIUM"
        for item in items:
            if item.path.is_relative_to(_HERE):
                item.add_marker(pytest.mark.skip(reason))


@dataclass(frozen=True)
class Served:
    """A running service: where, over which home, and the link that it printed."""

    url: str
    home: Path
    link: str
    ids: dict[str, str]

    def new_link(self) -> str:
        """The path of another link to sign in by; those before are not good any more."""
        state = StateDatabase(self.home)
        try:
            return f"/sign-in?token={sign_in_links.create(state)}"
        finally:
            state.close()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Over a cast, a video, plain bytes, and a cast of several chunks of which one in the middle is damaged."""
    folder = tmp_path_factory.mktemp("browser")
    lucid = Lucid(folder / "lucid", folder=folder).having(
        chunk_size="1MiB", dagster_url=f"http://127.0.0.1:{free_port()}"
    )
    lucid.ok("init")
    landing = folder / "landing"
    landing.mkdir()
    for name, data in {**_demo(), "damaged.cast": _long_cast(), "notes.bin": b"\0" * 1000}.items():
        (landing / name).write_bytes(data)
    sessions = lucid.archive(landing, meta=META)
    ids = {session["name"]: session["session_id"] for session in sessions}
    chunks = lucid.archive_folder / "sessions" / ids["damaged.cast"] / "chunks"
    flip(next(chunks.glob("00000001.*")))
    lucid.run("verify", "--all")
    with serving(lucid) as (url, link):
        yield Served(url, lucid.home, link, ids)


def _demo() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in DEMO.iterdir() if path.suffix in (".cast", ".webm")}


def _long_cast() -> bytes:
    """Some 3 MiB: a line a hundredth of a second, that says which it is."""
    header = b'{"version": 2, "width": 80, "height": 24}\n'
    return header + b"".join(b'[%.2f, "o", "%s line %d\\r\\n"]\n' % (n / 100, b"-" * 50, n) for n in range(LINES))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with a_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def signed_in(browser: Browser, served: Served) -> Any:
    """What a browser keeps once somebody has followed the link that the service printed."""
    with visiting(browser, served.url) as visitor:
        visitor.goes_to(served.link).get_by_role("button", name="Sign in").click()
        visitor.page.wait_for_url(f"{served.url}/")
        return visitor.context.storage_state()


@pytest.fixture
def stranger(browser: Browser, served: Served) -> Iterator[Visitor]:
    """Somebody who has not signed in."""
    with visiting(browser, served.url) as visitor:
        yield visitor


@pytest.fixture
def owner(browser: Browser, served: Served, signed_in: Any) -> Iterator[Visitor]:
    """Somebody who has, by the link."""
    with visiting(browser, served.url, storage_state=signed_in) as visitor:
        yield visitor


@pytest.fixture
def on_a_phone(browser: Browser, served: Served, signed_in: Any) -> Iterator[Visitor]:
    """The same, on a phone."""
    with visiting(browser, served.url, storage_state=signed_in, viewport=PHONE) as visitor:
        yield visitor
