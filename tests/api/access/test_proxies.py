"""What a proxy says counts where there is one; else anybody could say where they come from."""

from pathlib import Path

import httpx2
import pytest

from tests.api.access.support import SAME_ORIGIN, recorded
from tests.api.access.test_secrets import said_link
from tests.api.serving import served

FORWARDED = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize(
    ("behind_proxy", "address", "cookie"),
    [("false", "127.0.0.1", "lucid_session="), ("true", "203.0.113.7", "__Host-lucid_session=")],
)
def test_who_says_where_a_request_comes_from(bare_home: Path, behind_proxy: str, address: str, cookie: str) -> None:
    with served(bare_home, api_behind_proxy=behind_proxy) as (process, url), httpx2.Client(base_url=url) as browser:
        _, token = said_link(process).split("?token=")
        browser.post("/sign-in", data={"token": "guess"}, headers={**SAME_ORIGIN, **FORWARDED})
        answer = browser.post("/sign-in", data={"token": token}, headers={**SAME_ORIGIN, **FORWARDED})
        assert answer.headers["Set-Cookie"].startswith(cookie)
        assert ("Secure" in answer.headers["Set-Cookie"]) == (behind_proxy == "true")
    [failed] = recorded(bare_home, "sign_in.failed")
    assert failed["address"] == address


def test_the_link_leads_where_people_reach_the_service(bare_home: Path) -> None:
    with served(bare_home, api_url="https://lucid.example/") as (process, _url):
        assert process.stderr
        first = process.stderr.readline().decode()
    assert first.startswith("sign in, once, within 10 minutes: https://lucid.example/sign-in?token=")
