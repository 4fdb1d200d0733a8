"""Wrong usage: exit status 2, one line that says what is wrong and what to do, and nothing made anywhere."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from lucid_pipeline.archive.keyring import save_keys
from lucid_pipeline.archive.keys import Identity
from lucid_pipeline.archive.session_id import new_session_id
from tests.cli.conftest import Archived
from tests.cli.support import Lucid, entries
from tests.processes import ordinary_user
from tests.servers.archives import OF_BUCKETS, files_only
from tests.servers.catalogs import about_the_file

BAD_IDS = [
    "../../etc/passwd",
    "..",
    ".",
    "",
    "%00",
    "%2e%2e%2f",
    "x" * 10_000,
    "0190b2c4-1111-4222-8333-444455556666",  # a version 4
    "00000000-0000-0000-0000-000000000000",
    "{0190b2c4-1111-7222-8333-444455556666}",
    "0190b2c4111172228333444455556666",
    "urn:uuid:0190b2c4-1111-7222-8333-444455556666",
    "0190B2C4-1111-7222-8333-44445555666A",
    " 0190b2c4-1111-7222-8333-444455556666",
    "0190b2c4-1111-7222-8333-444455556666\n",
    "\x1b[31m",
    b"\xff\xfe",
    "' OR 1=1 --",
]


def commands(session_id: str | bytes, out: Path) -> list[list[str | bytes | Path]]:
    return [
        ["show", "--", session_id],
        ["verify", "--", session_id],
        ["export", "-o", out, "--", session_id],
    ]


@pytest.mark.parametrize("session_id", BAD_IDS, ids=lambda text: ascii(text)[:24])
def test_what_is_no_session_id_is_never_looked_for(lucid: Lucid, tmp_path: Path, session_id: str | bytes) -> None:
    assert lucid.environment, "which makes the buckets, where stores are in buckets"
    before = times(tmp_path)
    worst = session_id in BAD_IDS[:2]
    for command in commands(session_id, tmp_path / "out")[: 3 if worst else 1]:
        line = lucid.refused(*command)
        assert "is no session id (" in line
        assert len(line) < 300
        assert line.isprintable()
    assert times(tmp_path) == before


def times(folder: Path) -> dict[Path, int]:
    """When whatever is below a folder was changed."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if not OF_BUCKETS & set(path.parts)}


def test_a_session_that_does_not_exist_is_not_found(lucid: Lucid, tmp_path: Path) -> None:
    session_id = str(new_session_id())
    for command in commands(session_id, tmp_path / "out"):
        line = lucid.refused(*command)
        assert session_id in line
        assert "lucid list" in line
    assert entries(tmp_path) == ["lucid"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["archive"],
        ["show"],
        ["export", "0190b2c4-1111-7222-8333-444455556666"],
        ["no-such-command"],
        ["list", "--no-such-option"],
        ["list", "surplus"],
        ["--no-such-option"],
        ["export", "0190b2c4-1111-7222-8333-444455556666", "-o"],
    ],
    ids=" ".join,
)
def test_a_command_line_that_cannot_be_is_refused_in_one_line(lucid: Lucid, arguments: list[str]) -> None:
    assert "--help" in lucid.refused(*arguments)


def test_help_and_version_are_no_errors(lucid: Lucid) -> None:
    assert lucid.ok("--version").text.startswith("lucid ")
    for command in ("init", "demo", "archive", "list", "show", "verify", "export", "rebuild-catalog"):
        assert command in lucid.ok("--help").text
        assert "--json" in lucid.ok(command, "--help").text
    assert "Commands" in lucid.run().text + lucid.run().err.decode()


def missing(path: Path) -> None:
    path.unlink()


def open_to_others(path: Path) -> None:
    path.chmod(0o640)


def unreadable(path: Path) -> None:
    path.chmod(0o000)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir(mode=0o700)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def malformed(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"-v1 ", b"-v1 !"))


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


def of_another_kind(path: Path) -> None:
    other = "identity.txt" if path.name == "signing-key.txt" else "signing-key.txt"
    path.write_bytes(path.with_name(other).read_bytes())


def endless(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


SPOILERS = [missing, open_to_others, unreadable, a_folder, empty, malformed, cut_off, binary, of_another_kind, endless]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_an_identity_file_that_cannot_be_used_is_told_by_name(
    copied: Archived, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    identity = copied.lucid.home / "keys" / "identity.txt"
    secret = identity.read_text().split()[-1]
    spoil(identity)
    line = copied.lucid.refused("export", copied.ids["b-empty"], "-o", tmp_path / "out", preexec_fn=ordinary_user())
    assert str(identity) in line
    assert secret[:20] not in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["signing-key.txt", "recipients.txt", "trusted-keys.txt"])
@pytest.mark.parametrize("spoil", [missing, unreadable, malformed, of_another_kind])
def test_archiving_with_a_key_file_that_cannot_be_used_leaves_no_session(
    lucid: Lucid, tmp_path: Path, name: str, spoil: Callable[[Path], None]
) -> None:
    (tmp_path / "file").write_bytes(b"data")
    spoil(lucid.home / "keys" / name)
    line = lucid.refused("archive", "file", preexec_fn=ordinary_user())
    assert str(lucid.home / "keys" / name) in line
    assert lucid.json("list") == []
    assert entries(tmp_path) == ["file", "lucid"]


def test_a_private_key_that_others_can_read_is_not_used_and_the_hint_mends_it(lucid: Lucid, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    key = lucid.home / "keys" / "signing-key.txt"
    key.chmod(0o604)
    line = lucid.refused("archive", "file")
    hint = line.partition("run: ")[2].removesuffix(")")
    assert hint == f"chmod 600 {key}"
    key.chmod(stat.S_IRUSR | stat.S_IWUSR)
    lucid.archive("file")


def test_the_wrong_identity_opens_nothing(copied: Archived, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.txt"
    save_keys(stranger, [Identity.generate()], private=True, comment="another's")
    ended = copied.lucid.having(identity_file=stranger).run("export", copied.ids["b-empty"], "-o", tmp_path / "out")
    assert (ended.status, ended.out) == (1, b"")
    assert "keyslot_missing" in ended.error
    assert not (tmp_path / "out").exists()
    reports = copied.lucid.having(identity_file=stranger).json("verify", "--all", "--deep", status=1)
    assert {damage["code"] for report in reports for damage in report["damages"]} == {"keyslot_missing"}


def test_a_public_key_file_that_is_none_is_refused(lucid: Lucid, tmp_path: Path) -> None:
    for target in (tmp_path / "none", tmp_path, lucid.home / "keys" / "recipients.txt", Path("/dev/null")):
        assert str(target) in lucid.refused("verify", "--all", "--public-key", target)


@pytest.mark.parametrize(
    "closed",
    [
        ".",
        pytest.param("archive", marks=files_only),
        pytest.param("keystore", marks=files_only),
        pytest.param("catalog.sqlite3", marks=about_the_file),
        "dagster",
        "keys",
    ],
)
def test_a_home_that_this_user_may_not_use_is_told_in_one_line(copied: Archived, tmp_path: Path, closed: str) -> None:
    (tmp_path / "file").write_bytes(b"data")
    path = copied.lucid.home / closed
    mode = path.stat().st_mode
    path.chmod(0o000)
    try:
        lines = [
            copied.lucid.run(*command, preexec_fn=ordinary_user())
            for command in (["archive", "file"], ["verify", "--all"], ["list"], ["init"])
        ]
    finally:
        path.chmod(mode)
    archive = lines[0]
    assert archive.status in (1, 2)
    told = archive.error if archive.err else archive.text
    assert str(path if closed != "." else copied.lucid.home)[-20:] in told.replace("\n", "") or "ermission" in told
    for ended in lines:
        assert ended.status in (0, 1, 2)
        assert b"unexpected" not in ended.err + ended.out, ended.err.decode()
        assert ended.err.count(b"\n") <= 1
    # Nothing was lost by it, and nothing half-done is in the way.
    copied.lucid.archive("file")
    assert copied.lucid.run("verify", "--all", "--deep").status == 0


@files_only
def test_an_archive_that_cannot_be_read_is_not_an_empty_one(copied: Archived) -> None:
    sessions = copied.lucid.archive_folder / "sessions"
    sessions.chmod(0o000)
    try:
        for command in (["verify", "--all"], ["rebuild-catalog"]):
            ended = copied.lucid.run(*command, preexec_fn=ordinary_user())
            assert ended.status in (1, 2), ended
    finally:
        sessions.chmod(0o755)
