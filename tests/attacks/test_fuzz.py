"""Any change to any file of a small archived session: what is returned is the recording's own, and damage is seen.

The session lies in real folders, as on a disk that has gone bad or has been visited.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from lucid_pipeline.archive.damage import DamageError
from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.archive.reader import Keys, Known, SessionReader, load_manifest
from lucid_pipeline.archive.verify import VerificationReport, verify_session
from lucid_pipeline.errors import SessionNotFound
from lucid_pipeline.stores.keystore import Keystore
from lucid_pipeline.stores.object_store import open_object_store
from tests.attacks.support import Session, archive_again, flip, three_chunks

Files = dict[str, bytes]
KEYSTORE = "keystore/"
ARCHIVE = "archive/"


@cache
def _original() -> tuple[Session, Files]:
    """A session, and all its files: those of an attempt that was given up lie beside them."""
    session = three_chunks()
    abandoned = session.copy()
    abandoned.archive.objects.clear()
    archive_again(abandoned)
    session.keystore.objects.update(abandoned.keystore.objects)
    for name, data in abandoned.archive.objects.items():
        session.archive.objects.setdefault(name, data)
    files = {f"{ARCHIVE}{name}": data for name, data in session.archive.objects.items()}
    files |= {f"{KEYSTORE}{name}": data for name, data in session.keystore.objects.items()}
    return session, files


@cache
def _referenced() -> tuple[frozenset[str], str]:
    """The files that the session consists of: those of the archive, and its key slot."""
    session, files = _original()
    names = [session.manifest_name, session.table_name, session.sealed_name, *(c.key for c in session.table.objects)]
    commitment = session.manifest.dek_commitment.hex()[:32]
    (slot,) = (name for name in files if name.startswith(KEYSTORE) and f"/{commitment}." in name)
    return frozenset(f"{ARCHIVE}{name}" for name in names), slot


@dataclass(frozen=True)
class Mutation:
    """A change to the files. What each kind uses of the rest is in `KINDS`; none fails for a file that is gone."""

    kind: str
    name: str
    other: str
    at: int
    bit: int
    extra: bytes

    def apply(self, files: Files) -> None:
        if self.name in files and self.other in files:
            KINDS[self.kind](self, files)


def _edit(change: Callable[[Mutation, bytes], bytes]) -> Callable[[Mutation, Files], None]:
    def apply(mutation: Mutation, files: Files) -> None:
        files[mutation.name] = change(mutation, files[mutation.name])

    return apply


def _swap(mutation: Mutation, files: Files) -> None:
    files[mutation.name], files[mutation.other] = files[mutation.other], files[mutation.name]


def _copy(mutation: Mutation, files: Files) -> None:
    files[mutation.name] = files[mutation.other]


def _delete(mutation: Mutation, files: Files) -> None:
    del files[mutation.name]


def _add(mutation: Mutation, files: Files) -> None:
    files[f"{mutation.name}.{mutation.extra.hex()}"] = files[mutation.name]


def _flip(mutation: Mutation, data: bytes) -> bytes:
    return flip(data, (mutation.at * 8 + mutation.bit) % (len(data) * 8)) if data else b""


KINDS: dict[str, Callable[[Mutation, Files], None]] = {
    "flip": _edit(_flip),
    "cut": _edit(lambda mutation, data: data[: mutation.at]),
    "extend": _edit(lambda mutation, data: data + mutation.extra),
    "insert": _edit(lambda mutation, data: data[: mutation.at] + mutation.extra + data[mutation.at :]),
    "zero": _edit(lambda mutation, data: data[: mutation.at] + bytes(len(data[mutation.at :]))),
    "replace": _edit(lambda mutation, _data: mutation.extra),
    "swap": _swap,
    "copy": _copy,
    "delete": _delete,
    "add": _add,
}


@st.composite
def mutations(draw: st.DrawFn) -> Mutation:
    _, files = _original()
    names = sorted(files)
    name = draw(st.sampled_from(names))
    return Mutation(
        kind=draw(st.sampled_from(sorted(KINDS))),
        name=name,
        other=draw(st.sampled_from(names)),
        at=draw(st.integers(0, len(files[name]) - 1)),
        bit=draw(st.integers(0, 7)),
        extra=draw(st.binary(min_size=1, max_size=40)),
    )


def _store(folder: Path, files: Files) -> None:
    for place in (ARCHIVE, KEYSTORE):
        (folder / place).mkdir()
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@dataclass
class _Stored:
    """The changed files as a person with all keys sees them."""

    folder: Path
    known: Known | None

    @property
    def session_id(self) -> UUID:
        return _original()[0].session_id

    def _archive(self) -> ObjectStore:
        return open_object_store((self.folder / ARCHIVE).as_uri())

    def _keys(self) -> Keys:
        return Keys([_original()[0].identity], Keystore(open_object_store((self.folder / KEYSTORE).as_uri())))

    def verify(self, *, deep: bool) -> VerificationReport:
        trusted = [_original()[0].signing_key.public]
        keys = self._keys() if deep else None
        return verify_session(self.session_id, self._archive(), trusted, workers=2, keys=keys, known=self.known)

    def reader(self) -> SessionReader:
        store = self._archive()
        signed = load_manifest(self.session_id, store, [_original()[0].signing_key.public], self.known)
        return SessionReader.open(signed.manifest, store, self._keys())


def _check(stored: _Stored, changed: frozenset[str]) -> None:
    """Hold what verification and reading say against what was really changed."""
    session, _ = _original()
    archive, slot = _referenced()
    try:
        public, deep = stored.verify(deep=False), stored.verify(deep=True)
    except SessionNotFound:
        assert stored.known is None
        assert f"{ARCHIVE}{session.manifest_name}" in changed
        return
    assert public.intact == (not changed & archive)
    assert deep.intact == (not changed & (archive | {slot}))
    for start, stop in [*session.spans(), (0, len(session.recording))]:
        at = start
        try:
            for part in stored.reader().read(start, stop):
                assert part == session.recording[at : at + len(part)]
                at += len(part)
        except DamageError:
            assert not deep.intact
        else:
            assert at == stop
    _check_copy(stored, intact=deep.intact)


def _check_copy(stored: _Stored, *, intact: bool) -> None:
    recording = _original()[0].recording
    out = bytearray(len(recording))

    def write_at(data: memoryview | bytes, offset: int) -> None:
        out[offset : offset + len(data)] = data

    try:
        stored.reader().copy_to(write_at, 2, lambda _bytes: None)
    except DamageError:
        assert not intact
    else:
        assert intact
        assert out == recording


def _run(changes: list[Mutation], known: Known | None) -> None:
    _, original = _original()
    files = dict(original)
    for change in changes:
        change.apply(files)
    changed = frozenset(name for name in original.keys() | files.keys() if original.get(name) != files.get(name))
    with TemporaryDirectory() as folder:
        _store(Path(folder), files)
        _check(_Stored(Path(folder), known), changed)


@settings(max_examples=150, deadline=None)
@given(mutations(), st.booleans())
def test_one_change_to_one_file_is_seen_if_it_matters_and_returns_no_wrong_byte(change: Mutation, knows: bool) -> None:
    _run([change], _original()[0].known if knows else None)


@settings(max_examples=60, deadline=None)
@given(st.lists(mutations(), min_size=2, max_size=6), st.booleans())
def test_any_number_of_changes_return_no_wrong_byte(changes: list[Mutation], knows: bool) -> None:
    _run(changes, _original()[0].known if knows else None)


def test_files_that_nobody_changed_are_intact() -> None:
    """The means of the other tests add no damage of their own."""
    session, files = _original()
    archive, slot = _referenced()
    assert len(archive) == 6
    assert {slot, *archive} < set(files)
    assert sha256(files[f"{ARCHIVE}{session.manifest_name}"]).digest() == session.known.envelope_sha256
    _run([], session.known)
