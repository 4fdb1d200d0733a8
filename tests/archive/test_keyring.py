"""Keyring files."""

import base64
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from lucid_pipeline.archive.keyring import load_keys, save_keys
from lucid_pipeline.archive.keys import Identity, Recipient
from lucid_pipeline.archive.signing import PublicKey, SigningKey
from lucid_pipeline.errors import UsageError

SIGNING = [SigningKey(bytes([n]) * 32) for n in range(3)]
IDENTITY = Identity(bytes(range(96)))


def line(kind: str, raw: bytes) -> str:
    return f"{kind} {base64.b64encode(raw).decode()}\n"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_saved_keys_are_loaded_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "signing-key.txt"
    assert save_keys(path, SIGNING, private=True, comment="signs manifests")
    assert [key.raw for key in load_keys(path, SigningKey, private=True)] == [key.raw for key in SIGNING]


def test_a_key_that_stands_twice_is_one_key(tmp_path: Path) -> None:
    path = tmp_path / "signing-key.txt"
    save_keys(path, [SIGNING[1], SIGNING[0], SIGNING[1], SIGNING[2], SIGNING[0]], private=True, comment="")
    assert [key.raw for key in load_keys(path, SigningKey, private=True)] == [SIGNING[n].raw for n in (1, 0, 2)]


def test_private_keys_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        save_keys(tmp_path / "keys" / "private.txt", SIGNING, private=True, comment="")
        save_keys(tmp_path / "keys" / "public.txt", [SIGNING[0].public], private=False, comment="")
    finally:
        os.umask(before)
    assert mode(tmp_path / "keys" / "private.txt") == 0o600
    assert mode(tmp_path / "keys" / "public.txt") == 0o644
    assert mode(tmp_path / "keys") == 0o700


def test_a_private_key_is_never_on_disk_with_a_looser_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []
    link = os.link

    def spy(source: Path, target: Path) -> None:
        modes.append(mode(source))
        link(source, target)

    monkeypatch.setattr(os, "link", spy)
    save_keys(tmp_path / "private.txt", SIGNING, private=True, comment="")
    assert modes == [0o600]


@pytest.mark.parametrize("open_to", [0o640, 0o604, 0o620, 0o610, 0o644, 0o666, 0o777])
def test_a_private_key_that_others_may_reach_is_refused(open_to: int, tmp_path: Path) -> None:
    path = tmp_path / "private.txt"
    save_keys(path, SIGNING, private=True, comment="")
    path.chmod(open_to)
    with pytest.raises(UsageError, match="can be read by others") as refused:
        load_keys(path, SigningKey, private=True)
    assert refused.value.hint == f"run: chmod 600 {path}"


def test_a_public_key_may_be_open_to_all(tmp_path: Path) -> None:
    path = tmp_path / "public.txt"
    save_keys(path, [SIGNING[0].public], private=False, comment="")
    path.chmod(0o666)
    assert [key.id for key in load_keys(path, PublicKey)] == [SIGNING[0].public.id]


def test_an_existing_keyring_is_never_touched(tmp_path: Path) -> None:
    path = tmp_path / "private.txt"
    assert save_keys(path, SIGNING[:1], private=True, comment="the first")
    before = path.read_bytes()
    assert not save_keys(path, SIGNING[1:], private=True, comment="the second")
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["private.txt"]


def test_what_an_interrupted_attempt_left_behind_is_in_nobodys_way(tmp_path: Path) -> None:
    """In a container every process that makes the keys has the same process id."""
    path = tmp_path / "private.txt"
    left = path.with_name(f"private.txt.{os.getpid()}.partial")
    left.write_text("half a k")
    assert save_keys(path, SIGNING, private=True, comment="")
    assert len(load_keys(path, SigningKey, private=True)) == 3
    assert {entry.name for entry in tmp_path.iterdir()} == {"private.txt", left.name}


def test_a_keyring_may_have_comments_blank_lines_and_other_kinds(tmp_path: Path) -> None:
    path = tmp_path / "mixed.txt"
    path.write_text(
        "# a comment with ümlauts\n\n   \n"
        + line(SigningKey.KIND, SIGNING[0].raw)
        + line(Recipient.KIND, IDENTITY.recipient.raw).replace("\n", "\r\n")
        + line("lucid-of-the-future-v9", b"?")
        + line(PublicKey.KIND, SIGNING[0].public.raw).rstrip("\n")
    )
    path.chmod(0o600)
    assert [key.raw for key in load_keys(path, SigningKey, private=True)] == [SIGNING[0].raw]
    assert [key.id for key in load_keys(path, Recipient)] == [IDENTITY.recipient.id]
    assert [key.id for key in load_keys(path, PublicKey)] == [SIGNING[0].public.id]


@pytest.mark.parametrize(
    "content",
    [
        "lucid-signing-key-v1",
        "lucid-signing-key-v1 AAAA",
        "lucid-signing-key-v1 " + "A" * 42,
        "lucid-signing-key-v1 !" + "A" * 43,
        "lucid-signing-key-v1 one two",
        "just some words here",
        "-----BEGIN PRIVATE KEY-----",
        "lucid-signing-key-v1 \xff\xfe",
        "\x00\x00\x00\x00",
    ],
)
def test_a_malformed_line_is_named_and_not_shown(content: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.txt"
    path.write_bytes(line(SigningKey.KIND, SIGNING[0].raw).encode() + content.encode("latin-1"))
    path.chmod(0o600)
    with pytest.raises(UsageError, match="line 2 of the key file") as refused:
        load_keys(path, SigningKey, private=True)
    assert content not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


@pytest.mark.parametrize("content", ["", "# nothing but a comment\n", line(PublicKey.KIND, SIGNING[0].public.raw)])
def test_a_keyring_without_the_kind_that_is_needed_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(UsageError, match="holds no lucid-identity-v1"):
        load_keys(path, Identity, private=True)


def test_a_missing_keyring_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file") as refused:
        load_keys(tmp_path / "missing.txt", Identity, private=True)
    assert refused.value.hint is not None
    assert "lucid init" in refused.value.hint


def test_a_folder_is_no_keyring(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Is a directory"):
        load_keys(tmp_path, PublicKey)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_no_keyring(make: Callable[[Path], None], tmp_path: Path) -> None:
    """Reading a pipe would wait for a writer, and some devices never end."""
    make(tmp_path / "odd")
    with pytest.raises(UsageError, match="no regular file"):
        load_keys(tmp_path / "odd", PublicKey)


def test_a_file_with_all_kinds_of_key_is_plain_text(tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    save_keys(path, [IDENTITY, IDENTITY.recipient, SIGNING[0], SIGNING[0].public], private=True, comment="all of them")
    kinds = [text.split()[0] for text in path.read_text("ascii").splitlines()]
    assert kinds == ["#", "lucid-identity-v1", "lucid-recipient-v1", "lucid-signing-key-v1", "lucid-public-key-v1"]
    assert path.read_text().startswith("# all of them\n")
