"""Promise 1: nothing is deleted before its replacement has been read back and verified."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from dagster import Definitions, ExecuteInProcessResult, RunConfig

from lucid_pipeline.archive.damage import DamageCode
from lucid_pipeline.archive.layout import manifest_key
from lucid_pipeline.archive.recording import RecordingFile
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.course.stages import ENCRYPTED_CHUNKS, LINEAGE
from lucid_pipeline.errors import PermanentError, TransientError
from lucid_pipeline.intake.registration import register
from lucid_pipeline.recorder.clean_up import (
    REMOVE_RECORDINGS,
    TRY_AGAIN_AFTER,
    RemoveRecordings,
    clean_up,
    due_removals,
    remove_recording,
)
from lucid_pipeline.recorder.definitions import ASSETS
from lucid_pipeline.resources.opened import recorder_resources
from lucid_pipeline.stores.catalog import Catalog, SessionRecord, State
from lucid_pipeline.stores.verification import Verifier
from tests.lineage.support import CAST, Stages, failure_of, home_in
from tests.support import text


def run_clean_up(stages: Stages, *session_ids: UUID | str, **held: object) -> ExecuteInProcessResult:
    """Run the job as its own code location does."""
    resources = {**recorder_resources(stages.home), **held}
    definitions = Definitions(assets=ASSETS, jobs=[clean_up], resources=resources)
    config = RemoveRecordings(session_ids=[str(session_id) for session_id in session_ids])
    quiet = {"console": {"config": {"log_level": "CRITICAL"}}}
    return definitions.resolve_job_def(clean_up.name).execute_in_process(
        run_config=RunConfig(ops={REMOVE_RECORDINGS: config}, loggers=quiet), raise_on_error=False
    )


@pytest.fixture
def sealed(stages: Stages) -> UUID:
    """A sealed session of several chunks, whose recording is to be removed."""
    session_id = stages.land(CAST * 90, release=True)
    stages.archive(session_id)
    return session_id


def refusal(stages: Stages, session_id: UUID, **held: object) -> str:
    """Why a recording stays; it does, and the catalog still knows where."""
    path, data = stages.path(session_id), stages.path(session_id).read_bytes()
    description, reasons = failure_of(run_clean_up(stages, session_id, **held))
    assert description == "1 of 1 recordings stay"
    assert path.read_bytes() == data
    assert stages.path(session_id) == path
    return str(reasons[str(session_id)])


# It goes.


def test_the_recording_of_a_sealed_session_is_removed(stages: Stages, sealed: UUID) -> None:
    path = stages.path(sealed)
    assert run_clean_up(stages, sealed).success
    assert not path.exists()
    record = stages.record(sealed)
    assert record.source is None
    assert record.verified_at
    assert record.damages == ()
    assert stages.export(sealed) == CAST * 90


def test_doing_it_again_changes_nothing(stages: Stages, sealed: UUID) -> None:
    assert run_clean_up(stages, sealed).success
    record, objects = stages.record(sealed), stages.objects()
    assert run_clean_up(stages, sealed).success
    assert (stages.record(sealed), stages.objects()) == (record, objects)


def test_a_recording_that_is_gone_already_is_forgotten(stages: Stages, sealed: UUID) -> None:
    stages.path(sealed).unlink()
    assert run_clean_up(stages, sealed).success
    assert stages.record(sealed).source is None


def test_only_what_was_registered_to_be_removed_is(stages: Stages) -> None:
    session_id = stages.land(CAST)
    stages.archive(session_id)
    assert run_clean_up(stages, session_id).success
    assert stages.path(session_id).read_bytes() == CAST


def test_what_stays_keeps_nothing_else(stages: Stages, sealed: UUID) -> None:
    unsealed = stages.land(text(1000), release=True)
    other = stages.land(text(1000, seed=1), release=True)
    stages.archive(other)
    stranger = new_session_id()
    gone = [stages.path(session_id) for session_id in (sealed, other)]

    wanted = ["../../etc/passwd", unsealed, sealed, stranger, other]
    description, reasons = failure_of(run_clean_up(stages, *wanted))

    assert description == "3 of 5 recordings stay"
    assert reasons.keys() == {"../../etc/passwd", str(unsealed), str(stranger)}
    assert "no session id" in reasons["../../etc/passwd"]
    assert "not sealed" in reasons[str(unsealed)]
    assert "no session" in reasons[str(stranger)]
    assert stages.path(unsealed).exists()
    assert not any(path.exists() for path in gone)


# It stays.


@pytest.mark.parametrize("done", range(len(LINEAGE)), ids=["nothing", *LINEAGE[:-1]])
def test_a_session_that_is_not_sealed_keeps_its_recording(done: int, stages: Stages) -> None:
    session_id = stages.land(CAST, release=True)
    for stage in LINEAGE[:done]:
        assert stages.call(stage, session_id) is None
    assert "is not sealed, so its recording stays" in refusal(stages, session_id)


def test_a_manifest_that_the_catalog_does_not_know_seals_nothing(stages: Stages) -> None:
    """It may be another's: only what has been read back and noted counts."""
    session_id = stages.land(CAST, release=True)
    stages.object_path(manifest_key(session_id, 1)).parent.mkdir(parents=True)
    stages.object_path(manifest_key(session_id, 1)).write_bytes(b"{}")
    assert "is not sealed" in refusal(stages, session_id)


def flip_last_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGE = [
    ("chunks/00000002.*", Path.unlink, DamageCode.MISSING_OBJECT),
    ("chunks/00000002.*", flip_last_byte, DamageCode.OBJECT_DIGEST_MISMATCH),
    ("chunks/00000000.*", empty, DamageCode.OBJECT_DIGEST_MISMATCH),
    ("sealed.*", Path.unlink, DamageCode.MISSING_OBJECT),
    ("sealed.*", flip_last_byte, DamageCode.SEALED_MISMATCH),
    ("chunk-table.*", Path.unlink, DamageCode.MISSING_OBJECT),
    ("chunk-table.*", flip_last_byte, DamageCode.CHUNK_TABLE_MISMATCH),
    ("manifest.*", Path.unlink, DamageCode.MISSING_OBJECT),
    ("manifest.*", flip_last_byte, DamageCode.MANIFEST_MALFORMED),
]


@pytest.mark.parametrize(("which", "spoil", "code"), DAMAGE)
def test_a_damaged_archive_keeps_the_recording(
    which: str, spoil: Callable[[Path], object], code: DamageCode, stages: Stages, sealed: UUID
) -> None:
    [path] = stages.object_path(f"sessions/{sealed}").glob(which)
    spoil(path)
    assert f"is damaged ({code} in " in refusal(stages, sealed)
    record = stages.record(sealed)
    assert record.damages == (code,)
    assert record.verified_at


def test_damage_that_only_a_key_shows_keeps_the_recording_where_there_is_none(stages: Stages, sealed: UUID) -> None:
    """The recorder of the three locations cannot decrypt; that it sees nothing wrong does not unsay what was seen."""
    stages.catalog.record_verification(sealed, [DamageCode.PLAINTEXT_DIGEST_MISMATCH], "2026-01-31T12:00:00Z")
    assert "plaintext_digest_mismatch" in refusal(stages, sealed)
    assert stages.record(sealed).damages == (DamageCode.PLAINTEXT_DIGEST_MISMATCH,)
    remove_recording(sealed, stages.catalog, watched(stages, lambda _key: None))
    assert stages.record(sealed).damages == ()
    assert stages.record(sealed).source is None


def test_an_archive_that_is_gone_keeps_the_recording(stages: Stages, sealed: UUID) -> None:
    data = stages.path(sealed).read_bytes()
    (stages.home.settings.home / "archive").rename(stages.home.settings.home / "elsewhere")
    assert not run_clean_up(stages, sealed).success
    assert stages.path(sealed).read_bytes() == data
    (stages.home.settings.home / "archive").mkdir()
    assert DamageCode.MISSING_OBJECT in refusal(stages, sealed)


def test_a_manifest_by_a_key_that_is_not_trusted_keeps_the_recording(stages: Stages, sealed: UUID) -> None:
    other = home_in(stages.home.settings.home.parent / "other")
    other.create()
    assert DamageCode.UNKNOWN_SIGNER in refusal(stages, sealed, trusted_keys=other.trusted_keys())


def test_another_manifest_than_the_catalog_knows_keeps_the_recording(stages: Stages, sealed: UUID) -> None:
    """Signed as it should be, but another: the archive has been turned back, or forked."""
    record = stages.record(sealed)
    assert record.seal
    stages.catalog.restore(replace(record, seal=replace(record.seal, envelope_sha256=bytes(32))))
    assert DamageCode.OBJECT_DIGEST_MISMATCH in refusal(stages, sealed)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def overwrite_within_the_same_second(path: Path) -> None:
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace_by_a_copy(path: Path) -> None:
    copy = path.with_suffix(".copy")
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    copy.replace(path)


@pytest.mark.parametrize("change", [append, overwrite_within_the_same_second, replace_by_a_copy])
def test_a_file_that_is_not_what_was_archived_stays(
    change: Callable[[Path], None], stages: Stages, sealed: UUID
) -> None:
    change(stages.path(sealed))
    assert "has changed since it was archived" in refusal(stages, sealed)


def test_keep_landing_keeps_everything(stages: Stages, sealed: UUID) -> None:
    settings = stages.home.settings.model_copy(update={"keep_landing": True})
    description, reasons = failure_of(run_clean_up(stages, sealed, settings=settings))
    assert description == "LUCID_KEEP_LANDING is set: no recording is removed"
    assert reasons == {}
    assert stages.path(sealed).exists()


def test_a_file_that_cannot_be_removed_is_still_known(
    stages: Stages, sealed: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "rename", refuse)
    assert "cannot remove" in refusal(stages, sealed)


# In which order.


def watched(stages: Stages, reading: Callable[[str], object]) -> Verifier:
    """A verifier over an archive that calls `reading` before each object is read."""
    store = stages.home.archive()
    get = store.get

    def watched_get(key: str, limit: int) -> memoryview:
        reading(key)
        return get(key, limit)

    store.get = watched_get
    return Verifier(store, stages.home.trusted_keys(), 1, stages.home.keys())


def test_every_object_is_read_back_while_the_recording_is_still_there(stages: Stages, sealed: UUID) -> None:
    path, seen = stages.path(sealed), set()

    def reading(key: str) -> None:
        assert path.exists()
        seen.add(key)

    remove_recording(sealed, stages.catalog, watched(stages, reading))
    assert not path.exists()
    assert seen == set(stages.objects())


@pytest.mark.parametrize(
    "error", [TransientError("the store went away"), PermanentError("or worse"), OSError(5, "I/O")]
)
def test_a_verification_that_fails_late_removes_nothing(error: Exception, stages: Stages, sealed: UUID) -> None:
    """All but the last object have been found whole by then."""
    path = stages.path(sealed)
    before = stages.record(sealed)

    def reading(key: str) -> None:
        if "/chunks/00000002." in key:
            raise error

    with pytest.raises(type(error)):
        remove_recording(sealed, stages.catalog, watched(stages, reading))
    assert path.read_bytes() == CAST * 90
    assert stages.record(sealed) == before


def test_damage_in_the_last_object_removes_nothing(stages: Stages, sealed: UUID) -> None:
    path = stages.path(sealed)

    def reading(key: str) -> None:
        if "/chunks/00000002." in key:
            flip_last_byte(stages.object_path(key))

    with pytest.raises(PermanentError, match="is damaged"):
        remove_recording(sealed, stages.catalog, watched(stages, reading))
    assert path.exists()


def test_a_file_that_changes_while_its_session_is_verified_stays(stages: Stages, sealed: UUID) -> None:
    path = stages.path(sealed)
    with pytest.raises(PermanentError, match="has changed"):
        remove_recording(sealed, stages.catalog, watched(stages, lambda _key: append(path)))
    assert path.exists()


def test_whoever_has_an_identity_verifies_down_to_the_plaintext(stages: Stages, sealed: UUID) -> None:
    """On the command line: without a key slot, the archive is no replacement."""
    path = stages.path(sealed)
    stages.home.keystore().delete(sealed)
    with pytest.raises(PermanentError, match=DamageCode.KEYSLOT_MISSING):
        remove_recording(sealed, stages.catalog, watched(stages, lambda _key: None))
    assert path.exists()
    assert stages.record(sealed).damages == (), "a slot that is not there is no damage of the archive"


# What lies beside it, and what is archived already.


def beside(path: Path) -> tuple[Path, Path]:
    return path.with_name(f"{path.name}.meta.json"), path.with_name(f"{path.name}.done")


def test_sidecar_and_marker_go_with_the_recording(stages: Stages) -> None:
    session_id = stages.land(CAST, release=True, landed=True)
    path = stages.path(session_id)
    sidecar, marker = beside(path)
    sidecar.write_text('{"user": "ann"}')
    marker.touch()
    stages.archive(session_id)
    assert run_clean_up(stages, session_id).success
    assert list(path.parent.iterdir()) == []
    assert stages.record(session_id).metadata.user == "ann"


def test_they_go_first_since_what_is_left_must_be_known_again(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    session_id = stages.land(CAST, release=True, landed=True)
    path = stages.path(session_id)
    sidecar, marker = beside(path)
    sidecar.write_text('{"user": "ann"}')
    marker.touch()
    stages.archive(session_id)
    unlink, removed = os.unlink, []

    def note(name: str, **how: int) -> None:
        removed.append(name)
        unlink(name, **how)

    def cut_short(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", note)
        patched.setattr(os, "rename", cut_short)
        with pytest.raises(KeyboardInterrupt):
            remove_recording(session_id, stages.catalog, watched(stages, lambda _key: None))
    assert removed == [sidecar.name, marker.name]
    assert list(path.parent.iterdir()) == [path]
    assert register(path, SessionMetadata(), stages.catalog, release=False).session_id == session_id
    assert run_clean_up(stages, session_id).success
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("said", ['{"user": "ann"}', "no JSON at all"])
def test_a_sidecar_that_says_more_than_was_archived_stays(said: str, stages: Stages, sealed: UUID) -> None:
    path = stages.path(sealed)
    sidecar, _ = beside(path)
    sidecar.write_text(said)
    assert run_clean_up(stages, sealed).success
    assert list(path.parent.iterdir()) == [sidecar]


def test_a_file_that_is_named_like_a_marker_stays(stages: Stages, sealed: UUID) -> None:
    """Beside a recording that somebody chose, or too large, it is a recording of its own."""
    path = stages.path(sealed)
    _, chosen = beside(path)
    chosen.touch()
    assert run_clean_up(stages, sealed).success
    assert chosen.exists()
    session_id = stages.land(CAST, release=True, landed=True)
    _, large = beside(stages.path(session_id))
    large.write_bytes(bytes(5000))
    stages.archive(session_id)
    assert run_clean_up(stages, session_id).success
    assert large.exists()


@pytest.fixture
def duplicate(stages: Stages) -> tuple[UUID, UUID]:
    """A sealed session, and its duplicate."""
    first, again = (stages.land(CAST, release=True, landed=True) for _ in range(2))
    stages.archive(first, again)
    assert stages.record(again).duplicate_of == first
    return first, again


def test_a_duplicates_recording_goes_when_the_other_session_is_verified(
    stages: Stages, duplicate: tuple[UUID, UUID]
) -> None:
    first, again = duplicate
    path = stages.path(again)
    assert run_clean_up(stages, again).success
    assert not path.exists()
    assert stages.record(again).source is None
    assert stages.record(first).verified_at
    assert stages.path(first).exists()


def test_a_duplicates_recording_stays_where_the_other_session_is_not_sealed(stages: Stages) -> None:
    first, again = (stages.land(CAST, release=True, landed=True) for _ in range(2))
    stages.archive(first, again, upto=ENCRYPTED_CHUNKS)
    assert f"session {first} is not sealed" in refusal(stages, again)


def test_a_duplicates_recording_stays_where_the_other_session_is_damaged(
    stages: Stages, duplicate: tuple[UUID, UUID]
) -> None:
    first, again = duplicate
    [path] = stages.object_path(f"sessions/{first}").glob("chunks/*")
    flip_last_byte(path)
    assert f"session {first} is damaged" in refusal(stages, again)


def test_a_duplicates_recording_stays_where_the_other_session_has_another_content(stages: Stages) -> None:
    first, again = (stages.land(CAST, release=True, landed=True) for _ in range(2))
    stages.archive(first, again, upto=ENCRYPTED_CHUNKS)
    stages.path(first).write_bytes(text(5000))
    stages.archive(first)
    assert "is not sealed" in refusal(stages, again)
    stages.archive(again)
    assert stages.record(again).state is State.SEALED
    assert stages.export(again) == CAST


def test_a_duplicates_recording_is_read_again_before_it_goes(
    stages: Stages, duplicate: tuple[UUID, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even a change that no time tells of is lost."""
    _, again = duplicate
    overwrite_within_the_same_second(stages.path(again))
    record = stages.record(again)
    assert record.source
    monkeypatch.setattr("lucid_pipeline.recorder.clean_up.fingerprint", lambda *_: record.source.fingerprint)
    assert "has changed since it was archived" in refusal(stages, again)


def test_a_recording_that_somebody_has_open_for_writing_stays_until_it_is_closed(stages: Stages) -> None:
    """All that they go on to write would be lost with the file, however long they had not written before."""
    session_id = stages.land(CAST, release=True, landed=True)
    stages.archive(session_id)
    with stages.path(session_id).open("ab"):
        assert "may still be written to" in refusal(stages, session_id)
    path = stages.path(session_id)
    assert run_clean_up(stages, session_id).success
    assert not path.exists()


def test_another_file_that_takes_the_name_at_the_last_moment_stays(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = stages.land(CAST, release=True, landed=True)
    stages.archive(session_id)
    path = stages.path(session_id)
    rename = os.rename

    def exchange(*names: Any, **folders: Any) -> None:
        path.with_name("new").write_bytes(b"another session")
        rename(path.with_name("new"), path)
        rename(*names, **folders)

    monkeypatch.setattr(os, "rename", exchange)
    _, reasons = failure_of(run_clean_up(stages, session_id))
    assert "has changed since" in reasons[str(session_id)]
    assert path.read_bytes() == b"another session"
    assert [other.name for other in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("is_marked", [False, True])
def test_where_nobody_can_tell_who_writes_a_recording_has_to_be_quiet_for_long_or_marked(
    stages: Stages, is_marked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for files of another user, or on network file systems. Only the system's answer is not real here."""
    monkeypatch.setattr(RecordingFile, "is_being_written", lambda _file: None)
    session_id = stages.land(CAST, release=True, landed=True)
    stages.archive(session_id)
    path = stages.path(session_id)
    if is_marked:
        path.with_name(f"{path.name}.done").touch()
    else:
        assert "may still be written to" in refusal(stages, session_id)
        monkeypatch.setattr("lucid_pipeline.recorder.clean_up.QUIET_SECONDS", 0)
    assert run_clean_up(stages, session_id).success
    assert not path.exists()


def test_a_fault_at_one_recording_does_not_keep_the_others(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = (stages.land(text(1000, seed=n), release=True, landed=True) for n in range(2))
    stages.archive(bad, good)
    verify = Verifier.verify

    def fault(verifier: Verifier, record: SessionRecord, catalog: Catalog) -> object:
        if record.session_id == bad:
            raise RuntimeError("a fault")
        return verify(verifier, record, catalog)

    monkeypatch.setattr(Verifier, "verify", fault)
    gone = stages.path(good)
    _, reasons = failure_of(run_clean_up(stages))
    assert reasons.keys() == {str(bad)}
    assert not gone.exists()
    assert due_removals(stages.catalog, datetime.now(UTC)) == []


def test_without_ids_all_that_is_due_is_removed_and_what_stays_is_left_in_peace(stages: Stages) -> None:
    good, bad, kept = (stages.land(text(1000, seed=n), release=n < 2, landed=True) for n in range(3))
    stages.archive(good, bad, kept)
    append(stages.path(bad))
    gone = stages.path(good)
    description, reasons = failure_of(run_clean_up(stages))
    assert description == "1 of 2 recordings stay"
    assert reasons.keys() == {str(bad)}
    assert not gone.exists()
    assert stages.path(bad).exists()
    assert stages.path(kept).exists()
    assert run_clean_up(stages).success
    now = datetime.now(UTC)
    assert due_removals(stages.catalog, now) == []
    assert due_removals(stages.catalog, now + TRY_AGAIN_AFTER) == [bad]
