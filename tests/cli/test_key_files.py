"""Key files as an operator may leave them."""

from pathlib import Path

from tests.cli.support import Lucid


def test_a_recipient_that_stands_twice_is_one_recipient(lucid: Lucid, tmp_path: Path) -> None:
    recipients = lucid.home / "keys" / "recipients.txt"
    recipients.write_bytes(recipients.read_bytes() * 2)
    (tmp_path / "file").write_bytes(b"data")
    [entry] = lucid.archive("file")
    assert lucid.sealed.export(entry["session_id"]) == b"data"
    assert len(list((lucid.home / "keystore" / "keyslots" / entry["session_id"]).iterdir())) == 1
