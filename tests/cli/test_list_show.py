"""`lucid list` and `lucid show`: finding sessions again."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.stores.catalog import Failure, State
from tests.cli.conftest import META, RECORDINGS, Archived
from tests.cli.support import Lucid, names
from tests.processes import ordinary_user

DOCUMENT = {
    "session_id", "state", "registered_at", "name", "user", "host", "protocol", "started_at", "ended_at", "tags",
    "length", "duration_ms", "seal", "failure", "duplicate_of", "verified_at", "damages",
}  # fmt: skip
ALL = ["d-text.log", "b-empty", "a-cast.cast", "c-noise.bin"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], ALL),
        (["--user", "alice"], ALL[:3]),
        (["--user", "Alice"], []),
        (["--host", "web-1"], ALL),
        (["--host", "web"], []),
        (["--state", "sealed"], ALL),
        (["--state", "registered"], []),
        (["--since", "2026-01-31T12:00:00"], ALL),
        (["--since", "2026-01-31T12:00:01"], ALL[3:]),
        (["--since", "2026-01-31T12:00:00Z"], ALL),
        (["--since", "2026-01-31T12:00:00.000001Z"], ALL[3:]),
        (["--since", "2026-01-31T13:00:00+01:00"], ALL),
        (["--since", "2026-01-31t12:00:00-00:01"], ALL[3:]),
        (["--until", "2026-01-31T12:00:00Z"], []),
        (["--until", "2026-01-31T14:00:01+02:00"], ALL[:3]),
        (["--until", "2026-01-31 12:00:00"], []),
        (["--until", "2026-02-01"], ALL[:3]),
        (["--since", "2026-02-01", "--until", "2026-02-02"], ALL[3:]),
        (["--tag", "ticket=OPS=7"], ALL[:3]),
        (["--tag", "team=red", "--user", "bob"], ALL[3:]),
        (["--tag", "team=red", "--tag", "ticket=OPS=7"], []),
        (["--limit", "2"], ALL[:2]),
        (["--limit", str(2**63 - 2)], ALL),
        (["--user", "alice' OR '1'='1"], []),
    ],
)
def test_filters_narrow_the_list_newest_first(archived: Archived, filters: list[str], expected: list[str]) -> None:
    assert list(names(archived.lucid.json("list", *filters))) == expected


def test_the_list_of_an_empty_home_is_empty(lucid: Lucid) -> None:
    assert lucid.json("list") == []
    assert "session" in lucid.ok("list").text


def test_a_document_of_a_session_has_all_that_is_known(archived: Archived) -> None:
    listed = archived.lucid.json("list")
    for entry in listed:
        assert set(entry) == DOCUMENT
        assert archived.lucid.json("show", entry["session_id"]) == entry
    shown = next(entry for entry in listed if entry["name"] == "a-cast.cast")
    assert {name: shown[name] for name in META if name != "ticket"} == {k: v for k, v in META.items() if k != "ticket"}
    assert shown["duration_ms"] == 99_900
    assert (shown["failure"], shown["damages"]) == (None, [])


def test_a_session_is_found_by_the_state_that_the_list_shows(copied: Archived) -> None:
    states = [*State, "waiting", "failed", "quarantined", "damaged"]
    with copied.lucid.opened.catalog() as catalog:
        catalog.record_verification(UUID(copied.ids["b-empty"]), ["missing_object"], "2026-01-31T12:00:00Z")
        record = catalog.get(UUID(copied.ids["d-text.log"]))
        catalog.restore(replace(record, session_id=new_session_id(), state=State.RECORDED, seal=None, name="waiting"))
        failed = replace(record, session_id=new_session_id(), state=State.CHUNKED, seal=None, name="failed")
        catalog.restore(replace(failed, failure=Failure("encrypted_chunks", "it went wrong", permanent=False)))
        again = Failure("chunks", "the disk is full", permanent=False, retry_at=datetime(2026, 2, 1, tzinfo=UTC))
        catalog.restore(replace(failed, session_id=new_session_id(), name="due again", failure=again))
    found = {state: set(names(copied.lucid.json("list", "--state", state))) for state in states}
    assert {state: which for state, which in found.items() if which} == {
        "recorded": {"waiting"},
        "waiting": {"waiting"},
        "sealed": {"a-cast.cast", "c-noise.bin", "d-text.log"},
        "failed": {"failed", "due again"},
        "quarantined": {"failed"},
        "damaged": {"b-empty"},
    }


@pytest.mark.parametrize("shown", [(), ("--json",)])
def test_a_list_that_is_cut_off_says_so(archived: Archived, shown: tuple[str, ...]) -> None:
    line = archived.lucid.run("list", "--limit", "3", *shown).error
    assert "newest 3" in line
    assert "--limit" in line
    archived.lucid.ok("list", "--limit", "4", *shown)


def test_a_home_that_nobody_can_write_to_is_listed_shown_and_exported(copied: Archived, tmp_path: Path) -> None:
    lucid, session_id = copied.lucid, copied.ids["a-cast.cast"]
    closed = [path for path in (lucid.home, *lucid.home.rglob("*")) if not path.is_symlink()]
    modes = {path: path.stat().st_mode for path in closed}
    for path, mode in modes.items():
        path.chmod(mode & 0o555)
    try:
        listed = lucid.ok("list", "--json", preexec_fn=ordinary_user()).document
        shown = lucid.ok("show", session_id, "--json", preexec_fn=ordinary_user()).document
        lucid.ok("export", session_id, "-o", tmp_path / "out", preexec_fn=ordinary_user())
    finally:
        for path, mode in modes.items():
            path.chmod(mode)
    assert list(names(listed)) == ALL
    assert shown in listed
    assert (tmp_path / "out").read_bytes() == RECORDINGS["a-cast.cast"]


def test_a_person_sees_one_line_a_session_and_ids_in_one_piece(archived: Archived) -> None:
    lines = archived.lucid.ok("list").text.splitlines()
    for name, session_id in archived.ids.items():
        [line] = [line for line in lines if session_id in line]
        assert name in line
        assert "sealed" in line


def test_a_person_is_shown_the_root_the_signer_and_the_sizes(archived: Archived) -> None:
    session_id = archived.ids["c-noise.bin"]
    text = archived.lucid.ok("show", session_id).text
    seal = archived.lucid.json("show", session_id)["seal"]
    for part in (session_id, seal["root"], seal["signed_by"], "2.4 MiB", "3 chunks", "bob", "team=red"):
        assert part in text


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--tag", "red"),
        ("--tag", "=red"),
        ("--state", "lost"),
        ("--since", "yesterday"),
        ("--since", ""),
        ("--since", "2026-02-30"),
        ("--since", "20260131"),
        ("--since", "2026-W05-6"),
        ("--until", "2026-01-31T12:00:00+25:00"),
        ("--until", "2026-01-31T25:00:00Z"),
        ("--limit", "0"),
        ("--limit", str(2**63)),
        ("--limit", "9" * 100),
    ],
)
def test_filters_that_cannot_be_are_refused_in_one_line(lucid: Lucid, option: str, value: str) -> None:
    line = lucid.refused("list", option, value)
    assert option in line
