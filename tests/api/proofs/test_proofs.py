"""`GET /sessions/{id}/proofs/{n}`: all that a verifier needs."""

from hashlib import sha256
from uuid import UUID

import pytest

from lucid_api.access.scopes import Scope
from lucid_pipeline.archive.manifest import open_envelope
from lucid_pipeline.archive.merkle import leaf_hash, verify_inclusion
from tests.api.conftest import SealedHome
from tests.api.proofs.support import NEVER, seal_again, unsealed
from tests.api.support import Api, assert_problem

READ = Scope.SESSIONS_READ


@pytest.fixture
def session(sealed_home: SealedHome) -> str:
    return sealed_home.ids["c-noise.bin"]


def test_they_are_guarded(api: Api, session: str) -> None:
    api.assert_guarded("GET", f"/sessions/{session}/proofs/0", READ)


@pytest.mark.parametrize("name", ["c-noise.bin", "b-empty"])
def test_every_chunk_is_proven_to_be_in_what_was_signed(api: Api, sealed_home: SealedHome, name: str) -> None:
    session = sealed_home.ids[name]
    envelope = api.get(f"/sessions/{session}/manifest", READ).content
    stream = open_envelope(envelope, api.services.trusted, "here").manifest.recording
    for index in range(stream.chunk_count):
        proof = api.get(f"/sessions/{session}/proofs/{index}", READ).json()
        assert proof["manifest"]["envelope_sha256"] == sha256(envelope).hexdigest()
        assert (proof["index"], proof["tree_size"], proof["root"]) == (index, stream.tree.size, stream.tree.root.hex())
        data = api.get(f"/sessions/{session}/chunks/{index}", READ).content
        leaf = leaf_hash(b"\x01" + len(data).to_bytes(8, "big") + sha256(data).digest())
        assert proof["leaf_hash"] == leaf.hex()
        hashes = [bytes.fromhex(text) for text in proof["hashes"]]
        verify_inclusion(leaf, index, stream.tree.size, hashes, stream.tree.root)


def test_a_proof_is_of_one_manifest(own_api: Api, session: str) -> None:
    first = own_api.get(f"/sessions/{session}/proofs/1", READ)
    seal_again(own_api, UUID(session))
    second = own_api.get(f"/sessions/{session}/proofs/1", READ)
    assert second.json()["manifest"]["sequence"] == 2
    again = own_api.get(f"/sessions/{session}/proofs/1?sequence=1", READ)
    assert again.json() == first.json()
    assert again.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    unchanged = own_api.get(f"/sessions/{session}/proofs/1", READ, headers={"If-None-Match": first.headers["ETag"]})
    assert unchanged.status_code == 200
    unchanged = own_api.get(f"/sessions/{session}/proofs/1", READ, headers={"If-None-Match": second.headers["ETag"]})
    assert unchanged.status_code == 304


def test_there_is_none_for_what_is_not_there(own_api: Api, session: str) -> None:
    for path in (f"{session}/proofs/3", f"{session}/proofs/0?sequence=2", f"{NEVER}/proofs/0"):
        assert_problem(own_api.get(f"/sessions/{path}", READ), 404, "not-found")
    assert_problem(own_api.get(f"/sessions/{unsealed(own_api)}/proofs/0", READ), 404, "not-sealed")
    assert_problem(own_api.get(f"/sessions/{session}/proofs/-1", READ), 422, "invalid")
