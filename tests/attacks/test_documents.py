"""Documents that are not what they have to be to the byte: envelope, manifest, chunk table, sealed metadata, key slot.

The envelope is forged by someone who writes the archive, the key slot by someone who writes the keystore. All others
are signed or encrypted as they have to be, by a sealer or a writer gone bad: nothing but their contents is wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucid_pipeline.archive.damage import DamageCode
from tests.attacks import json_forgery
from tests.attacks.json_forgery import MALFORMED, Forge
from tests.attacks.support import Outcome, Session, inspect, refused, three_chunks, unreadable, verify


@dataclass(frozen=True)
class Kind:
    """One kind of document: how to find it in a session and how to put other bytes in its place."""

    read: Callable[[Session], bytes]
    replace: Callable[[Session, bytes], None]
    outcome: Callable[[Session], Outcome]


def _replace_envelope(session: Session, data: bytes) -> None:
    session.archive.objects[session.manifest_name] = data


def _replace_slot(session: Session, data: bytes) -> None:
    session.keystore.objects[session.slot_name] = data


KINDS = {
    "envelope": Kind(
        read=lambda session: session.archive.objects[session.manifest_name],
        replace=_replace_envelope,
        outcome=lambda session: refused(session, DamageCode.MANIFEST_MALFORMED),
    ),
    "manifest": Kind(
        read=lambda session: session.manifest.encode(),
        replace=lambda session, data: session.sign_payload(data),
        outcome=lambda session: refused(session, DamageCode.MANIFEST_MALFORMED),
    ),
    "chunk table": Kind(
        read=lambda session: session.table.encode(),
        replace=lambda session, data: session.store_table(data),
        outcome=lambda session: refused(session, DamageCode.CHUNK_TABLE_MISMATCH),
    ),
    "sealed metadata": Kind(
        read=lambda session: session.metadata.encode(),
        replace=lambda session, data: session.store_metadata(data),
        outcome=lambda session: unreadable(session, DamageCode.SEALED_MISMATCH),
    ),
    "key slot": Kind(
        read=lambda session: session.keystore.objects[session.slot_name],
        replace=_replace_slot,
        outcome=lambda session: unreadable(session, DamageCode.DECRYPT_FAILED),
    ),
}

each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def _replaced(kind: Kind, data: bytes) -> tuple[Session, Outcome]:
    """A session with another document of this kind, and how it is to be refused."""
    session = three_chunks()
    expected = kind.outcome(session)
    kind.replace(session, data)
    return session, expected


def _forged(kind: Kind, forge: Forge) -> tuple[Session, Outcome]:
    return _replaced(kind, forge(kind.read(three_chunks())))


@each_kind
def test_forging_a_document_as_it_was_changes_nothing(kind: Kind) -> None:
    """The means of the other tests add no damage of their own."""
    session, _ = _forged(kind, lambda data: json_forgery.write(json_forgery.parse(data)))
    assert inspect(session) == Outcome((), (), (None, None, None), None)


@pytest.mark.parametrize("forge", MALFORMED.values(), ids=MALFORMED)
@each_kind
def test_what_is_not_canonical_json_is_refused(kind: Kind, forge: Forge) -> None:
    session, expected = _forged(kind, forge)
    assert inspect(session) == expected


@pytest.mark.parametrize("same_value", [True, False], ids=["the same value", "another value"])
@each_kind
def test_a_key_that_stands_twice_is_refused_at_every_level(kind: Kind, same_value: bool) -> None:
    for where, data in json_forgery.with_keys_twice(kind.read(three_chunks()), same_value=same_value):
        session, expected = _replaced(kind, data)
        assert inspect(session) == expected, where


@each_kind
def test_a_field_that_nobody_knows_is_refused_at_every_level(kind: Kind) -> None:
    for where, data in json_forgery.with_unknown_fields(kind.read(three_chunks())):
        session, expected = _replaced(kind, data)
        assert inspect(session) == expected, where


@each_kind
def test_a_field_that_is_missing_is_refused_at_every_level(kind: Kind) -> None:
    for where, data in json_forgery.without_fields(kind.read(three_chunks())):
        session, expected = _replaced(kind, data)
        assert inspect(session) == expected, where


WRONG_VALUES: list[Any] = [
    True,
    False,
    -1,
    0.5,
    2**53 - 1,
    str(2**53),
    "",
    "x",
    "\0",
    "0" * 64,
    [],
    [0],
    None,
    {},
    2**31,
]

any_json = st.recursive(
    st.sampled_from(WRONG_VALUES) | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)


@each_kind
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_value_in_any_place_is_damage_or_harmless(kind: Kind, data: st.DataObject) -> None:
    """`inspect` lets nothing but damage pass, and no byte that is not the recording's."""
    session = three_chunks()
    document = json_forgery.parse(kind.read(session))
    path = data.draw(st.sampled_from(sorted(json_forgery.values(document), key=str)))
    kind.replace(session, json_forgery.write(json_forgery.with_value(document, path, data.draw(any_json))))
    inspect(session)


def _with_session_id(change: Callable[[str], str]) -> Forge:
    def forge(data: bytes) -> bytes:
        document = json_forgery.parse(data)
        (session_id,) = [value for name, value in document if name == "session_id"]
        return json_forgery.write(json_forgery.with_value(document, ("session_id",), change(session_id)))

    return forge


@pytest.mark.parametrize(
    "change",
    [str.upper, lambda text: text.replace("-", ""), lambda text: f"{{{text}}}", lambda text: f"urn:uuid:{text}"],
    ids=["upper case", "without hyphens", "in braces", "as a URN"],
)
@pytest.mark.parametrize("name", ["manifest", "chunk table", "key slot"])
def test_a_session_id_is_written_in_one_way(name: str, change: Callable[[str], str]) -> None:
    session, expected = _forged(KINDS[name], _with_session_id(change))
    assert inspect(session) == expected


def _rename(old: str, new: str) -> Forge:
    def forge(data: bytes) -> bytes:
        members = ((new if name == old else name, value) for name, value in json_forgery.parse(data))
        return json_forgery.write(json_forgery.Members(sorted(members)))

    return forge


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        pytest.param(KINDS["envelope"], "payloadType", "payload_type", id="envelope"),
        *(
            pytest.param(KINDS[name], "schema", "schema_", id=name)
            for name in ("manifest", "chunk table", "sealed metadata", "key slot")
        ),
    ],
)
def test_a_field_has_the_name_that_the_format_gives_it(kind: Kind, old: str, new: str) -> None:
    session, expected = _forged(kind, _rename(old, new))
    assert inspect(session) == expected


@pytest.mark.parametrize("name", ["payload", "sig", "wrapped"])
def test_base64_has_no_stray_bits(name: str) -> None:
    """The last character before the padding carries bits that decoding drops: another text for the same bytes."""
    kind = KINDS["key slot" if name == "wrapped" else "envelope"]
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    def forge(data: bytes) -> bytes:
        start = data.index(b'"%b":"' % name.encode()) + len(name) + 4
        end = data.index(b"=", start)
        last = alphabet[alphabet.index(data[end - 1]) + 1]
        return data[: end - 1] + bytes([last]) + data[end:]

    session, expected = _forged(kind, forge)
    assert inspect(session) == expected


@pytest.mark.parametrize("wrong", ["-_", "AA", "A===", "AAA", " AA==", "AA==\n", "AA==AA==", "ÄÄ=="])
def test_base64_is_written_in_one_way(session: Session, wrong: str) -> None:
    document = json_forgery.parse(KINDS["envelope"].read(session))
    signature = json_forgery.Members([("keyid", session.signing_key.public.id), ("sig", wrong)])
    _replace_envelope(session, json_forgery.write(json_forgery.with_value(document, ("signatures", 0), signature)))
    assert inspect(session) == refused(session, DamageCode.MANIFEST_MALFORMED)


DIGESTS: dict[str, Any] = {
    "upper case": lambda digest: digest.upper(),
    "too short": lambda digest: digest[:-2],
    "too long": lambda digest: digest + "00",
    "of odd length": lambda digest: digest[:-1],
    "not hexadecimal": lambda digest: "g" + digest[1:],
    "with spaces": lambda digest: " ".join(digest[at : at + 2] for at in range(0, 64, 2)),
    "with a prefix": lambda digest: "0x" + digest[2:],
    "a number": lambda _digest: 1,
    "null": lambda _digest: None,
    "a list": lambda digest: list(bytes.fromhex(digest)),
}


@pytest.mark.parametrize("change", DIGESTS.values(), ids=DIGESTS)
def test_a_digest_is_written_in_one_way(session: Session, change: Callable[[str], Any]) -> None:
    document = json_forgery.parse(session.manifest.encode())
    (digest,) = [value for name, value in document if name == "sealed_sha256"]
    digest = digest if digest.upper() != digest else "ab" * 32
    session.sign_payload(json_forgery.write(json_forgery.with_value(document, ("sealed_sha256",), change(digest))))
    assert inspect(session) == refused(session, DamageCode.MANIFEST_MALFORMED)


NUMBERS: dict[str, Any] = {
    "negative": -1,
    "a boolean": True,
    "a fraction": 1.5,
    "null": None,
    "a small number as text": "1",
    "2**64 as text": str(2**64),
    "2**53 as text, with a zero before it": f"0{2**53}",
    "text that is no number": "many",
    "other digits": "\N{ARABIC-INDIC DIGIT NINE}" * 17,
    "5,000 digits": "9" * 5_000,
}


@pytest.mark.parametrize("number", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize(
    ("kind", "path"),
    [
        pytest.param(KINDS["manifest"], ("streams", 0, "stored_bytes"), id="stored bytes"),
        pytest.param(KINDS["chunk table"], ("objects", 1, "length"), id="object length"),
        pytest.param(KINDS["sealed metadata"], ("chunks", 1, "offset"), id="row offset"),
    ],
)
def test_a_count_is_written_in_one_way(kind: Kind, path: json_forgery.Path, number: object) -> None:
    session, expected = _forged(
        kind, lambda data: json_forgery.write(json_forgery.with_value(json_forgery.parse(data), path, number))
    )
    assert inspect(session) == expected


# What is said of a document never quotes it: the text goes to logs, terminals and web pages.

HOSTILE_NAMES = {
    "a terminal escape": "\x1b]0;owned\x07\x1b[2J",
    "a line break": "fine\nall sessions are intact",
    "markup": "[link=https://example.org]click[/link]<script>",
    "a very long name": "z" * 100_000,
    "a direction override": "\N{RIGHT-TO-LEFT OVERRIDE}gpj",
}


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
@each_kind
def test_a_report_does_not_repeat_what_a_forged_document_says(kind: Kind, name: str) -> None:
    document = json_forgery.parse(kind.read(three_chunks()))
    members = sorted([*document, (name, 1)], key=lambda member: member[0].encode("utf-16-be"))
    session, _ = _replaced(kind, json_forgery.write(json_forgery.Members(members)))
    (damage,) = verify(session, deep=True).damages
    assert name not in damage.detail
    assert str(damage).isprintable()
    assert len(str(damage)) < 1_000


def test_a_report_does_not_repeat_what_was_sealed() -> None:
    session = three_chunks()
    document = json_forgery.parse(session.metadata.encode())
    tags = json_forgery.Members([("hush-hush", 1)])
    session.store_metadata(json_forgery.write(json_forgery.with_value(document, ("recording", "tags"), tags)))
    (damage,) = verify(session, deep=True).damages
    assert damage.code is DamageCode.SEALED_MISMATCH
    assert "hush-hush" not in str(damage)


@pytest.mark.parametrize("value", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("envelope", ("payload",)),
        ("envelope", ("signatures", 0, "keyid")),
        ("manifest", ("session_id",)),
        ("manifest", ("created_at",)),
        ("manifest", ("suite",)),
        ("chunk table", ("objects", 0, "key")),
        ("chunk table", ("objects", 0, "sha256")),
        ("sealed metadata", ("schema",)),
        ("key slot", ("recipient_id",)),
    ],
)
def test_a_report_does_not_repeat_a_value_that_is_refused(name: str, path: json_forgery.Path, value: str) -> None:
    kind = KINDS[name]
    document = json_forgery.parse(kind.read(three_chunks()))
    session, _ = _replaced(kind, json_forgery.write(json_forgery.with_value(document, path, value)))
    (damage,) = verify(session, deep=True).damages
    assert value not in damage.detail
    assert str(damage).isprintable()
    assert len(str(damage)) < 1_000
