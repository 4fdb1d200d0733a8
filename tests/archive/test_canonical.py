"""JSON as it is signed: RFC 8785 out, and a strict reader in."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from lucid_pipeline.archive import canonical
from lucid_pipeline.archive.canonical import MAX_SAFE_INTEGER, BigInt, NotCanonical

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    | st.floats(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
objects = st.dictionaries(texts, values, max_size=5)


class Counted(BaseModel):
    count: BigInt


@given(objects)
def test_what_is_encoded_reads_back(value: dict[str, Any]) -> None:
    assert canonical.decode(canonical.encode(value)) == value


@given(objects)
def test_there_is_one_way_to_write_a_value(value: dict[str, Any]) -> None:
    backwards = json.loads(json.dumps(value, indent=1), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert canonical.encode(backwards) == canonical.encode(value)


@given(objects, st.data())
def test_every_other_way_to_write_it_is_refused(value: dict[str, Any], data: st.DataObject) -> None:
    encoded = canonical.encode(value)
    loose = data.draw(
        st.sampled_from(
            [
                encoded + b"\n",
                b" " + encoded,
                b"\xef\xbb\xbf" + encoded,
                json.dumps({**value, "": 0}, indent=1).encode(),
                encoded.decode().encode("utf-16"),
                encoded + b"{}",
                b"[" + encoded + b"]",
                encoded[:-1],
            ]
        )
    )
    with pytest.raises(NotCanonical):
        canonical.decode(loose)


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_canonical(data: bytes) -> None:
    try:
        value = canonical.decode(data)
    except NotCanonical:
        return
    assert canonical.encode(value) == data


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":[{"b":1,"\\u0062":2}]}',
        b'{"b":1,"a":2}',
        b'{"a": 1}',
        b'{"a":1.0}',
        b'{"a":1e0}',
        b'{"a":-0}',
        b'{"a":01}',
        b'{"a":+1}',
        b'{"a":.5}',
        b'{"a":0x1}',
        b'{"a":1_0}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":9007199254740992}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"\\u0061"}',
        b'{"a":"\\/"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\n"}',
        b"{'a':1}",
        b'{"a":1,}',
        b"{a:1}",
        b"[]",
        b"null",
        b"1",
        b'"text"',
        b"",
        b"{",
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' * 100_000,
    ],
)
def test_loose_json_is_refused(data: bytes) -> None:
    with pytest.raises(NotCanonical):
        canonical.decode(data)


def test_keys_are_sorted_by_utf16_units() -> None:
    """RFC 8785, 3.2.3: beyond the basic plane, surrogates sort before U+E000 and above."""
    assert canonical.encode({"\ufb33": 1, "\U0001f602": 2}) == '{"\U0001f602":2,"\ufb33":1}'.encode()


@given(st.integers(0, 2**64 - 1))
def test_a_big_integer_reads_back(number: int) -> None:
    counted = Counted(count=number)
    encoded = counted.model_dump_json()
    assert Counted.model_validate_json(encoded) == counted
    assert json.loads(encoded)["count"] == (number if number < 2**53 else str(number))


@pytest.mark.parametrize(
    "value",
    [
        -1,
        2**64,
        1.0,
        True,
        None,
        "",
        "0",
        "12",
        "9007199254740991",
        "09007199254740992",
        "+9007199254740992",
        "-9007199254740992",
        " 9007199254740992",
        "9007199254740992.0",
        "9_007_199_254_740_992",
        str(2**64),
        "\u0669" * 16,
        "9" * 5000,
        "0x20000000000000",
        [1],
    ],
)
def test_no_other_form_of_an_integer_is_accepted(value: object) -> None:
    with pytest.raises(ValidationError):
        Counted.model_validate_json(json.dumps({"count": value}))


def test_the_limit_of_plain_numbers_is_2_to_the_53() -> None:
    assert Counted(count=2**53 - 1).model_dump_json() == '{"count":9007199254740991}'
    assert Counted(count=2**53).model_dump_json() == '{"count":"9007199254740992"}'
    assert Counted.model_validate_json('{"count":9007199254740991}').count == 2**53 - 1
    assert Counted.model_validate_json('{"count":"9007199254740992"}').count == 2**53
