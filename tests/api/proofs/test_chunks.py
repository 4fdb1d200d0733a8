"""`/sessions/{id}/chunks` and `/sessions/{id}/chunks/{n}`: the chunk table, and ciphertext."""

import re
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest

from lucid_api.access.scopes import Scope
from lucid_api.http.conditional import repr_digest
from lucid_api.proofs.sending import MOST_BYTES
from lucid_pipeline.archive.canonical import encode
from lucid_pipeline.archive.layout import chunk_table_key
from tests.api.access.support import recorded
from tests.api.conftest import SealedHome
from tests.api.proofs.support import NEVER, flip, object_path, seal_again, unsealed
from tests.api.support import Api, assert_problem

READ = Scope.SESSIONS_READ


@pytest.fixture
def session(sealed_home: SealedHome) -> str:
    """It has three chunks."""
    return sealed_home.ids["c-noise.bin"]


def table(api: Api, session: str, query: str = "") -> Any:
    return api.get(f"/sessions/{session}/chunks{query}", READ).json()


def test_all_of_it_is_guarded(api: Api, session: str) -> None:
    api.assert_guarded("GET", f"/sessions/{session}/chunks", READ)
    api.assert_guarded("GET", f"/sessions/{session}/chunks/0", READ)


def test_head_is_guarded(api: Api, session: str) -> None:
    path = f"/api/v1/sessions/{session}/chunks/0"
    assert api.client.head(path).status_code == 401
    assert api.client.head(path, headers=api.headers(Scope.CONTENT_PLAY)).status_code == 403


def test_the_table_is_the_one_that_was_signed(api: Api, session: str) -> None:
    document = table(api, session)
    stored = {
        "schema": "lucid/chunk-table@v1",
        "session_id": session,
        "stream_id": 0,
        "objects": document["chunks"],
    }
    digest = sha256(encode(stored)).hexdigest()
    assert document["chunk_table_sha256"] == digest
    assert document["chunk_count"] == document["tree"]["size"] == len(document["chunks"]) == 3
    assert document["stored_bytes"] == sum(chunk["length"] for chunk in document["chunks"])
    manifest = api.get(f"/sessions/{session}/manifest", READ).content
    assert document["manifest"]["envelope_sha256"] == sha256(manifest).hexdigest()
    assert document["manifest"]["sequence"] == 1
    assert document["manifest"]["signed_by"] == api.services.trusted[0].id


def test_its_pages_follow_each_other_to_the_end(api: Api, session: str) -> None:
    path, found = f"/sessions/{session}/chunks?limit=2", []
    while path:
        answer = api.get(path, READ)
        found += answer.json()["chunks"]
        link = re.fullmatch('</api/v1(.+)>; rel="next"', answer.headers.get("Link", ""))
        path = link[1] if link else ""
    assert found == table(api, session)["chunks"]
    assert table(api, session, "?after=2")["chunks"] == []
    assert "Link" not in api.get(f"/sessions/{session}/chunks?limit=3", READ).headers


def test_pages_are_of_one_manifest_even_if_there_is_a_newer_one_meanwhile(own_api: Api, session: str) -> None:
    first = own_api.get(f"/sessions/{session}/chunks?limit=2", READ)
    seal_again(own_api, UUID(session))
    second = own_api.get(first.links["next"]["url"].removeprefix("/api/v1"), READ)
    assert second.json()["manifest"] == first.json()["manifest"]
    assert table(own_api, session)["manifest"]["sequence"] == 2


def test_a_chunk_is_the_stored_object(api: Api, session: str) -> None:
    for row in table(api, session)["chunks"]:
        answer = api.get(f"/sessions/{session}/chunks/{row['index']}", READ)
        assert answer.content == object_path(api, row["key"]).read_bytes()
        assert answer.headers["ETag"] == f'"{row["sha256"]}"'
        assert answer.headers["Repr-Digest"] == repr_digest(bytes.fromhex(row["sha256"]))
        assert answer.headers["Content-Length"] == str(row["length"])
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert answer.headers["Content-Disposition"].startswith("attachment")
    kept = api.get(f"/sessions/{session}/chunks/0?sequence=1", READ)
    assert kept.headers["Cache-Control"] == "private, max-age=31536000, immutable"


@pytest.mark.parametrize(
    ("given", "part"), [("0-0", slice(1)), ("100000-500000", slice(100000, 500001)), ("-7", slice(-7, None))]
)
def test_a_part_of_it_can_be_had(api: Api, session: str, given: str, part: slice) -> None:
    path = f"/sessions/{session}/chunks/1"
    whole = api.get(path, READ)
    answer = api.get(path, READ, headers={"Range": f"bytes={given}", "If-Range": whole.headers["ETag"]})
    assert answer.status_code == 206
    assert answer.content == whole.content[part]
    assert answer.headers["Content-Range"].endswith(f"/{len(whole.content)}")
    assert answer.headers["Repr-Digest"] == whole.headers["Repr-Digest"]


def test_a_part_that_is_not_there_is_refused(api: Api, session: str) -> None:
    answer = api.get(f"/sessions/{session}/chunks/0", READ, headers={"Range": "bytes=99999999-"})
    assert_problem(answer, 416, "range-not-satisfiable")
    assert answer.headers["Content-Range"].startswith("bytes */")


def test_head_tells_all_but_the_bytes(api: Api, session: str) -> None:
    whole = api.get(f"/sessions/{session}/chunks/0", READ)
    head = api.ask("HEAD", f"/sessions/{session}/chunks/0", READ)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("ETag", "Repr-Digest", "Content-Length", "Content-Type", "Accept-Ranges", "Cache-Control"):
        assert head.headers[name] == whole.headers[name]


def test_who_has_it_gets_no_second_copy(own_api: Api, session: str) -> None:
    row = table(own_api, session)["chunks"][0]
    object_path(own_api, row["key"]).unlink()
    answer = own_api.get(f"/sessions/{session}/chunks/0", READ, headers={"If-None-Match": f'"{row["sha256"]}"'})
    assert (answer.status_code, answer.content) == (304, b"")


def test_a_download_is_on_record_once_as_long_as_it_goes_on(own_api: Api, session: str) -> None:
    home, path = own_api.services.settings.home, f"/api/v1/sessions/{session}/chunks"
    key = own_api.headers(READ)
    own_api.client.head(f"{path}/0", headers=key)
    own_api.client.get(path, headers=key)
    assert recorded(home, "chunks.downloaded") == []
    for index in range(3):
        assert own_api.client.get(f"{path}/{index}", headers=key).status_code == 200
    (event,) = recorded(home, "chunks.downloaded")
    assert (event["session_id"], event["outcome"]) == (session, "allowed")
    assert own_api.get(f"/sessions/{session}/chunks/0", READ).status_code == 200
    assert len(recorded(home, "chunks.downloaded")) == 2, "another caller"


def test_what_cannot_be_recorded_is_not_sent(own_api: Api, session: str) -> None:
    home = own_api.services.settings.home
    own_api.services.audit.close()
    (home / "audit").rename(home / "elsewhere")
    (home / "audit").write_text("in the way")
    assert_problem(own_api.get(f"/sessions/{session}/chunks/0", READ), 503, "unavailable")
    own_api.services.objects.take(MOST_BYTES)


def test_there_is_none_behind_the_last_one(own_api: Api, session: str) -> None:
    for path in (
        f"{session}/chunks/3",
        f"{session}/chunks/99999999999999999999",
        f"{NEVER}/chunks/0",
        f"{NEVER}/chunks",
    ):
        assert_problem(own_api.get(f"/sessions/{path}", READ), 404, "not-found")
    new = unsealed(own_api)
    assert_problem(own_api.get(f"/sessions/{new}/chunks", READ), 404, "not-sealed")
    assert_problem(own_api.get(f"/sessions/{new}/chunks/0", READ), 404, "not-sealed")


@pytest.mark.parametrize(
    "path", ["chunks/-1", "chunks/x", "chunks?after=-1", "chunks?limit=0", "chunks?limit=10001", "chunks?afer=1"]
)
def test_what_cannot_be_is_refused(api: Api, session: str, path: str) -> None:
    assert_problem(api.get(f"/sessions/{session}/{path}", READ), 422, "invalid")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_byte_of_a_damaged_chunk_is_sent_and_the_others_are(own_api: Api, session: str, method: str) -> None:
    rows = table(own_api, session)["chunks"]
    flip(object_path(own_api, rows[1]["key"]))
    damaged = own_api.ask(method, f"/sessions/{session}/chunks/1", READ, headers={"Range": "bytes=0-9"})
    assert damaged.status_code == 500
    if method == "GET":
        document = assert_problem(damaged, 500, "damaged")
        assert document["damage"]["code"] == "object_digest_mismatch"
        assert document["damage"]["where"] == rows[1]["key"]
    assert own_api.get(f"/sessions/{session}/chunks/0", READ).status_code == 200


def test_a_chunk_that_is_gone_or_grew_is_damage(own_api: Api, session: str) -> None:
    rows = table(own_api, session)["chunks"]
    object_path(own_api, rows[0]["key"]).unlink()
    with object_path(own_api, rows[1]["key"]).open("ab") as file:
        file.write(b"more")
    for index, code in ((0, "missing_object"), (1, "object_digest_mismatch")):
        document = assert_problem(own_api.get(f"/sessions/{session}/chunks/{index}", READ), 500, "damaged")
        assert document["damage"]["code"] == code


def test_a_damaged_table_is_told(own_api: Api, session: str) -> None:
    digest = own_api.services.proven.manifest(own_api.services.catalog.get(UUID(session))).manifest.recording
    flip(object_path(own_api, chunk_table_key(UUID(session), digest.chunk_table_sha256)), at=100)
    for path in ("chunks", "chunks/0", "proofs/0"):
        document = assert_problem(own_api.get(f"/sessions/{session}/{path}", READ), 500, "damaged")
        assert document["damage"]["code"] == "chunk_table_mismatch"
