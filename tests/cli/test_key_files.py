"""Key files as an operator may leave them."""

import os
from pathlib import Path

from tests.cli.support import Lucid


def test_a_recipient_that_stands_twice_is_one_recipient(lucid: Lucid, tmp_path: Path) -> None:
    recipients = lucid.home / "keys" / "recipients.txt"
    recipients.write_bytes(recipients.read_bytes() * 2)
    (tmp_path / "file").write_bytes(b"data")
    [entry] = lucid.archive("file")
    assert lucid.sealed.export(entry["session_id"]) == b"data"
    assert len(list((lucid.home / "keystore" / "keyslots" / entry["session_id"]).iterdir())) == 1


def test_a_pipe_in_place_of_a_key_file_is_told_at_once(lucid: Lucid, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("recipients_file", "signing_key_file", "trusted_keys_file"):
        line = lucid.having(**{name: tmp_path / "pipe"}).refused("archive", "file")
        assert f"{tmp_path / 'pipe'} is no regular file" in line
    assert "is no regular file" in lucid.refused("verify", "--all", "--public-key", tmp_path / "pipe")
