"""What each asset says of each session, for one key and for a range, and what it never says."""

import base64
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from dagster import AssetKey, DagsterInstance, MetadataValue

from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.keys import Dek
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.course.stages import CHUNKS, ENCRYPTED_CHUNKS, LINEAGE, MANIFEST, MERKLE_TREE, RECORDING
from lucid_pipeline.instance.opened import open_instance
from lucid_pipeline.lineage.metadata import SESSION_LINK
from lucid_pipeline.lineage.partitions import SESSIONS
from lucid_pipeline.stores.catalog import State
from tests.lineage.support import CAST, Lineage, open_lineage
from tests.support import mixture, text


@pytest.fixture(params=["one at a time", "as a range"])
def archived(request: pytest.FixtureRequest, lineage: Lineage) -> tuple[Lineage, dict[str, UUID]]:
    """Recordings of several kinds, archived."""
    sessions = {
        "cast": lineage.add(CAST, "terminal.cast"),
        "large": lineage.add(mixture(20 * MIB + 4711)),
        "empty": lineage.add(b""),
    }
    if request.param == "as a range":
        lineage.archive(*sessions.values())
    else:
        for session_id in sessions.values():
            lineage.archive(session_id)
    return lineage, sessions


def merkle_root(leaves: list[bytes]) -> bytes:
    """RFC 9162, section 2.1.1, as it is written there."""
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + merkle_root(leaves[:split]) + merkle_root(leaves[split:])).digest()


def without_timing(metadata: dict[str, Any], size: int) -> dict[str, Any]:
    """The metadata but for the two figures of time, which have to fit each other."""
    seconds, rate = metadata.pop("seconds"), metadata.pop("megabytes_per_second")
    assert 0 <= seconds < 120
    assert size / 1e6 / (seconds + 0.0006) - 0.1 <= rate <= size / 1e6 / max(seconds - 0.0006, 1e-6) + 0.1
    return metadata


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({}, "http://127.0.0.1:8087"),
        ({"api_host": "::", "api_port": 9000}, "http://[::1]:9000"),
        ({"api_url": "https://lucid.example/records/"}, "https://lucid.example/records"),
    ],
)
def test_each_materialization_and_failure_has_a_link_to_the_page_of_its_session(
    tmp_path: Path, settings: dict[str, Any], place: str
) -> None:
    with DagsterInstance.ephemeral() as instance, open_lineage(tmp_path, instance, **settings) as lineage:
        good, bad = lineage.add(b"x"), lineage.add(b"y")
        lineage.path(bad).unlink()
        lineage.materialize(RECORDING, good, bad)
        [made] = lineage.materializations(RECORDING, good)
        assert made.metadata[SESSION_LINK] == MetadataValue.url(f"{place}/sessions/{good}")
        observations = instance.fetch_observations(AssetKey(RECORDING), limit=2).records
        [failed] = [record.event_log_entry.asset_observation for record in observations]
        assert failed
        assert failed.metadata[SESSION_LINK] == MetadataValue.url(f"{place}/sessions/{bad}")


def test_every_figure_of_every_session_is_right(archived: tuple[Lineage, dict[str, UUID]]) -> None:
    lineage, sessions = archived
    kinds = {
        "cast": ("application/x-asciicast", len(CAST), 1, MIB, 99.9),
        "large": ("application/octet-stream", 20 * MIB + 4711, 3, 8 * MIB, 0.0),
        "empty": ("application/octet-stream", 0, 1, 8 * MIB, 0.0),
    }
    for name, (media_type, size, count, chunk_size, duration) in kinds.items():
        session_id = sessions[name]
        prefix = f"sessions/{session_id}/"
        mine = {key: data for key, data in lineage.objects().items() if key.startswith(prefix)}
        chunks = [mine[key] for key in sorted(mine) if "/chunks/" in key]
        stored = sum(map(len, chunks))
        leaves = [b"\x01" + len(chunk).to_bytes(8) + sha256(chunk).digest() for chunk in chunks]
        [table] = [key for key in mine if "/chunk-table." in key]
        envelope = mine[f"{prefix}manifest.0001.dsse.json"]

        assert lineage.metadata(RECORDING, session_id) == {"size_bytes": size, "media_type": media_type}
        assert without_timing(lineage.metadata(CHUNKS, session_id), size) == {
            "chunk_count": count,
            "chunk_size_bytes": chunk_size,
            "size_bytes": size,
            "media_type": media_type,
            "duration_seconds": duration,
        }
        encrypted = without_timing(lineage.metadata(ENCRYPTED_CHUNKS, session_id), size)
        assert sum(encrypted.pop("codecs").values()) == count
        assert encrypted == {
            "size_bytes": size,
            "stored_bytes": stored,
            "compression_ratio": round(size / stored, 3),
            "chunk_count": count,
            "suite": lineage.home.encryption().suite.aead,
            "recipients": lineage.home.encryption().recipients[0].id,
        }
        assert without_timing(lineage.metadata(MERKLE_TREE, session_id), stored) == {
            "root": merkle_root(leaves).hex(),
            "chunk_count": count,
            "stored_bytes": stored,
            "chunk_table": table,
        }
        sealed = lineage.metadata(MANIFEST, session_id)
        assert 0 <= sealed.pop("seconds_to_seal") < 300
        assert sealed == {
            "root": merkle_root(leaves).hex(),
            "sequence": 1,
            "signed_by": lineage.home.signing_key().public.id,
            "envelope_sha256": sha256(envelope).hexdigest(),
            "object": f"{prefix}manifest.0001.dsse.json",
            "chunk_count": count,
            "stored_bytes": stored,
            "completeness": "complete",
            "damage": "none",
        }


def test_every_session_is_sealed_and_comes_out_as_it_went_in(archived: tuple[Lineage, dict[str, UUID]]) -> None:
    lineage, sessions = archived
    for session_id in sessions.values():
        record = lineage.record(session_id)
        assert record.state is State.SEALED
        assert record.failure is None
        assert lineage.verify(session_id).intact
        assert lineage.export(session_id) == lineage.path(session_id).read_bytes()
    assert lineage.record(sessions["cast"]).duration_ms == 99_900
    assert lineage.record(sessions["cast"]).metadata.started_at == "2026-01-01T00:00:00.000Z"
    assert lineage.record(sessions["large"]).length == 20 * MIB + 4711


def test_every_stage_is_materialized_once_for_every_session(archived: tuple[Lineage, dict[str, UUID]]) -> None:
    lineage, sessions = archived
    for stage in LINEAGE:
        runs = set()
        for session_id in sessions.values():
            [_] = lineage.materializations(stage, session_id)
        for event in lineage.instance.fetch_materializations(AssetKey(stage), limit=10).records:
            runs.add(event.run_id)
            assert event.partition_key in map(str, sessions.values())
        assert len(runs) in (1, len(sessions))


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The DEKs that are made meanwhile, and whatever tests add."""
    secrets: list[bytes] = []
    generate = Dek.generate

    def remembered() -> Dek:
        dek = generate()
        secrets.append(dek.secret)
        return dek

    monkeypatch.setattr(Dek, "generate", remembered)
    return secrets


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[Lineage]:
    """A lineage on the instance that the command line and the web server share."""
    with open_instance(tmp_path / "dagster") as instance, open_lineage(tmp_path / "lucid", instance) as lineage:
        yield lineage


def said(lineage: Lineage, instance: DagsterInstance) -> bytes:
    """All that Dagster keeps of its runs: as its files have it, and as its API returns it."""
    folder = lineage.home.settings.home.parent / "dagster"
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    events = [str(entry) for run in instance.get_runs() for entry in instance.all_logs(run.run_id)]
    runs = [str(run) for run in instance.get_runs()]
    return b"\n".join([*files, *(line.encode() for line in (*events, *runs))])


def encodings(secret: bytes) -> list[bytes]:
    return [secret, secret.hex().encode(), base64.b64encode(secret).rstrip(b"="), base64.urlsafe_b64encode(secret)]


USER_TEXT = SessionMetadata(
    user="alice-of-accounting",
    host="vault-host-7",
    protocol="carrier-pigeon",
    started_at="2025-12-24T11:22:33Z",
    ended_at="2025-12-24T11:23:34Z",
    tags={"case-file": "ticket-99871"},
)


def test_dagster_learns_no_user_text_no_plaintext_digest_and_no_secret(on_disk: Lineage, secrets: list[bytes]) -> None:
    """The web server has no login, and the event log is as public as the figures in it."""
    marker = b"correct-horse-battery-staple"
    recordings = [CAST + b'[100.0, "o", "' + marker + b'"]\n', text(3 * MIB, seed=8) + marker]
    sessions = [on_disk.add(data, f"payroll-{n}.cast", USER_TEXT) for n, data in enumerate(recordings)]
    on_disk.archive(*sessions)
    keys = (on_disk.home.settings.identity_file, on_disk.home.settings.signing_key_file)
    written = [line.split()[-1] for path in keys for line in path.read_bytes().splitlines() if line[:1] != b"#"]
    assert len(secrets) == 2
    assert len(written) == 2

    everything = said(on_disk, on_disk.instance)

    assert b"application/x-asciicast" in everything, "the search looks where metadata is"
    assert str(sessions[0]).encode() in everything
    texts = [
        *json.loads(USER_TEXT.model_dump_json(exclude={"tags"})).values(),
        "case-file",
        "ticket-99871",
        "payroll",
        str(on_disk.home.settings.landing_dir),
        "2026-01-01T00:00:00",
    ]
    for hidden in (marker, *written, *map(str.encode, texts)):
        assert hidden not in everything
    for secret in (*secrets, *(sha256(data).digest() for data in recordings)):
        for form in encodings(secret):
            assert form not in everything


def test_a_failure_says_nothing_of_the_session_but_its_reason(on_disk: Lineage, secrets: list[bytes]) -> None:
    session_id = on_disk.add(text(MIB, seed=3), "recording.bin", USER_TEXT)
    on_disk.archive(session_id, upto=ENCRYPTED_CHUNKS)
    next(path for path in on_disk.home.settings.home.rglob("chunks/*")).unlink()
    on_disk.materialize(MERKLE_TREE, session_id)

    everything = said(on_disk, on_disk.instance)

    assert b"missing_object" in everything
    assert b"alice-of-accounting" not in everything
    assert not [form for secret in secrets for form in encodings(secret) if form in everything]


def test_a_range_is_recorded_for_its_own_keys_only(lineage: Lineage) -> None:
    before, first, second, behind = (lineage.add(text(1000, seed)) for seed in range(4))
    lineage.archive(first, second)
    for stage in LINEAGE:
        done = lineage.instance.get_materialized_partitions(AssetKey(stage))
        assert done == {str(first), str(second)}
    assert SESSIONS.get_partition_keys(dynamic_partitions_store=lineage.instance) == [
        str(session_id) for session_id in (before, first, second, behind)
    ]
    assert lineage.record(before).state is lineage.record(behind).state is State.REGISTERED
