"""The pictures of the page in the documentation, made from the real thing: `make screenshots`."""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, expect

from tests.api.browser.support import Visitor, a_browser, printed_link, visiting
from tests.api.conftest import DEMO
from tests.cli.running import started
from tests.cli.support import Lucid, flip

DOCS = Path(__file__).parents[3] / "docs"
PICTURE = {"width": 1200, "height": 820}
PLAYED = "db-2-migration.cast"
DAMAGED = "kiosk-3-morning.webm"

RECORDINGS = {
    "gate-1-deploy.cast": {"user": "ada", "host": "gate-1", "protocol": "ssh", "tags": {"ticket": "OPS-4711"}},
    PLAYED: {"user": "grace", "host": "db-2", "protocol": "ssh", "tags": {"ticket": "OPS-4715", "team": "data"}},
    "gate-1-hotfix.cast": {"user": "ada", "host": "gate-1", "protocol": "ssh", "tags": {"ticket": "OPS-4720"}},
    DAMAGED: {"user": "kiosk", "host": "kiosk-3", "protocol": "vnc", "started_at": "2026-11-20T07:30:00Z"},
    "lab-7-training.cast": {"user": "linus", "host": "lab-7", "protocol": "ssh", "tags": {"course": "intro"}},
    "gate-2-audit.cast": {"user": "barbara", "host": "gate-2", "protocol": "ssh", "started_at": "yesterday"},
}


def main() -> int:
    """Make them anew."""
    with TemporaryDirectory() as folder, a_browser() as browser:
        lucid = Lucid(Path(folder) / "lucid", folder=Path(folder))
        _archive(lucid, Path(folder) / "recordings")
        with started(lucid) as up:
            url, link = printed_link(up.log)
            with visiting(browser, url, viewport=PICTURE) as visitor:
                visitor.goes_to(link).get_by_role("button", name="Sign in").click()
                _take_sessions(visitor)
                _take_session(visitor)
                _take_damage(visitor)
    return 0


def _archive(lucid: Lucid, recordings: Path) -> None:
    lucid.ok("init")
    recordings.mkdir()
    for number, (name, sidecar) in enumerate(RECORDINGS.items()):
        (recordings / name).write_bytes(_recording(name, number))
        (recordings / f"{name}.meta.json").write_text(json.dumps(sidecar))
    lucid.run("archive", recordings)
    sessions = {session["name"]: session["session_id"] for session in lucid.json("list")}
    flip(next((lucid.archive_folder / "sessions" / sessions[DAMAGED] / "chunks").iterdir()))
    lucid.run("verify", sessions[PLAYED], sessions[DAMAGED], sessions["gate-1-deploy.cast"])


def _recording(name: str, number: int) -> bytes:
    """The bundled ones: casts of several days, since the same one twice would be one."""
    if name.endswith(".webm"):
        return (DEMO / "desktop.webm").read_bytes()
    header, _, events = (DEMO / "terminal.cast").read_bytes().partition(b"\n")
    fields = json.loads(header)
    fields["timestamp"] -= 17 * 3600 * number
    return json.dumps(fields).encode() + b"\n" + events


def _take_sessions(visitor: Visitor) -> None:
    page = visitor.goes_to("/")
    expect(page.get_by_role("row")).to_have_count(len(RECORDINGS) + 1)
    _take(page, "page-sessions.png")


def _take_session(visitor: Visitor) -> None:
    page = visitor.opens(PLAYED)
    page.get_by_label("decrypt as well").check()
    page.get_by_role("button", name="Verify now").click()
    page.get_by_label("Search what was on the screen").fill("caught")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("list", name="Found").get_by_role("button").last.click()
    expect(page.locator("#screen")).to_contain_text("did NOT match")
    page.keyboard.press("Space")
    expect(page.get_by_text("Every chunk decrypts in its place")).to_be_visible()
    expect(page.locator(".lineage > li")).to_have_count(5)
    _take(page, "page-session.png", whole=True)


def _take_damage(visitor: Visitor) -> None:
    page = visitor.opens(DAMAGED)
    expect(page.get_by_role("heading", name="This session is damaged")).to_be_visible()
    page.set_viewport_size({**PICTURE, "height": 560})
    _take(page, "page-damaged.png")


def _take(page: Page, name: str, *, whole: bool = False) -> None:
    page.evaluate("document.activeElement.blur()")
    page.screenshot(path=DOCS / name, full_page=whole, animations="disabled")
    print(f"{name}: {(DOCS / name).stat().st_size // 1024} KiB")


if __name__ == "__main__":
    sys.exit(main())
