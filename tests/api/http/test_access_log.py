"""One line for each request, and none for whoever asks every few seconds whether the service lives."""

import json
import logging
from typing import Any

import pytest

from lucid_api.access.scopes import Scope
from lucid_api.http.access_log import LOGGER
from tests.api.support import PREFIX, Api


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(record.message) for record in caplog.records if record.name == LOGGER]


def test_a_request_is_a_line_without_its_query(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        answer = api.get("/runs?request=0123456789abcdef", Scope.SESSIONS_READ)
    [line] = lines(caplog)
    assert (line["method"], line["path"], line["status"]) == ("GET", f"{PREFIX}/runs", 503)
    assert line["request_id"] == answer.headers["X-Request-ID"]
    assert line["subject"].startswith("key:")
    assert (line["bytes"], line["complete"]) == (len(answer.content), True)
    assert "0123456789abcdef" not in json.dumps(line)


def test_that_the_service_lives_is_no_news(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        api.client.get("/health/live")
        api.client.get("/health/live?x=1")
        api.client.get("/health")
    assert [(line["path"], line["status"]) for line in lines(caplog)] == [("/health/live", 422), ("/health", 200)]
