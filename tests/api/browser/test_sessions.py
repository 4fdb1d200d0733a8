"""The list of sessions: found, walked by keys, kept in the address."""

from pathlib import Path

from playwright.sync_api import expect

from tests.api.browser.conftest import Served
from tests.api.browser.support import Visitor


def names(visitor: Visitor) -> list[str]:
    return visitor.page.locator("tbody tr td:first-child > a").all_inner_texts()


def test_all_sessions_are_listed_and_damage_is_named(owner: Visitor, served: Served) -> None:
    page = owner.goes_to("/")
    assert set(served.ids) <= set(names(owner))
    damaged = page.get_by_role("row").filter(has_text="damaged.cast")
    expect(damaged.get_by_text("damaged", exact=True)).to_be_visible()
    owner.assert_readable()


def test_filters_stay_in_the_address_and_nothing_else_does(owner: Visitor, served: Served) -> None:
    page = owner.goes_to("/")
    page.get_by_text("More filters").click()
    page.get_by_label("State").select_option("damaged")
    page.get_by_label("User", exact=True).fill("alice")
    page.get_by_label("Started from").fill("2020-01-01")
    page.get_by_role("button", name="Find").click()
    expect(page).to_have_url(f"{served.url}/?user=alice&state=damaged&started_after=2020-01-01T00%3A00%3A00Z")
    assert names(owner) == ["damaged.cast"]
    expect(page.get_by_label("State")).to_have_value("damaged")
    expect(page.get_by_label("Started from")).to_have_value("2020-01-01")
    owner.assert_readable()
    page.reload()
    assert names(owner) == ["damaged.cast"]
    page.get_by_role("link", name="Show all").click()
    expect(page).to_have_url(f"{served.url}/")


def test_nothing_found_says_so_and_what_to_do(owner: Visitor) -> None:
    page = owner.goes_to("/?q=nosuchthing")
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    owner.assert_readable()


def test_a_heading_sorts_and_once_more_the_other_way_round(owner: Visitor) -> None:
    page = owner.goes_to("/")
    page.get_by_role("link", name="Size").click()
    expect(page.get_by_role("columnheader", name="Size")).to_have_attribute("aria-sort", "descending")
    largest_first = names(owner)
    assert largest_first[0] == "damaged.cast"
    page.get_by_role("link", name="Size").click()
    expect(page.get_by_role("columnheader", name="Size")).to_have_attribute("aria-sort", "ascending")
    assert names(owner) == largest_first[::-1]


def test_pages_lead_on_and_back(owner: Visitor) -> None:
    page = owner.goes_to("/?limit=1&sort=length")
    first = names(owner)
    page.get_by_role("link", name="Next page").click()
    page.wait_for_url("**cursor**")
    second = names(owner)
    page.get_by_role("link", name="Next page").click()
    expect(page.locator("tbody")).not_to_contain_text(second[0])
    page.get_by_role("link", name="Previous page").click()
    expect(page.locator("tbody")).to_contain_text(second[0])
    page.get_by_role("link", name="First page").click()
    expect(page.locator("tbody")).to_contain_text(first[0])


def test_keys_alone_search_choose_open_and_play(owner: Visitor, served: Served) -> None:
    page = owner.goes_to("/")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("alice cast")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=alice**")  # and until its scripts are there
    listed = names(owner)
    assert sorted(listed) == ["damaged.cast", "terminal.cast"]
    for _ in range(listed.index("terminal.cast") + 1):
        page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    if listed[0] == "terminal.cast":
        page.keyboard.press("k")
    expect(page.get_by_role("link", name="terminal.cast")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("terminal.cast")
    page.wait_for_load_state()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Play")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#screen")).to_contain_text("Hello, Lucid!")


def test_a_recording_is_sent_from_a_form(owner: Visitor, tmp_path: Path) -> None:
    recording = tmp_path / "sent.cast"
    recording.write_bytes(b'{"version": 2, "width": 80, "height": 24}\n[0.5, "o", "sent"]\n')
    page = owner.goes_to("/upload")
    page.get_by_label("A finished recording").set_input_files(recording)
    page.get_by_label("User").fill("grace")
    page.get_by_role("button", name="Send it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("sent.cast")
    expect(page.get_by_text("grace")).to_be_visible()
    owner.assert_readable()
