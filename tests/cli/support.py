"""The command line as its users have it: the installed `lucid`, in processes of its own, on homes of their own."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from lucid_pipeline.archive.chunk_table import ChunkTable, StoredObject
from lucid_pipeline.archive.layout import sealed_key
from lucid_pipeline.archive.manifest import Manifest, SignedManifest
from lucid_pipeline.archive.reader import (
    SessionReader,
    archived_sessions,
    load_chunk_table,
    load_manifest,
    load_sealed_object,
)
from lucid_pipeline.archive.sealing import SealingRequest, hash_chunks, seal_session
from lucid_pipeline.archive.session_id import parse_session_id
from lucid_pipeline.archive.signing import SigningKey
from lucid_pipeline.archive.verify import VerificationReport, verify_session
from lucid_pipeline.errors import SessionNotFound
from lucid_pipeline.home import Home
from lucid_pipeline.settings import Settings
from tests.servers.archives import OF_BUCKETS, archive_environment
from tests.servers.catalogs import copy_catalog
from tests.servers.homes import home_settings
from tests.support import export

LUCID = Path(sys.executable).with_name("lucid")

SALT = slice(40, 64)
"""Where the salt stands in a chunk object."""

Text = str | bytes | Path


@dataclass(frozen=True)
class Ended:
    """What a process left: its exit status and all that it wrote."""

    status: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def document(self) -> Any:
        """Standard output, which has to be one JSON document and nothing else."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """Standard error, which has to be one line."""
        text = self.err.decode()
        assert text.endswith("\n"), self
        assert text.count("\n") == 1, text
        return text.removesuffix("\n")


@dataclass(frozen=True)
class Lucid:
    """`lucid` on one home, in a folder of its own, with no setting but these from outside."""

    home: Path
    settings: Mapping[str, Text] = field(default_factory=dict)
    folder: Path = field(default_factory=Path)

    @property
    def environment(self) -> dict[str, Text]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return {
            **kept,
            **archive_environment(),
            "HOME": str(self.home.parent),
            "LUCID_HOME": self.home,
            **self._settings,
        }

    def having(self, **settings: Text) -> "Lucid":
        """The same with other settings; names without their prefix, in lower case."""
        given = {f"LUCID_{name.upper()}": value for name, value in settings.items()}
        return Lucid(self.home, {**self.settings, **given}, self.folder)

    def inside(self, folder: Path) -> "Lucid":
        """The same in another working directory."""
        return Lucid(self.home, self.settings, folder)

    def start(self, *arguments: Text, **options: Any) -> "subprocess.Popen[bytes]":
        """Start a command, with its output in pipes unless told otherwise."""
        usual = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "env": self.environment,
            "cwd": self.folder,
        }
        return subprocess.Popen([LUCID, *arguments], **{**usual, **options})

    def run(self, *arguments: Text, **options: Any) -> Ended:
        """Run a command to its end, whatever that is; it never tells a traceback."""
        with self.start(*arguments, **options) as process:
            out, err = process.communicate(timeout=200)
        ended = Ended(process.returncode, out or b"", err or b"")
        assert b"Traceback" not in ended.err + ended.out, ended.err.decode()
        assert b"Exception ignored" not in ended.err, ended.err.decode()
        return ended

    def ok(self, *arguments: Text, **options: Any) -> Ended:
        """Run a command that has to succeed, and has nothing to complain of."""
        ended = self.run(*arguments, **options)
        assert (ended.status, ended.err) == (0, b""), (ended.err.decode(), ended.out.decode())
        return ended

    def json(self, *arguments: Text, status: int = 0, **options: Any) -> Any:
        """The document of a command that has to end with this status."""
        ended = self.run(arguments[0], "--json", *arguments[1:], **options)
        assert ended.status == status, (ended.err.decode(), ended.out.decode())
        return ended.document

    def refused(self, *arguments: Text, status: int = 2, **options: Any) -> str:
        """The one line with which a command is refused, and nothing on standard output."""
        ended = self.run(*arguments, **options)
        assert (ended.status, ended.out) == (status, b""), ended
        line = ended.error
        assert line.startswith("error: "), line
        assert "fault in Lucid" not in line, line
        assert "(" in line or " takes " in line, f"it gives no hint: {line}"
        return line

    def archive(self, *paths: Text, meta: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Archive paths, all of which have to succeed; returns their sessions as documents."""
        given = [f"--meta={key}={value}" for key, value in (meta or {}).items()]
        document = self.json("archive", *given, "--", *paths)
        assert document["failed"] == []
        sessions: list[dict[str, Any]] = document["sessions"]
        return sessions

    def copy(self, home: Path) -> "Lucid":
        """The same on a copy of the whole home."""
        shutil.copytree(self.home, home, symlinks=True)
        copy_catalog(self.home, home)
        return Lucid(home, self.settings, self.folder)

    @property
    def opened(self) -> Home:
        """The home, for tests that look into it by the library. Settings that were given here count, others do not."""
        names = {name.removeprefix("LUCID_").lower(): value for name, value in self._settings.items()}
        return Home(Settings(_env_file=None, home=self.home, **names))  # type: ignore[call-arg, arg-type]

    @property
    def _settings(self) -> dict[str, Text]:
        stores = {f"LUCID_{name.upper()}": value for name, value in home_settings(self.home).items()}
        return {**stores, **self.settings}

    @property
    def archive_folder(self) -> Path:
        return self.home / "archive"

    @property
    def sealed(self) -> "Sealed":
        return Sealed(self.opened)


@dataclass(frozen=True)
class Sealed:
    """All sealed sessions of a home, read by the library."""

    home: Home

    def ids(self) -> list[UUID]:
        return [session_id for session_id in archived_sessions(self.home.archive()) if self._is_sealed(session_id)]

    def manifest(self, session_id: UUID | str) -> Manifest:
        return load_manifest(_uuid(session_id), self.home.archive(), self.home.trusted_keys()).manifest

    def table(self, session_id: UUID | str) -> ChunkTable:
        return load_chunk_table(self.manifest(session_id), self.home.archive())

    def reader(self, session_id: UUID | str) -> SessionReader:
        return SessionReader.open(self.manifest(session_id), self.home.archive(), self.home.keys())

    def export(self, session_id: UUID | str) -> bytes:
        return export(self.reader(session_id))

    def verify(self, session_id: UUID | str) -> VerificationReport:
        """Verify down to the plaintext."""
        home = self.home
        return verify_session(_uuid(session_id), home.archive(), home.trusted_keys(), workers=2, keys=home.keys())

    def _is_sealed(self, session_id: UUID) -> bool:
        try:
            self.manifest(session_id)
        except SessionNotFound:
            return False
        return True


def _uuid(session_id: UUID | str) -> UUID:
    return session_id if isinstance(session_id, UUID) else parse_session_id(session_id)


def seal_again(lucid: Lucid, session_id: UUID, key: SigningKey | None = None) -> SignedManifest:
    """A manifest behind the newest one, of the same objects."""
    home = lucid.opened
    signed = load_manifest(session_id, home.archive(), home.trusted_keys())
    manifest, table = signed.manifest, load_chunk_table(signed.manifest, home.archive())
    sealed = load_sealed_object(manifest, home.archive())
    request = SealingRequest(
        session_id=session_id,
        media_type=manifest.recording.media_type,
        chunk_size=manifest.recording.chunk_size,
        suite=manifest.suite,
        dek_commitment=manifest.dek_commitment,
        objects=table.objects,
        sealed=StoredObject(
            key=sealed_key(session_id, manifest.sealed_sha256), length=len(sealed), sha256=manifest.sealed_sha256
        ),
    )
    hashed = hash_chunks(request, home.archive(), 1)
    return seal_session(request, hashed, key or home.signing_key(), home.archive(), previous=signed)


def salts(archive: Path) -> list[bytes]:
    """The salts of all chunk objects in an archive, referenced or not, each file once whatever its names."""
    files = {path.stat().st_ino: path for path in archive.rglob("*") if path.is_file()}
    heads = (path.read_bytes()[: SALT.stop] for path in files.values())
    return [head[SALT] for head in heads if head.startswith(b"LUC1") and len(head) == SALT.stop]


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by their path in it."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.name not in OF_BUCKETS]
    return {os.fsdecode(path.relative_to(folder)): path.read_bytes() for path in found}


def entries(folder: Path) -> list[str]:
    """The names in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir() if path.name not in OF_BUCKETS)


def objects_like(archive: Path, pattern: str) -> list[Path]:
    """Objects whose file names match a pattern, of all sessions."""
    return sorted(archive.glob(f"sessions/*/{pattern}"))


def flip(path: Path, offset: int = -1) -> None:
    """Flip one bit of a file."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def names(documents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The names of sessions' recordings."""
    return (document["name"] for document in documents)
