"""The page of a session."""

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
    expect(page.get_by_text("1 chunk object of")).to_contain_text("under the Merkle root")
    expect(page.get_by_text("proven intact")).to_be_visible()
    page.get_by_text("Verify it yourself").click()
    expect(page.get_by_text(f"lucid verify {served.ids['terminal.cast']} --public-key")).to_be_visible()
    owner.assert_readable()
