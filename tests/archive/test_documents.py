"""What the JSON documents of the format have in common."""

import base64
from typing import Annotated, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from lucid_pipeline.archive import canonical
from lucid_pipeline.archive.canonical import BigInt
from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.documents import Base64, Digest, Document


class Part(Document):
    length: BigInt
    digest: Digest


class Whole(Document):
    schema_: Annotated[Literal["test/whole@v1"], Field(alias="schema")] = "test/whole@v1"
    session_id: UUID
    data: Base64
    parts: list[Part]
    note: str | None = None


wholes = st.builds(
    Whole,
    session_id=st.uuids(),
    data=st.binary(max_size=50),
    parts=st.lists(st.builds(Part, length=st.integers(0, 2**64 - 1), digest=st.binary(min_size=32, max_size=32))),
    note=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
)
WHOLE = Whole(session_id=UUID(int=7), data=b"\x00\xff", parts=[Part(length=2**53, digest=bytes(32))])
FIELDS = {
    "schema": "test/whole@v1",
    "session_id": "00000000-0000-0000-0000-000000000007",
    "data": "AP8=",
    "parts": [{"length": "9007199254740992", "digest": "00" * 32}],
    "note": None,
}


def refusal(data: bytes) -> DamageError:
    with pytest.raises(DamageError) as refused:
        Whole.decode(data, DamageCode.SEALED_MISMATCH, "the document")
    assert refused.value.damage.code is DamageCode.SEALED_MISMATCH
    assert refused.value.damage.where == "the document"
    return refused.value


@given(wholes)
def test_a_document_reads_back(whole: Whole) -> None:
    data = whole.encode()
    assert Whole.decode(data, DamageCode.SEALED_MISMATCH, "") == whole
    assert canonical.encode(canonical.decode(data)) == data


def test_a_document_is_written_as_the_format_says() -> None:
    assert WHOLE.encode() == canonical.encode(FIELDS)
    assert Whole.decode(canonical.encode(FIELDS), DamageCode.SEALED_MISMATCH, "") == WHOLE


@pytest.mark.parametrize(
    "change",
    [
        {"unknown": 1},
        {"schema": "test/whole@v2"},
        {"schema": None},
        {"session_id": "7"},
        {"session_id": 7},
        {"data": "AP8"},
        {"data": "AP8=\n"},
        {"data": "A-8="},
        {"data": "AP9="},
        {"data": 1},
        {"parts": None},
        {"parts": {}},
        {"parts": [{"length": 1}]},
        {"parts": [{"length": 1, "digest": "00" * 31}]},
        {"parts": [{"length": 1, "digest": "00" * 33}]},
        {"parts": [{"length": 1, "digest": "AA" * 32}]},
        {"parts": [{"length": 1, "digest": " " + "00" * 32}]},
        {"parts": [{"length": 1, "digest": "0g" * 32}]},
        {"parts": [{"length": -1, "digest": "00" * 32}]},
        {"parts": [{"length": 1.5, "digest": "00" * 32}]},
        {"parts": [{"length": True, "digest": "00" * 32}]},
        {"parts": [{"length": "5", "digest": "00" * 32}]},
        {"parts": [{"length": 1, "digest": "00" * 32, "unknown": 1}]},
        {"note": 1},
        {"note": True},
    ],
)
def test_a_document_with_another_field_or_value_is_refused(change: dict[str, object]) -> None:
    refusal(canonical.encode({**FIELDS, **change}))


@pytest.mark.parametrize("missing", FIELDS)
def test_a_document_without_a_field_is_refused(missing: str) -> None:
    refusal(canonical.encode({name: value for name, value in FIELDS.items() if name != missing}))


@pytest.mark.parametrize(
    "spelling",
    [
        "0190A1B2-C3D4-7E5F-8A9B-0C1D2E3F4A5B",
        "0190a1b2c3d47e5f8a9b0c1d2e3f4a5b",
        "{0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b}",
        "urn:uuid:0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    ],
)
def test_a_session_id_in_another_spelling_is_refused(spelling: str) -> None:
    refusal(canonical.encode({**FIELDS, "session_id": spelling}))


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"null", b"\xff", canonical.encode(FIELDS) + b"\n", b'{"a":1,"a":1}']
)
def test_what_is_no_such_document_is_refused(data: bytes) -> None:
    refusal(data)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_damage(data: bytes) -> None:
    refusal(data)


def test_a_refusal_does_not_quote_what_the_document_holds() -> None:
    error = refusal(canonical.encode({**FIELDS, "note": 1, "data": base64.b64encode(b"a secret").decode() + "!"}))
    assert "secret" not in str(error)
    assert base64.b64encode(b"a secret").decode() not in str(error)
    assert error.damage.detail == "not such a document: value_error in data"


def test_a_reason_is_one_line() -> None:
    assert "\n" not in str(refusal(b'{"digest":"00","length":-1}'))


def test_a_document_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        WHOLE.note = "other"
