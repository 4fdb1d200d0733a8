"""The page of a session: how it stands, and what proves it."""

from playwright.sync_api import expect

from tests.api.browser.conftest import Served
from tests.api.browser.support import Visitor


def test_a_damaged_session_is_named_as_damaged_and_told_what_is_wrong(owner: Visitor, served: Served) -> None:
    page = owner.goes_to(f"/sessions/{served.ids['damaged.cast']}")
    expect(page.get_by_role("heading", name="This session is damaged")).to_be_visible()
    expect(page.get_by_text("object_digest_mismatch: something that was stored has been changed")).to_be_visible()
    owner.assert_readable()


def test_verifying_shows_what_was_verified_and_how_to_repeat_it(owner: Visitor, served: Served) -> None:
    page = owner.goes_to(f"/sessions/{served.ids['terminal.cast']}")
    page.get_by_label("decrypt as well").check()
    page.get_by_role("button", name="Verify now").click()
    expect(page.get_by_text("1 chunk object,")).to_contain_text("with the Merkle root")
    expect(page.get_by_text("Every chunk decrypts in its place")).to_be_visible()
    page.get_by_text("Verify it yourself").click()
    expect(page.get_by_text(f"lucid verify {served.ids['terminal.cast']} --public-key")).to_be_visible()
    owner.assert_readable()


def test_verifying_marks_the_chunk_that_is_damaged(owner: Visitor, served: Served) -> None:
    page = owner.goes_to(f"/sessions/{served.ids['damaged.cast']}")
    page.get_by_role("button", name="Verify now").click()
    expect(page.get_by_text("1 damage found")).to_be_visible()
    page.reload()
    expect(page.locator(".plot .bad title, .plot g:has(.bad) title")).to_contain_text("Chunk 1")
    expect(page.locator(".plot g:has(.bad) title")).to_contain_text("damaged")


def test_the_lineage_is_shown_also_where_dagster_is_away(owner: Visitor, served: Served) -> None:
    page = owner.goes_to(f"/sessions/{served.ids['desktop.webm']}")
    stages = page.locator(".lineage > li")
    expect(stages).to_have_count(5)
    expect(stages.nth(4)).to_contain_text("made")
    expect(page.get_by_text("Dagster does not answer")).to_be_visible()


def test_there_is_no_such_session(owner: Visitor) -> None:
    page = owner.goes_to("/sessions/01a207bc-8e81-7370-a993-4daf2ca01f8c")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
    expect(page.get_by_role("link", name="Runs")).to_be_visible()
    owner.forgets("404")
    owner.assert_readable()
