"""Makes a corpus archive of the present format: `python -m tests.corpus.make_corpus FOLDER`.

`v1/` was made once, is frozen, and has to verify and export for ever. Another corpus is made only for another version
of the format, and beside this one.
"""

import json
import sys
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from lucid_pipeline import cli
from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.codec import Codec
from lucid_pipeline.archive.encryption import Suite
from lucid_pipeline.archive.keyring import save_keys
from lucid_pipeline.archive.manifest import SignedManifest
from lucid_pipeline.archive.reader import load_chunk_table
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.archive.sealing import SealingRequest, hash_chunks, seal_session
from tests.support import Home, archive_by_hand, noise, text

TEST_ONLY = "TEST ONLY: this identity is public and opens nothing but the corpus beside it"
FULL = SessionMetadata(
    user="alice",
    host="db-1.example.org",
    protocol="ssh",
    started_at="2026-01-02T03:04:05.000Z",
    ended_at="2026-01-02T03:09:05.000Z",
    tags={"ticket": "OPS-7", "größe": "\U0001f600"},
)
WEBM = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\x82\x84webm" + noise(5000, seed=1)


@dataclass(frozen=True)
class Sample:
    """One session of the corpus."""

    about: str
    file_name: str
    data: bytes
    suite: Suite
    codec: Codec
    chunk_size: int | None = MIB
    metadata: SessionMetadata = field(default_factory=SessionMetadata)


def samples() -> list[Sample]:
    aes, chacha = Suite
    cast = (Path(cli.__path__[0]) / "demo" / "terminal.cast").read_bytes()
    return [
        Sample("an empty recording", "empty.bin", b"", aes, Codec.ZSTD),
        Sample("one byte", "one.bin", b"x", chacha, Codec.LZ4),
        Sample("a cast, with all metadata", "größe 1.cast", cast, aes, Codec.ZSTD, None, FULL),
        Sample("the same cast once more", "terminal.cast", cast, chacha, Codec.LZ4, None),
        Sample("random bytes", "random.bin", noise(20_000), chacha, Codec.ZSTD),
        Sample("a segment and a byte, stored", "stored.bin", text(16_385), aes, Codec.STORED),
        Sample("video, not padded", "desktop.webm", WEBM, chacha, Codec.ZSTD, None),
        Sample("several chunks, zstd", "long.log", text(3 * MIB + 12_345), aes, Codec.ZSTD),
        Sample("several chunks, lz4", "long.log", text(2 * MIB + 1, seed=2), chacha, Codec.LZ4),
        Sample("exactly two chunks", "two.log", text(2 * MIB, seed=3), aes, Codec.LZ4),
        Sample("a chunk of 16 MiB", "large.log", bytes(200_000), chacha, Codec.ZSTD, 16 * MIB),
    ]


def session_id(number: int) -> UUID:
    return UUID(f"01900000-0000-7000-8000-{number:012d}")


def archive(home: Home, sample: Sample, number: int) -> SignedManifest:
    path = home.folder / "landing" / sample.file_name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(sample.data)
    try:
        return home.archive(
            path,
            suite=sample.suite,
            codec=sample.codec,
            chunk_size=sample.chunk_size,
            metadata=sample.metadata,
            session_id=session_id(number),
        )
    finally:
        path.unlink()
        path.parent.rmdir()


def seal_again(home: Home, first: SignedManifest) -> SignedManifest:
    """The second manifest of a session, over the same objects."""
    manifest = first.manifest
    (sealed,) = (key for key in home.store.list(f"sessions/{manifest.session_id}/") if "/sealed." in key)
    request = SealingRequest.model_validate(
        {
            "session_id": manifest.session_id,
            "media_type": manifest.recording.media_type,
            "chunk_size": manifest.recording.chunk_size,
            "suite": manifest.suite,
            "dek_commitment": manifest.dek_commitment,
            "objects": load_chunk_table(manifest, home.store).objects,
            "sealed": {
                "key": sealed,
                "length": home.object_path(sealed).stat().st_size,
                "sha256": manifest.sealed_sha256,
            },
        }
    )
    return seal_session(request, hash_chunks(request, home.store, 1), home.signing_key, home.store, previous=first)


def expectation(home: Home, about: str, signed: SignedManifest, data: bytes) -> dict[str, Any]:
    manifest = signed.manifest
    borders = [n * manifest.recording.chunk_size for n in range(1, manifest.recording.chunk_count)]
    ranges = [(0, 1), (len(data) // 3, len(data) // 3 + 100), (max(0, len(data) - 1), len(data) + 5)]
    ranges += [(border - 50, border + 50) for border in borders]
    return {
        "about": about,
        "session_id": str(manifest.session_id),
        "sequence": manifest.sequence,
        "suite": manifest.suite,
        "chunk_size": manifest.recording.chunk_size,
        "chunk_count": manifest.recording.chunk_count,
        "root": manifest.recording.tree.root.hex(),
        "envelope_sha256": signed.envelope_sha256.hex(),
        "length": len(data),
        "sha256": sha256(data).hexdigest(),
        "metadata": json.loads(home.reader(manifest.session_id).metadata.encode()),
        "ranges": [[start, stop, sha256(data[start:stop]).hexdigest()] for start, stop in ranges],
    }


def main(folder: Path) -> None:
    folder.mkdir(parents=True)
    home = Home(folder)
    expected = []
    for number, sample in enumerate(samples()):
        expected.append(expectation(home, sample.about, archive(home, sample, number), sample.data))
    again = Sample("sealed twice", "again.bin", b"sealed twice " * 100, Suite.AES_256_GCM, Codec.ZSTD)
    signed = seal_again(home, archive(home, again, 100))
    expected.append(expectation(home, again.about, signed, again.data))
    live = text(MIB, seed=4)
    signed = archive_by_hand(home, [live, b""], padded=[True, False], session_id=session_id(101))
    expected.append(expectation(home, "an empty last chunk, as of a live recorder", signed, live))
    save_keys(folder / "identity.txt", [home.identity], private=True, comment=TEST_ONLY)
    save_keys(folder / "public-key.txt", home.trusted, private=False, comment="verifies the corpus beside it")
    (folder / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
