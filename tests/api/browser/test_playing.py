"""Playing recordings: by the mouse, by keys, from the transcript."""

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.api.browser.conftest import LINES, Served
from tests.api.browser.support import Visitor
from tests.processes import eventually


@pytest.fixture
def terminal(owner: Visitor, served: Served) -> Page:
    """The page of the bundled cast, which is 72 seconds long, playing."""
    page = owner.goes_to(f"/sessions/{served.ids['terminal.cast']}")
    page.get_by_role("button", name="Play").click()
    expect(screen(page)).to_contain_text("demo")
    return page


@pytest.fixture
def video(owner: Visitor, served: Served) -> Page:
    """The page of the bundled video, which is 9 seconds long, playing."""
    page = owner.goes_to(f"/sessions/{served.ids['desktop.webm']}")
    page.get_by_role("button", name="Play").click()
    eventually(lambda: of_video(page, "currentTime"), 20)
    return page


def screen(page: Page) -> Locator:
    return page.locator("#screen")


def of_video(page: Page, what: str) -> Any:
    return page.evaluate(f"document.querySelector('video')?.{what}")


def test_nothing_of_a_recording_is_asked_for_before_it_is_played(owner: Visitor, served: Served) -> None:
    asked: list[str] = []
    owner.page.on("request", lambda request: asked.append(request.url))
    owner.goes_to(f"/sessions/{served.ids['terminal.cast']}")
    expect(owner.page.locator(".lineage > li")).to_have_count(5)
    assert not [url for url in asked if re.search("/api/.*/(content|transcript|matches|events)", url)]


def test_text_appears_as_a_terminal_is_played(terminal: Page, owner: Visitor) -> None:
    expect(screen(terminal)).to_contain_text("Hello, Lucid! This session is being recorded.")
    owner.assert_readable()


def test_keys_seek_in_a_terminal_wherever_the_focus_is(terminal: Page) -> None:
    terminal.keyboard.press("3")
    expect(screen(terminal)).to_contain_text("readings.txt: OK")
    terminal.keyboard.press("Space")
    terminal.evaluate("document.activeElement.blur()")
    terminal.keyboard.press("0")
    expect(screen(terminal)).not_to_contain_text("readings.txt: OK")


def test_what_is_found_in_the_transcript_leads_to_its_time(terminal: Page, owner: Visitor) -> None:
    terminal.get_by_label("Search what was on the screen").fill("did not match")
    terminal.get_by_role("button", name="Search").click()
    hit = terminal.get_by_role("list", name="Found").get_by_role("listitem")
    expect(hit).to_contain_text("WARNING: 1 computed checksum did NOT match")
    expect(terminal.get_by_text("1 place found")).to_be_visible()
    hit.get_by_role("button").click()
    expect(screen(terminal)).to_contain_text("WARNING: 1 computed checksum did NOT match", timeout=2000)
    owner.assert_readable()


def test_the_transcript_goes_along_with_the_player(terminal: Page) -> None:
    terminal.get_by_role("button", name="Show it").click()
    lines = terminal.get_by_role("list", name="Lines")
    expect(lines.get_by_role("listitem").first).to_contain_text("echo 'Hello, Lucid!")
    lines.get_by_role("listitem").filter(has_text="12345:reading").get_by_role("button").click()
    expect(lines.locator("[aria-current]")).to_contain_text("12345:reading 12345: alarm!")


def test_times_are_those_of_the_recording_also_where_pauses_are_cut(terminal: Page) -> None:
    terminal.get_by_role("button", name="Show it").click()
    lines = terminal.get_by_role("list", name="Lines")
    last = lines.get_by_role("button").last
    terminal.get_by_label("Cut pauses").check()
    expect(screen(terminal)).to_contain_text("demo")
    last.click()
    expect(lines.locator("[aria-current]")).to_contain_text("exit")


def test_a_video_has_the_keys_of_the_terminal(video: Page, owner: Visitor) -> None:
    video.keyboard.press("Space")
    assert of_video(video, "paused")
    video.keyboard.press("5")
    assert of_video(video, "currentTime") == pytest.approx(4.5, abs=0.3)
    video.keyboard.press("ArrowLeft")
    assert of_video(video, "currentTime") == 0
    video.keyboard.press(".")
    assert 0 < of_video(video, "currentTime") < 0.2
    video.keyboard.press("Shift+ArrowRight")
    assert of_video(video, "currentTime") == pytest.approx(0.9, abs=0.3)
    video.keyboard.press("]")
    assert of_video(video, "currentTime") == of_video(video, "duration")
    video.keyboard.press("f")
    eventually(lambda: video.evaluate("document.fullscreenElement !== null"), 5)
    video.keyboard.press("f")
    eventually(lambda: video.evaluate("document.fullscreenElement === null"), 5)
    owner.assert_readable()


def test_of_a_damaged_cast_all_that_is_whole_is_played(owner: Visitor, served: Served) -> None:
    page = owner.goes_to(f"/sessions/{served.ids['damaged.cast']}")
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_text("Parts of this recording are damaged, and left out.")).to_be_visible()
    page.keyboard.press("Space")
    page.keyboard.press("]")
    expect(screen(page)).to_contain_text(f"line {LINES - 1}")
    owner.forgets("ERR_|500")


def test_other_bytes_are_not_played_and_can_be_downloaded(owner: Visitor, served: Served) -> None:
    page = owner.goes_to(f"/sessions/{served.ids['notes.bin']}")
    expect(page.get_by_text("This page plays no application/octet-stream")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="The recording").click()
    assert download.value.suggested_filename == "notes.bin"
    assert download.value.path().read_bytes() == b"\0" * 1000
