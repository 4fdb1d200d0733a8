"""`/docs`: the API's operations, without a network."""

import pytest
from playwright.sync_api import expect

from tests.api.browser.support import Visitor


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_operations_are_shown_to_anybody_and_can_be_read(stranger: Visitor, scheme: str) -> None:
    stranger.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    page = stranger.goes_to("/docs")
    page.get_by_role("button", name="Who is asking").click()
    expect(page.get_by_text("Tell the caller who it is to this service")).to_be_visible()
    stranger.assert_readable()


def test_it_fits_a_phone(on_a_phone: Visitor) -> None:
    page = on_a_phone.goes_to("/docs")
    page.get_by_role("button", name="Who is asking").click()
    on_a_phone.assert_fits()
