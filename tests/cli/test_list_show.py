"""`lucid list` and `lucid show`: finding sessions again."""

from pathlib import Path

import pytest

from tests.cli.conftest import META, RECORDINGS, Archived
from tests.cli.support import Lucid, names
from tests.processes import ordinary_user

DOCUMENT = {
    "session_id", "state", "registered_at", "name", "user", "host", "protocol", "started_at", "ended_at", "tags",
    "length", "duration_ms", "seal", "failure", "verified_at", "damages",
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
        (["--until", "2026-01-31 12:00:00"], []),
        (["--until", "2026-02-01"], ALL[:3]),
        (["--since", "2026-02-01", "--until", "2026-02-02"], ALL[3:]),
        (["--tag", "ticket=OPS=7"], ALL[:3]),
        (["--tag", "team=red", "--user", "bob"], ALL[3:]),
        (["--tag", "team=red", "--tag", "ticket=OPS=7"], []),
        (["--limit", "2"], ALL[:2]),
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
    [("--tag", "red"), ("--tag", "=red"), ("--state", "lost"), ("--since", "yesterday"), ("--limit", "0")],
)
def test_filters_that_cannot_be_are_refused_in_one_line(lucid: Lucid, option: str, value: str) -> None:
    line = lucid.refused("list", option, value)
    assert option in line
