"""Names of objects in an archive."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucid_pipeline.archive import layout

SESSION = UUID("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")
DIGEST = bytes(range(32))
SHORT = "000102030405060708090a0b0c0d0e0f"


def test_names_are_those_of_the_format() -> None:
    assert layout.session_prefix(SESSION) == f"sessions/{SESSION}/"
    assert layout.chunk_key(SESSION, 7, DIGEST) == f"sessions/{SESSION}/chunks/00000007.{SHORT}"
    assert layout.chunk_table_key(SESSION, DIGEST) == f"sessions/{SESSION}/chunk-table.{SHORT}.json"
    assert layout.sealed_key(SESSION, DIGEST) == f"sessions/{SESSION}/sealed.{SHORT}.luc"
    assert layout.manifest_key(SESSION, 12) == f"sessions/{SESSION}/manifest.0012.dsse.json"


@given(st.lists(st.integers(1, 2**31 - 1), min_size=1, max_size=8))
def test_the_manifest_with_the_highest_sequence_counts(sequences: list[int]) -> None:
    keys = [layout.manifest_key(SESSION, sequence) for sequence in sequences]
    keys += [layout.chunk_key(SESSION, 99999999, DIGEST), layout.sealed_key(SESSION, DIGEST)]
    assert layout.latest_sequence(SESSION, keys) == max(sequences)


@pytest.mark.parametrize(
    "name",
    [
        "manifest.001.dsse.json",
        "manifest.0001.dsse.json.partial",
        "manifest.0001.dsse.json\n",
        "manifest.-001.dsse.json",
        "old/manifest.0001.dsse.json",
        "amanifest.0001.dsse.json",
        "manifest.0x01.dsse.json",
    ],
)
def test_what_only_looks_like_a_manifest_does_not_count(name: str) -> None:
    assert layout.latest_sequence(SESSION, [layout.session_prefix(SESSION) + name]) is None


def test_a_session_without_a_manifest_has_no_sequence() -> None:
    assert layout.latest_sequence(SESSION, []) is None
