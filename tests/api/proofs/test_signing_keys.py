"""`/.well-known/lucid-signing-keys`: what anybody needs to check what was signed."""

from pathlib import Path

from lucid_pipeline.archive.keyring import load_keys
from lucid_pipeline.archive.signing import PublicKey
from tests.api.conftest import SealedHome
from tests.api.support import Api, assert_problem
from tests.cli.support import Lucid

PATH = "/.well-known/lucid-signing-keys"


def test_anybody_gets_the_trusted_keys(api: Api, tmp_path: Path) -> None:
    answer = api.client.get(PATH)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; charset=us-ascii"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    saved = tmp_path / "keys.txt"
    saved.write_bytes(answer.content)
    assert [key.raw for key in load_keys(saved, PublicKey)] == [key.raw for key in api.services.trusted]


def test_lucid_verifies_with_what_was_saved(api: Api, sealed_home: SealedHome, tmp_path: Path) -> None:
    saved = tmp_path / "keys.txt"
    saved.write_bytes(api.client.get(PATH).content)
    lucid = Lucid(api.services.settings.home)
    lucid.ok("verify", "--public-key", saved, sealed_home.ids["a-cast.cast"])


def test_who_has_them_gets_no_second_copy(api: Api) -> None:
    tag = api.client.get(PATH).headers["ETag"]
    assert api.client.get(PATH, headers={"If-None-Match": tag}).status_code == 304


def test_nothing_private_is_among_them(api: Api) -> None:
    assert b"signing-key" not in api.client.get(PATH).content
    assert_problem(api.client.get(PATH + "?private=1"), 422, "invalid")
