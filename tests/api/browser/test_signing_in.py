"""Signing in and out, by a link and by a key."""

from playwright.sync_api import expect

from tests.api.browser.conftest import Served
from tests.api.browser.support import Visitor


def test_who_has_not_signed_in_is_asked_to_and_then_gets_what_they_wanted(stranger: Visitor, served: Served) -> None:
    page = stranger.goes_to("/runs?status=success")
    expect(page).to_have_url(f"{served.url}/sign-in?next=/runs%3Fstatus%3Dsuccess")
    stranger.assert_readable()


def test_a_link_signs_in_once(stranger: Visitor, served: Served) -> None:
    link = served.new_link()
    page = stranger.goes_to(link)
    stranger.assert_readable()
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Signed in as owner")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{served.url}/sign-in")
    stranger.goes_to(link).get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("has been used")
    stranger.forgets("401")


def test_a_key_that_is_made_on_the_page_signs_in_and_may_do_what_it_says(
    owner: Visitor, stranger: Visitor, served: Served
) -> None:
    page = owner.goes_to("/api-keys")
    page.get_by_label("What to call it").fill("for the auditor")
    page.get_by_label("For a").select_option("auditor")
    page.get_by_label("Valid for days").fill("30")
    page.get_by_role("button", name="Make it").click()
    key = page.get_by_role("status").filter(has_text="lucid_")
    expect(key).to_be_visible()
    text = key.inner_text()
    owner.assert_readable()

    theirs = stranger.goes_to("/audit")
    theirs.get_by_label("Key").fill(text)
    theirs.get_by_role("button", name="Sign in").click()
    expect(theirs.get_by_role("heading", level=1)).to_have_text("Audit record")
    expect(theirs.locator("tbody")).to_contain_text("key.created")
    expect(theirs.get_by_role("link", name="Keys")).to_have_count(0)
    stranger.assert_readable()
    stranger.goes_to("/api-keys")
    expect(theirs.get_by_role("heading", level=1)).to_have_text("Not allowed")
    stranger.forgets("403")

    owner.goes_to("/api-keys")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete for the auditor").click()
    expect(page.get_by_text("for the auditor")).to_have_count(0)
    stranger.goes_to("/audit")
    expect(theirs).to_have_url(f"{served.url}/sign-in?next=/audit")


def test_a_wrong_key_is_told_as_such(stranger: Visitor) -> None:
    page = stranger.goes_to("/sign-in")
    page.get_by_label("Key").fill("lucid_0000000000000000_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("this key is not known")
    stranger.forgets("401")
