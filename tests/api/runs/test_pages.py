"""The pages of runs, and of what runs made of a session, with a real Dagster."""

import re

from lucid_api.access.scopes import Scope
from tests.api.live import Live

HTML = {"Accept": "text/html"}


def shown(live: Live, path: str) -> str:
    """The text of a page."""
    answer = live.api.client.get(path, headers={**live.api.headers(*Scope), **HTML})
    assert answer.status_code == 200, answer.text
    return str(answer.text)


def test_a_run_is_listed_and_has_a_page_that_follows_its_events(live: Live) -> None:
    session_id = live.record()
    [run] = live.take_on(session_id)
    page = shown(live, f"/runs?session={session_id}")
    assert re.findall(r'<a href="/runs/([^"]*)">', page) == [run["run_id"]]
    page = shown(live, f"/runs/{run['run_id']}")
    assert '<span class="state good">success</span>' in page
    assert f'href="/sessions/{session_id}"' in page
    assert f'data-url="/api/v1/runs/{run["run_id"]}/events"' in page
    assert "Cancel it" not in page


def test_older_runs_are_a_page_further_on(live: Live) -> None:
    for _ in range(2):
        live.take_on(live.record())
    first = shown(live, "/runs?limit=1")
    [following] = re.findall(r'rel="next" href="([^"]*)"', first)
    second = shown(live, following.replace("&amp;", "&"))
    runs = [re.findall(r'<a href="/runs/([^"]*)">', page) for page in (first, second)]
    assert len(runs[0]) == len(runs[1]) == 1
    assert runs[0] != runs[1]


def test_the_lineage_names_the_run_of_each_stage_and_goes_on(live: Live) -> None:
    session_id = live.record()
    [run] = live.take_on(session_id)
    part = shown(live, f"/sessions/{session_id}/lineage")
    assert re.findall(r'<a href="/runs/([^"]*)">', part) == [run["run_id"]]
    assert 'data-summary="1 of 5 stages made"' in part
    assert "data-settled" not in part
    live.take_on(session_id)
    live.take_on(session_id)
    assert "data-settled" in shown(live, f"/sessions/{session_id}/lineage")
