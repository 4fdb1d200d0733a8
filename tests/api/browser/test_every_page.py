"""What holds for every page: it fits a phone, and can be read, in the light and in the dark."""

import pytest

from tests.api.browser.conftest import Served
from tests.api.browser.support import Visitor

PAGES = ["/", "/statistics", "/audit", "/api-keys", "/sign-in", "/sessions/{terminal.cast}", "/sessions/{damaged.cast}"]


def address(page: str, served: Served) -> str:
    for name, session_id in served.ids.items():
        page = page.replace(f"{{{name}}}", session_id)
    return page


@pytest.mark.parametrize("page", PAGES)
def test_it_fits_a_phone_and_can_be_read_there(on_a_phone: Visitor, served: Served, page: str) -> None:
    on_a_phone.goes_to(address(page, served))
    on_a_phone.assert_fits()
    on_a_phone.assert_readable()


@pytest.mark.parametrize("page", PAGES)
def test_it_can_be_read_in_the_dark(owner: Visitor, served: Served, page: str) -> None:
    owner.page.emulate_media(color_scheme="dark")
    owner.goes_to(address(page, served))
    owner.assert_readable()


def test_runs_without_dagster_are_a_page_that_says_so(owner: Visitor) -> None:
    page = owner.goes_to("/runs")
    assert "Dagster" in page.get_by_role("heading", level=1).inner_text()
    owner.assert_readable()
    owner.forgets("503")
