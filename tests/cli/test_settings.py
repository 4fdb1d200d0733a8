"""Settings: each does what it says, and a bad one is named in one line."""

from pathlib import Path

import pytest

from lucid_pipeline.archive.codec import FRAME_HEADER, Codec
from lucid_pipeline.archive.encryption import plaintext_length
from tests.cli.support import Lucid, entries
from tests.processes import ordinary_user
from tests.servers.archives import files_only
from tests.servers.catalogs import about_the_file
from tests.support import text

MIB = 2**20


def codecs(lucid: Lucid, session_id: str) -> set[Codec]:
    """The codecs of a session's chunks, from their frames."""
    reader, home = lucid.sealed.reader(session_id), lucid.opened
    decrypt, found = reader.decryptor(), set()
    for chunk in reader.table.objects:
        raw = decrypt(chunk, home.archive().get(chunk.key, chunk.length))
        stored = plaintext_length(chunk.length) or 0
        found.add(Codec.STORED if stored >= FRAME_HEADER.size + len(raw) else Codec.ZSTD)
    return found


def test_a_dotenv_file_sets_what_the_environment_does_not(lucid: Lucid, tmp_path: Path) -> None:
    lines = ["chunk_size=1MiB", "codec=lz4", "suite=chacha20-poly1305", "workers=1"]
    (tmp_path / ".env").write_text("".join(f"LUCID_{line}\n" for line in lines))
    (tmp_path / "file").write_bytes(text(2 * MIB + 1))
    [entry] = lucid.archive("file")
    stream = lucid.sealed.manifest(entry["session_id"]).recording
    assert (stream.chunk_size, stream.chunk_count) == (MIB, 3)
    assert entry["seal"]["suite"] == "AEAD_CHACHA20_POLY1305"
    lz4 = stream.stored_bytes
    (tmp_path / "file").touch()
    over = lucid.having(chunk_size="16777216", codec="stored", suite="aes-256-gcm", workers="64")
    [entry] = over.archive("file")
    stream = lucid.sealed.manifest(entry["session_id"]).recording
    assert (stream.chunk_size, stream.chunk_count) == (16 * MIB, 1)
    assert entry["seal"]["suite"] == "AEAD_AES_256_GCM"
    assert stream.stored_bytes > 2 * MIB > lz4
    assert codecs(lucid, entry["session_id"]) == {Codec.STORED}
    assert all(lucid.sealed.verify(session_id).intact for session_id in lucid.sealed.ids())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("chunk_size", "3MiB"),
        ("chunk_size", "-1"),
        ("chunk_size", "huge"),
        ("codec", "gzip"),
        ("suite", "AES"),
        ("workers", "0"),
        ("workers", "many"),
        ("workers", "65"),
        ("keep_landing", "perhaps"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_variable(lucid: Lucid, name: str, value: str) -> None:
    variable = f"LUCID_{name.upper()}"
    for command in (["list"], ["archive", "/etc/hostname"]):
        line = lucid.having(**{name: value}).refused(*command)
        assert line.startswith(f"error: {variable}: ")
        assert value not in line or len(value) < 3
    assert lucid.json("list") == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("archive_url", "ftp://somewhere/else"),
        ("archive_url", "/just/a/path"),
        ("archive_url", "s3://"),
        ("archive_url", "https://user:hunter2@host/bucket"),
        ("keystore_url", "nonsense"),
        ("catalog_url", "sqlite://catalog"),
        ("catalog_url", "mongodb://user:hunter2@host:x/db"),
        ("catalog_url", "mongodb://user:hunter2"),
        ("catalog_url", "sqlite:////dev/null/catalog"),
    ],
)
def test_a_url_of_no_place_is_refused_without_its_password(lucid: Lucid, tmp_path: Path, name: str, value: str) -> None:
    (tmp_path / "file").write_bytes(b"data")
    line = lucid.having(**{name: value}).refused("archive", "file")
    assert "hunter2" not in line
    assert entries(tmp_path) == ["file", "lucid"]


@about_the_file
def test_empty_values_are_as_none(lucid: Lucid) -> None:
    empty = lucid.having(chunk_size="", archive_url="", catalog_url="", identity_file="")
    assert empty.json("list") == []
    assert empty.json("init")["created"] == []


def test_without_a_home_it_is_below_the_working_directory(tmp_path: Path) -> None:
    lucid = Lucid(tmp_path / "unused", {"LUCID_HOME": ""}, tmp_path)
    assert lucid.json("init")["home"] == str(tmp_path / ".lucid")
    assert entries(tmp_path) == [".lucid"]


def test_a_dotenv_file_that_cannot_be_read_is_told_in_one_line(lucid: Lucid, tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(b"LUCID_WORKERS=1 # \xff\xfe\n")
    assert ".env" in lucid.refused("list")
    dotenv.write_bytes(b"LUCID_WORKERS=1\n")
    dotenv.chmod(0o000)
    assert ".env" in lucid.refused("list", preexec_fn=ordinary_user())
    dotenv.chmod(0o600)
    dotenv.write_bytes(b"LUCID_WORKERS=none\n")
    assert "LUCID_WORKERS" in lucid.refused("list")


@files_only
def test_keys_catalog_archive_and_keystore_may_lie_anywhere(lucid: Lucid, tmp_path: Path) -> None:
    (lucid.home / "keys").rename(tmp_path / "elsewhere")
    moved = lucid.having(
        archive_url=(tmp_path / "a rch%ive#1").as_uri(),
        keystore_url=(tmp_path / "slots").as_uri(),
        catalog_url=f"sqlite:///{tmp_path}/c at%41?.db",
        recipients_file="elsewhere/recipients.txt",
        identity_file=tmp_path / "elsewhere/identity.txt",
        signing_key_file="elsewhere/signing-key.txt",
        trusted_keys_file="elsewhere/trusted-keys.txt",
    )
    (tmp_path / "file").write_bytes(b"data")
    for place in ("archive", "keystore"):
        (lucid.home / place).rmdir()
    assert moved.json("init")["created"] == []
    [entry] = moved.archive("file")
    assert moved.ok("export", entry["session_id"], "-o", "-").out == b"data"
    assert (tmp_path / "a rch%ive#1" / "sessions" / entry["session_id"]).is_dir()
    assert (tmp_path / "slots" / "keyslots" / entry["session_id"]).is_dir()
    assert (tmp_path / "c at%41?.db").is_file()
    assert not (lucid.home / "archive").exists()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LUCID_KEYSTOR_URL", "LUCID_KEYSTORE_URL"),
        ("LUCID_ARCHIV_URL", "LUCID_ARCHIVE_URL"),
        ("lucid_signing_key", "LUCID_SIGNING_KEY_FILE"),
        ("LUCID_ZZZ", "README"),
    ],
)
def test_a_setting_that_is_none_is_refused_with_the_one_that_was_meant(
    lucid: Lucid, tmp_path: Path, name: str, meant: str
) -> None:
    told = f"error: there is no setting {name.upper()} "
    line = Lucid(lucid.home, {name: "hunter2"}, tmp_path).refused("list")
    assert line.startswith(told)
    assert meant in line
    (tmp_path / ".env").write_text(f"{name}=hunter2\n")
    line = lucid.refused("list")
    assert line.startswith(told)
    assert "hunter2" not in line


def test_variables_of_others_and_of_parts_to_come_are_no_mistake(lucid: Lucid, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OTHER=1\nLUCIDITY=1\nLUCID_TEST_X=1\nAWS_REGION=x\n")
    others = lucid.having(dagster_url="http://x", api_port="8087", vectors_dir="/x", recordings_dir="/x", test_y="1")
    assert others.json("list") == []


def test_a_tilde_is_the_home_folder_of_the_user(lucid: Lucid, tmp_path: Path) -> None:
    there = Lucid(lucid.home, {"HOME": tmp_path, "LUCID_HOME": "~/there", "LUCID_LANDING_DIR": "~/in"}, tmp_path)
    document = there.json("init")
    assert (document["home"], document["landing"]) == (str(tmp_path / "there"), str(tmp_path / "in"))
    assert entries(tmp_path) == ["in", "lucid", "there"]
    assert "LUCID_HOME" in Lucid(lucid.home, {"LUCID_HOME": "~no-such-user/x"}, tmp_path).refused("list")


@files_only
@pytest.mark.parametrize("place", [".", "archive", "archive/in", "keystore", "keystore/in/deep", "link"])
def test_recordings_land_neither_in_the_home_itself_nor_in_a_store(lucid: Lucid, place: str) -> None:
    (lucid.home / "link").symlink_to("archive")
    for command in ("init", "list"):
        assert "LUCID_LANDING_DIR" in lucid.having(landing_dir=lucid.home / place).refused(command)
    assert lucid.having(landing_dir=lucid.home / "elsewhere").json("init")["created"] == []
