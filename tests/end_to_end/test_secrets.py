"""Keys, plaintext, its digest, and who was recorded: in no log, event, title, message or temporary file."""

import base64
import os
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from lucid_pipeline.archive.keyring import load_keys
from lucid_pipeline.archive.keys import Dek, Identity
from lucid_pipeline.archive.signing import SigningKey
from tests.cli.support import Ended, Lucid, entries, flip, objects_like
from tests.end_to_end.secrets_search import Secrets, forms
from tests.end_to_end.support import MIB, watch
from tests.processes import ordinary_user
from tests.servers.catalogs import IN_MONGODB
from tests.support import noise, text

MARK = b"correct horse battery staple, typed at a prompt"
META = {
    "user": "alice.wonderland",
    "host": "rabbit-hole-7",
    "protocol": "looking-glass",
    "ticket-of-the-queen": "OFF-WITH-THEIR-HEADS-42",
}
CAST = (
    b'{"version": 2, "width": 80, "height": 24, "title": "' + MARK + b'"}\n' + b'[1.5, "o", "%s\\r\\n"]\n' % MARK
) + b"".join(b'[%d, "o", "%s"]\n' % (second, MARK) for second in range(2, 4000))
RECORDINGS = {
    "tea-party-of-the-hatter.cast": CAST,
    "dormouse-in-the-teapot.bin": MARK + text(3 * MIB) + noise(MIB) + MARK,
}

KEYS = {"identity, ML-KEM seed", "identity, X25519 key", "signing key"}
PLAIN = {"plaintext"} | {f"digest of {name}" for name in RECORDINGS}
PEOPLE = {f"metadata {value}" for value in [*META.values(), "ticket-of-the-queen"]}
NAMES = {f"name {name}" for name in RECORDINGS}


@dataclass
class Story:
    """A home in which everything has been done once, and all that could be seen of it meanwhile."""

    lucid: Lucid
    secrets: Secrets
    sessions: dict[str, str]
    printed: list[Ended] = field(default_factory=list)
    command_lines: set[bytes] = field(default_factory=set)
    titles: set[bytes] = field(default_factory=set)

    @property
    def deks(self) -> set[str]:
        return {f"DEK of {name}" for name in self.sessions}

    @property
    def never(self) -> set[str]:
        """What nobody may find anywhere."""
        return KEYS | PLAIN | self.deks

    def run(self, *arguments: str | Path, status: int = 0) -> Ended:
        """Run a command, and look at its titles while it runs."""
        out, err = self.lucid.folder / "out", self.lucid.folder / "err"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = self.lucid.start(*arguments, stdout=stdout, stderr=stderr, preexec_fn=ordinary_user())
            watch(process, self._look)
        ended = Ended(process.returncode, out.read_bytes(), err.read_bytes())
        out.unlink()
        err.unlink()
        self.printed.append(ended)
        assert ended.status == status, ended
        return ended

    def _look(self, process: Path) -> None:
        self.command_lines.add((process / "cmdline").read_bytes())
        for thread in (process / "task").iterdir():
            with suppress(OSError):  # it ends just now
                self.titles.add((thread / "comm").read_bytes())


def private_keys(lucid: Lucid) -> dict[str, bytes]:
    [identity] = load_keys(lucid.home / "keys" / "identity.txt", Identity, private=True)
    [signing_key] = load_keys(lucid.home / "keys" / "signing-key.txt", SigningKey, private=True)
    return {
        "identity, ML-KEM seed": identity.raw[:64],
        "identity, X25519 key": identity.raw[64:],
        "signing key": signing_key.raw,
    }


def dek(lucid: Lucid, session_id: str) -> Dek:
    return lucid.opened.keys().unlock(lucid.sealed.manifest(session_id))


def all_secrets(lucid: Lucid, sessions: dict[str, str]) -> Secrets:
    return Secrets(
        {
            **private_keys(lucid),
            **{f"DEK of {name}": dek(lucid, session_id).secret for name, session_id in sessions.items()},
            **{f"digest of {name}": sha256(data).digest() for name, data in RECORDINGS.items()},
            **{f"metadata {value}": value.encode() for value in [*META.values(), "ticket-of-the-queen"]},
            **{f"name {name}": name.encode() for name in RECORDINGS},
            "plaintext": MARK,
        }
    )


@pytest.fixture
def story(lucid: Lucid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    """The recordings have been archived, with metadata; so that nothing hides what is read, they are not compressed."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    landing = tmp_path / "landing"
    landing.mkdir()
    for name, data in RECORDINGS.items():
        (landing / name).write_bytes(data)
    lucid = lucid.having(chunk_size="1MiB", codec="stored")
    story = Story(lucid, Secrets({}), {})
    story.run("archive", *(f"--meta={key}={value}" for key, value in META.items()), landing)
    story.sessions = {entry["name"]: entry["session_id"] for entry in lucid.json("list")}
    story.secrets = all_secrets(lucid, story.sessions)
    return story


def test_whatever_is_done_leaves_no_secret_anywhere(story: Story, tmp_path: Path) -> None:
    cast, exported = story.sessions["tea-party-of-the-hatter.cast"], tmp_path / "exported"
    story.run("list")
    story.run("show", cast, "--json")
    story.run("verify", "--all", "--deep")
    story.run("export", cast, "-o", exported)
    assert exported.read_bytes() == CAST
    exported.unlink()
    story.run("archive", "--move", tmp_path / "landing")
    assert entries(tmp_path / "landing") == []
    story.run("demo")
    story.run("rebuild-catalog")

    found = story.secrets.below(tmp_path)
    assert_only_key_files_hold_keys_and_nothing_holds_plaintext(story, found)
    assert_only_the_catalog_knows_who_was_recorded(found)
    assert_keys_and_plaintext_are_never_printed(story)
    assert_command_lines_show_no_key_and_titles_nothing(story)
    assert entries(tmp_path / "tmp") == [], "nothing stays in the folder for temporary files"


def assert_only_key_files_hold_keys_and_nothing_holds_plaintext(story: Story, found: dict[str, set[str]]) -> None:
    held = {path: names & story.never for path, names in found.items() if names & story.never}
    assert held == {
        "lucid/keys/identity.txt": {"identity, ML-KEM seed", "identity, X25519 key"},
        "lucid/keys/signing-key.txt": {"signing key"},
    }


def assert_only_the_catalog_knows_who_was_recorded(found: dict[str, set[str]]) -> None:
    catalog = "lucid/catalog.sqlite3"
    telling = {path for path, names in found.items() if names & (PEOPLE | NAMES)} - {f"{catalog}-wal"}
    if IN_MONGODB:
        assert telling == set()
    else:
        assert telling == {catalog}
        assert found[catalog] == PEOPLE | NAMES, "which is what the search is able to find"


def assert_keys_and_plaintext_are_never_printed(story: Story) -> None:
    assert story.printed
    for ended in story.printed:
        assert story.secrets.within(ended.out + ended.err) & story.never == set()


def assert_command_lines_show_no_key_and_titles_nothing(story: Story) -> None:
    """A command line has what its user has typed; titles, which everyone can see as well, have not even that."""
    assert any(b"archive" in line for line in story.command_lines), "it was looked at while it ran"
    assert any(b"lucid" in title for title in story.titles)
    for line in story.command_lines:
        assert story.secrets.within(line) & story.never == set()
    for title in story.titles:  # cut at 15 bytes
        assert not any(secret[:10] in title for secret in story.secrets.named.values())


# When it fails.


def test_no_failure_tells_a_secret(story: Story, tmp_path: Path) -> None:
    lucid = story.lucid
    keys, [session, *_] = lucid.home / "keys", story.sessions.values()
    wrong = stranger(tmp_path / "wrong.txt")
    spoil_key_file(story, keys / "identity.txt", "export", session, "-o", tmp_path / "never", most=6)
    spoil_key_file(story, keys / "signing-key.txt", "archive", wrong, most=2)
    story.lucid = lucid.having(identity_file=wrong)
    story.run("verify", session, "--deep", status=1)
    story.run("export", session, "-o", tmp_path / "never", status=1)
    story.lucid = lucid.having(chunk_size=MARK.decode())
    assert b"LUCID_CHUNK_SIZE" in story.run("list", status=2).err
    story.lucid = lucid

    (tmp_path / "landing" / "forbidden").write_bytes(CAST)
    (tmp_path / "landing" / "forbidden").chmod(0)
    story.run("archive", tmp_path / "landing", tmp_path / "no-such-file", status=1)
    for kind in ("chunks/*", "sealed.*", "chunk-table.*", "manifest.*"):
        for path in objects_like(lucid.archive_folder, kind):
            flip(path)
        story.run("verify", "--all", "--deep", status=1)
        story.run("export", session, "-o", tmp_path / "never", status=1)
    slots = list((lucid.home / "keystore").glob("keyslots/*/*"))
    for damage in (flip_a_slot, Path.unlink):
        for slot in slots:
            damage(slot)
        story.run("export", session, "-o", tmp_path / "never", status=1)

    assert len(story.printed) > 15
    for ended in story.printed:
        assert story.secrets.within(ended.out + ended.err) & story.never == set(), ended
        assert b"Traceback" not in ended.out + ended.err
        assert b"fault in Lucid" not in ended.out + ended.err
    found = story.secrets.below(lucid.home / "dagster")
    assert {
        path: names & (story.never | PEOPLE) for path, names in found.items() if names & (story.never | PEOPLE)
    } == {}


def spoil_key_file(story: Story, path: Path, *command: str | Path, most: int) -> None:
    """Ways in which a file of private keys can be of no use, and a command that needs it."""
    good = path.read_bytes()
    kind, key = good.splitlines()[-1].split()
    spoiled = [
        kind + b" " + key[:-8],  # another length
        kind + b" !" + key,  # no base64
        key,
        kind + b" " + key + b" " + key,
        kind + b"\xff " + key,
        kind + b" " + b"A" * 2_000_000 + key,
    ]
    for bad in spoiled[:most]:
        path.write_bytes(bad)
        assert str(path).encode() in story.run(*command, status=2).err
    path.write_bytes(good)
    path.chmod(0o644)
    assert str(path).encode() in story.run(*command, status=2).err
    path.chmod(0o600)


def stranger(path: Path) -> Path:
    path.write_text(f"{Identity.KIND} {base64.b64encode(Identity.generate().raw).decode()}\n")
    path.chmod(0o600)
    return path


def flip_a_slot(path: Path) -> None:
    """Within what is wrapped, so that it still is a document."""
    flip(path, path.read_bytes().index(b'"wrapped":"') + 400)


# The search itself.


def in_a_file(path: Path, data: bytes) -> None:
    path.write_bytes(os.urandom(1000) + data + os.urandom(1000))


def in_a_database(path: Path, data: bytes) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE logs (id INTEGER, event BLOB)")
        # So long that it is on several pages, with the secret where one ends.
        connection.executemany(
            "INSERT INTO logs VALUES (?, ?)",
            [(1, b"x" * length + data + b"x" * 9000) for length in range(3900, 4200, 3)],
        )
        connection.commit()


def in_a_compressed_value(path: Path, data: bytes) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE snapshots (body BLOB)")
        connection.execute("INSERT INTO snapshots VALUES (?)", (zlib.compress(b"x" * 100 + data),))
        connection.commit()


def in_a_name(path: Path, data: bytes) -> None:
    name = bytes(byte for byte in data if byte not in b"/\0")[:200]
    path.with_name(os.fsdecode(name)).touch()


@pytest.mark.parametrize("place", [in_a_file, in_a_database, in_a_compressed_value])
@pytest.mark.parametrize("number", range(11))
def test_the_search_finds_a_secret_in_every_form_and_place(
    tmp_path: Path, place: Callable[[Path, bytes], None], number: int
) -> None:
    secret = bytes(range(200, 232))
    assert len(list(forms(secret))) == 11
    place(tmp_path / "planted", list(forms(secret))[number])
    (tmp_path / "other").write_bytes(os.urandom(5000))
    secrets = Secrets({"planted": secret, "another": bytes(range(100, 132))})
    assert secrets.below(tmp_path) == {"planted": {"planted"}}


def test_the_search_looks_at_the_names_of_files(tmp_path: Path) -> None:
    in_a_name(tmp_path / "file", MARK)
    assert list(Secrets({"mark": MARK}).below(tmp_path).values()) == [{"mark"}]
