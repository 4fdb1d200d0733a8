"""The manifest: what is signed of a session."""

from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucid_pipeline import __version__
from lucid_pipeline.archive import canonical, envelope
from lucid_pipeline.archive.chunking import CHUNK_SIZES, MIB
from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.encryption import Suite
from lucid_pipeline.archive.manifest import (
    PAYLOAD_TYPE,
    Manifest,
    Producer,
    open_envelope,
    parse_time,
    suite_of,
    timestamp,
)
from lucid_pipeline.archive.signing import SigningKey

KEY = SigningKey(b"\x01" * 32)
DIGEST = "11" * 32
FIELDS: dict[str, Any] = {
    "completeness": {"gaps": [], "state": "complete"},
    "created_at": "2026-01-02T03:04:05.678Z",
    "dek_commitment": "22" * 32,
    "kdf": "HKDF-Expand-SHA512",
    "previous": None,
    "producer": {"name": "lucid", "version": "1.2.3"},
    "retention": None,
    "schema": "lucid/manifest@v1",
    "sealed_sha256": "33" * 32,
    "sequence": 1,
    "session_id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    "streams": [
        {
            "chunk_count": 2,
            "chunk_size": MIB,
            "chunk_table_sha256": "44" * 32,
            "id": 0,
            "media_type": "application/octet-stream",
            "stored_bytes": 1234567,
            "tree": {"root": "55" * 32, "size": 2},
        }
    ],
    "suite": "AEAD_AES_256_GCM",
}


def with_stream(**fields: Any) -> dict[str, Any]:
    return {"streams": [{**FIELDS["streams"][0], **fields}]}


def signed(fields: dict[str, Any]) -> bytes:
    return envelope.sign(canonical.encode(fields), PAYLOAD_TYPE, KEY)


def refusal(data: bytes) -> DamageCode:
    with pytest.raises(DamageError) as refused:
        open_envelope(data, [KEY.public], "manifest 1")
    assert refused.value.damage.where == "manifest 1"
    return refused.value.damage.code


def test_a_manifest_has_the_fields_of_the_format() -> None:
    manifest = Manifest.decode(canonical.encode(FIELDS), DamageCode.MANIFEST_MALFORMED, "")
    assert manifest.encode() == canonical.encode(FIELDS)
    assert manifest.session_id == UUID(FIELDS["session_id"])
    assert manifest.aead is Suite.AES_256_GCM
    assert manifest.recording.tree.root == bytes.fromhex("55" * 32)
    assert manifest.completeness.state == "complete"


def test_a_signed_manifest_opens_and_says_who_signed_it() -> None:
    data = signed(FIELDS)
    opened = open_envelope(data, [KEY.public], "")
    assert opened.manifest.encode() == canonical.encode(FIELDS)
    assert opened.key_id == KEY.public.id
    assert opened.envelope_sha256 == sha256(data).digest()
    assert opened.manifest.sign(KEY) == data


@given(
    sequence=st.integers(2, 2**31 - 1),
    previous=st.binary(min_size=32, max_size=32),
    chunk_size=st.sampled_from(CHUNK_SIZES),
    count=st.integers(1, 2**64 - 1),
    stored=st.integers(0, 2**64 - 1),
    suite=st.sampled_from([suite.aead for suite in Suite]),
    state=st.sampled_from(["complete", "recovered", "truncated"]),
    gaps=st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)), max_size=3),
)
def test_any_manifest_reads_back(
    sequence: int,
    previous: bytes,
    chunk_size: int,
    count: int,
    stored: int,
    suite: str,
    state: str,
    gaps: list[tuple[int, int]],
) -> None:
    def big(number: int) -> int | str:
        return number if number < 2**53 else str(number)

    stream = with_stream(
        chunk_size=chunk_size,
        chunk_count=big(count),
        stored_bytes=big(stored),
        tree={"root": DIGEST, "size": big(count)},
    )
    gap_fields = [{"offset": big(offset), "length": big(length)} for offset, length in gaps]
    fields = {**FIELDS, **stream, "sequence": sequence, "previous": previous.hex(), "suite": suite}
    fields["completeness"] = {"state": state, "gaps": gap_fields}
    opened = open_envelope(signed(fields), [KEY.public], "").manifest
    assert opened.encode() == canonical.encode(fields)
    assert (opened.recording.chunk_count, opened.recording.stored_bytes) == (count, stored)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "lucid/manifest@v2"},
        {"schema": ""},
        {"suite": "AEAD_AES_128_GCM"},
        {"suite": "AES_256_GCM"},
        {"suite": "aead_aes_256_gcm"},
        {"kdf": "HKDF-Expand-SHA256"},
        {"schema": "lucid/manifest@v2", "unknown": "field", "streams": "in another form"},
    ],
)
def test_a_manifest_from_the_future_is_not_supported(change: dict[str, Any]) -> None:
    assert refusal(signed({**FIELDS, **change})) is DamageCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    "change",
    [
        {"unknown": 1},
        {"schema": 1},
        {"suite": 1},
        {"suite": None},
        {"kdf": None},
        {"session_id": "0190a1b2"},
        {"session_id": None},
        {"sequence": 0},
        {"sequence": -1},
        {"sequence": 2**31},
        {"sequence": 2},
        {"sequence": "1"},
        {"sequence": 1.5},
        {"previous": DIGEST},
        {"previous": "", "sequence": 2},
        {"created_at": "2026-01-02T03:04:05Z"},
        {"created_at": "2026-01-02T03:04:05.678+00:00"},
        {"created_at": "2026-01-02 03:04:05.678Z"},
        {"created_at": "2026-01-02T03:04:05.678Z\n"},
        {"created_at": None},
        {"dek_commitment": "22" * 31},
        {"dek_commitment": None},
        {"sealed_sha256": None},
        {"completeness": {"state": "whole", "gaps": []}},
        {"completeness": {"state": "complete", "gaps": [{"offset": -1, "length": 1}]}},
        {"completeness": None},
        {"retention": "forever"},
        {"producer": {"name": "lucid", "version": 1}},
        {"streams": []},
        {"streams": FIELDS["streams"] * 2},
        {"streams": None},
        with_stream(id=1),
        with_stream(chunk_size=MIB - 1),
        with_stream(chunk_size=0),
        with_stream(chunk_size=32 * MIB),
        with_stream(chunk_count=3),
        with_stream(chunk_count=0, tree={"root": DIGEST, "size": 0}),
        with_stream(chunk_count=-1),
        with_stream(tree={"root": DIGEST, "size": 1}),
        with_stream(tree={"root": DIGEST}),
        with_stream(tree=None),
        with_stream(stored_bytes=-1),
        with_stream(stored_bytes="5"),
        with_stream(chunk_table_sha256="AB" * 32),
        with_stream(media_type=None),
        with_stream(unknown=1),
    ],
)
def test_a_signed_manifest_that_makes_no_sense_is_malformed(change: dict[str, Any]) -> None:
    assert refusal(signed({**FIELDS, **change})) is DamageCode.MANIFEST_MALFORMED


@pytest.mark.parametrize("missing", FIELDS)
def test_a_manifest_without_a_field_is_malformed(missing: str) -> None:
    fields = {name: value for name, value in FIELDS.items() if name != missing}
    assert refusal(signed(fields)) is DamageCode.MANIFEST_MALFORMED


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        canonical.encode(FIELDS) + b"\n",
        canonical.encode(FIELDS).replace(b'"sequence":1', b'"sequence":1,"sequence":1'),
        canonical.encode(FIELDS).replace(b'"sequence":1', b'"sequence":1.0'),
        canonical.encode(FIELDS).replace(b'"sequence":1', b'"sequence": 1'),
    ],
)
def test_a_signed_payload_that_is_not_canonical_json_is_malformed(payload: bytes) -> None:
    assert refusal(envelope.sign(payload, PAYLOAD_TYPE, KEY)) is DamageCode.MANIFEST_MALFORMED


def test_an_unverified_payload_is_never_looked_at() -> None:
    """Whatever is in it, the first thing that is said is that it is not signed."""
    stranger = SigningKey(b"\x02" * 32)
    for payload in (b"", b"\xff", canonical.encode({**FIELDS, "schema": "lucid/manifest@v2"})):
        assert refusal(envelope.sign(payload, PAYLOAD_TYPE, stranger)) is DamageCode.UNKNOWN_SIGNER


def test_another_payload_type_is_not_supported() -> None:
    data = envelope.sign(canonical.encode(FIELDS), "application/vnd.lucid.manifest.v2+json", KEY)
    assert refusal(data) is DamageCode.UNSUPPORTED_FORMAT


def test_every_suite_is_found_by_its_name() -> None:
    assert [suite_of(suite.aead) for suite in Suite] == list(Suite)


@given(st.datetimes(timezones=st.timezones()).filter(lambda moment: 1 < moment.year < 9999))
def test_a_timestamp_is_utc_with_milliseconds(moment: datetime) -> None:
    text = timestamp(moment)
    assert len(text) == len("2026-01-02T03:04:05.678Z")
    back = datetime.fromisoformat(text)
    assert timedelta(0) <= moment.astimezone(UTC) - back < timedelta(milliseconds=1)
    assert Manifest.decode(canonical.encode({**FIELDS, "created_at": text}), DamageCode.MANIFEST_MALFORMED, "")


def test_a_timestamp_of_another_zone_is_converted() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678_999, timezone(timedelta(hours=5, minutes=30)))
    assert timestamp(moment) == "2026-01-01T21:34:05.678Z"


def test_the_producer_is_lucid_and_its_version() -> None:
    assert Producer() == Producer(name="lucid", version=__version__)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:01Z", 1),
        ("1970-01-01t00:00:01z", 1),
        ("1970-01-01T00:00:01.5Z", 1.5),
        ("1970-01-01T00:00:01.0000009Z", 1),
        ("1970-01-01T05:30:00+05:30", 0),
        ("1969-12-31T00:01:00-23:59", 0),
        ("1970-01-01T00:00:00-00:00", 0),
    ],
)
def test_a_time_of_rfc_3339_names_a_moment(text: str, seconds: float) -> None:
    assert parse_time(text).timestamp() == seconds


@given(st.datetimes(timezones=st.timezones()).filter(lambda moment: 1 < moment.year < 9999))
def test_what_is_written_as_a_time_is_read_as_one(moment: datetime) -> None:
    assert timestamp(parse_time(timestamp(moment))) == timestamp(moment)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-31",
        "2026-01-31T12:00Z",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00Z",
        "20260131T120000Z",
        "2026-W05-6T12:00:00Z",
        "2026-01-31T12:00:00,5Z",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00+01",
        "2026-01-31T12:00:00+0100",
        "2026-01-31T12:00:00+01:00:30",
        "2026-01-31T12:00:00+01:60",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:60:00Z",
        "2026-02-30T12:00:00Z",
        "2026-01-31T12:00:00Z\n",
        "\u0662026-01-31T12:00:00Z",
    ],
)
def test_anything_else_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|month|day"):
        parse_time(text)
