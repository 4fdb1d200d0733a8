"""`lucid init`: a home with its keys, as often and by as many as will."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lucid_pipeline.archive.keyring import load_keys
from lucid_pipeline.archive.keys import Identity, Recipient
from lucid_pipeline.archive.signing import PublicKey, SigningKey
from tests.cli.support import Lucid, tree
from tests.processes import ordinary_user
from tests.servers.archives import files_only, store_url
from tests.servers.catalogs import about_the_file

KEY_MODES = {"identity.txt": 0o600, "recipients.txt": 0o644, "signing-key.txt": 0o600, "trusted-keys.txt": 0o644}


@pytest.fixture
def fresh(tmp_path: Path) -> Lucid:
    """`lucid` where nothing has been made yet."""
    return Lucid(tmp_path / "lucid", folder=tmp_path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def check_key_pairs(keys: Path) -> None:
    [identity] = load_keys(keys / "identity.txt", Identity, private=True)
    [recipient] = load_keys(keys / "recipients.txt", Recipient)
    [signing] = load_keys(keys / "signing-key.txt", SigningKey, private=True)
    [trusted] = load_keys(keys / "trusted-keys.txt", PublicKey)
    assert (identity.recipient.raw, signing.public.raw) == (recipient.raw, trusted.raw)


def test_it_makes_a_private_home_with_two_key_pairs_whatever_the_umask(fresh: Lucid) -> None:
    document = fresh.json("init", umask=0)
    keys = fresh.home / "keys"
    assert mode(fresh.home) == mode(keys) == mode(fresh.home / "landing") == 0o700
    assert {path.name: mode(path) & ~0o022 for path in keys.iterdir()} == KEY_MODES
    assert sorted(document.pop("created")) == sorted(str(keys / name) for name in KEY_MODES)
    assert document["home"] == str(fresh.home)
    assert document["identity"] == str(keys / "identity.txt")
    assert document["archive"] == store_url(fresh.home, "archive")
    check_key_pairs(keys)


@about_the_file
def test_only_its_owner_may_read_the_catalog(fresh: Lucid) -> None:
    fresh.ok("init", umask=0)
    assert mode(fresh.home / "catalog.sqlite3") == 0o600


def test_repeating_it_changes_no_key_and_says_so(lucid: Lucid) -> None:
    before = tree(lucid.home / "keys")
    assert lucid.json("init")["created"] == []
    assert "Everything was there already" in lucid.ok("init").text
    assert tree(lucid.home / "keys") == before


def test_it_tells_a_person_where_the_keys_are_and_what_losing_them_means(fresh: Lucid) -> None:
    text = fresh.ok("init").text
    assert str(fresh.home / "keys") in text.replace("\n", "")
    assert "keep a copy" in text
    for private in ("identity.txt", "signing-key.txt"):
        secret = (fresh.home / "keys" / private).read_text().split()[-1]
        assert secret not in text


def test_eight_processes_at_once_make_one_home(fresh: Lucid) -> None:
    with ThreadPoolExecutor(8) as pool:
        documents = list(pool.map(lambda _: fresh.json("init"), range(8)))
    created = sorted(Path(path).name for document in documents for path in document["created"])
    assert created == sorted(KEY_MODES), "each key file is made once, by one of them"
    check_key_pairs(fresh.home / "keys")
    assert not list((fresh.home / "keys").glob("*.partial"))
    assert fresh.json("list") == []


def test_a_host_that_has_recipients_only_is_given_no_identity(fresh: Lucid) -> None:
    fresh.ok("init")
    identity = fresh.home / "keys" / "identity.txt"
    identity.unlink()
    assert fresh.json("init")["created"] == []
    assert not identity.exists()


def test_missing_public_halves_are_made_again_from_the_private_ones(lucid: Lucid) -> None:
    before = tree(lucid.home / "keys")
    for name in ("recipients.txt", "trusted-keys.txt"):
        (lucid.home / "keys" / name).unlink()
    assert len(lucid.json("init")["created"]) == 2
    assert tree(lucid.home / "keys") == before


def test_a_home_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "closed").mkdir(mode=0o500)
    for home in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "closed" / "lucid"):
        line = Lucid(home, folder=tmp_path).refused("init", preexec_fn=ordinary_user())
        assert str(home) in line
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["closed", "file"]


def test_a_complete_home_that_cannot_be_written_to_needs_nothing(lucid: Lucid) -> None:
    paths = [lucid.home, *lucid.home.rglob("*")]
    modes = {path: mode(path) for path in paths}
    before = tree(lucid.home)
    for path in reversed(paths):
        path.chmod(modes[path] & 0o555)
    try:
        ended = lucid.ok("init", preexec_fn=ordinary_user())
        (lucid.home / "keys").chmod(0o700)
        (lucid.home / "keys" / "recipients.txt").unlink()
        (lucid.home / "keys").chmod(0o500)
        line = lucid.refused("init", preexec_fn=ordinary_user())
    finally:
        for path in paths:
            if path.exists():
                path.chmod(modes[path])
    assert "Everything was there already" in ended.text
    assert "recipients.txt: Permission denied" in line, "what is missing cannot be made"
    assert tree(lucid.home).items() <= before.items()


@files_only
@pytest.mark.parametrize("name", ["[b]", "[red]x", ":x:", "a#c;d&e=f", "two words", "é\u202e", "line\nbreak"])
def test_a_home_may_have_any_name(name: str, tmp_path: Path) -> None:
    lucid = Lucid(tmp_path / name, folder=tmp_path)
    lucid.ok("init")
    assert lucid.json("init")["created"] == []
    assert {path.name for path in tmp_path.iterdir()} == {name}


@files_only
@pytest.mark.parametrize("name", ["a?b", "a%41b"])
def test_a_home_that_dagster_would_put_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    assert "Dagster" in Lucid(tmp_path / name, folder=tmp_path).refused("init")
