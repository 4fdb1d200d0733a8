"""JSON that no honest writer makes: keys that stand twice, fields nobody knows, numbers and texts out of bounds.

Documents are parsed into `Members`, which keep the order and may hold a key twice, and written back without any spaces.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

Path = tuple[str | int, ...]
Forge = Callable[[bytes], bytes]

DEEP = 100_000


class Members(list[tuple[str, Any]]):
    """An object of a JSON document: its members, in order."""


class Raw(str):
    """Text that stands in a JSON document as it is."""


def parse(data: bytes) -> Members:
    parsed: Members = json.loads(data, object_pairs_hook=Members)
    return parsed


def write(value: Any) -> bytes:
    return _text(value).encode("utf-8", "surrogatepass")


def _text(value: Any) -> str:
    if isinstance(value, Raw):
        return value
    if isinstance(value, Members):
        return "{" + ",".join(f"{_text(name)}:{_text(member)}" for name, member in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def objects(value: Any, path: Path = ()) -> Iterator[tuple[Path, Members]]:
    """Every object in a document, and where it stands."""
    if isinstance(value, Members):
        yield path, value
        for name, member in value:
            yield from objects(member, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from objects(item, (*path, index))


def values(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where every value of a document stands."""
    yield path
    if isinstance(value, Members):
        for name, member in value:
            yield from values(member, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from values(item, (*path, index))


def with_value(value: Any, path: Path, new: Any) -> Any:
    """The document with another value in one place."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(value, Members):
        return Members((name, with_value(item, rest, new) if name == step else item) for name, item in value)
    return [with_value(item, rest, new) if index == step else item for index, item in enumerate(value)]


def with_keys_twice(data: bytes, *, same_value: bool) -> Iterator[tuple[str, bytes]]:
    """The document once for every object in it, one of whose keys stands twice, side by side; and where that is."""
    document = parse(data)
    for path, members in objects(document):
        for at, (name, value) in enumerate(members):
            forged = Members([*members[:at], (name, value if same_value else None), *members[at:]])
            yield f"{path}/{name}", write(with_value(document, path, forged))


def with_unknown_fields(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The document once for every object in it, with a field that nobody knows, where sorting puts it."""
    document = parse(data)
    for path, members in objects(document):
        if path and path[-1] == "tags":  # tags have any name
            continue
        yield str(path), write(with_value(document, path, Members([*members, ("zzz", 1)])))


def without_fields(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The document once for every field in it, without that field."""
    document = parse(data)
    for path, members in objects(document):
        if path and path[-1] == "tags":
            continue
        for name, _ in members:
            yield f"{path}/{name}", write(with_value(document, path, Members(m for m in members if m[0] != name)))


def with_first(raw: str) -> Forge:
    """Put this text in the place of the document's first value."""

    def forge(data: bytes) -> bytes:
        first, *rest = parse(data)
        return write(Members([(first[0], Raw(raw)), *rest]))

    return forge


def _reversed(data: bytes) -> bytes:
    return write(Members(reversed(parse(data))))


def _escaped_first_key(data: bytes) -> bytes:
    """The first key with its first letter as an escape, which means the same."""
    assert data.startswith(b'{"')
    return b'{"\\u%04x' % data[2] + data[3:]


MALFORMED: dict[str, Forge] = {
    "empty": lambda _data: b"",
    "a space": lambda _data: b" ",
    "not JSON": lambda _data: b"\x00\x01\x02\x03",
    "null": lambda _data: b"null",
    "a number": lambda _data: b"1",
    "an empty object": lambda _data: b"{}",
    "an array of the document": lambda data: b"[" + data + b"]",
    "the document as text": lambda data: json.dumps(data.decode()).encode(),
    "twice the document": lambda data: data + data,
    "cut by a byte": lambda data: data[:-1],
    "cut in half": lambda data: data[: len(data) // 2],
    "without its first byte": lambda data: data[1:],
    "a byte behind it": lambda data: data + b"\x00",
    "a line break behind it": lambda data: data + b"\n",
    "a space before it": lambda data: b" " + data,
    "a space inside": lambda data: data.replace(b":", b": ", 1),
    "a comma too many": lambda data: data[:-1] + b",}",
    "a comment": lambda data: b"/**/" + data,
    "keys in another order": _reversed,
    "an escaped key": _escaped_first_key,
    "a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "UTF-16 without a mark": lambda data: data.decode().encode("utf-16-be"),
    "UTF-32": lambda data: data.decode().encode("utf-32"),
    "a byte that is not UTF-8": lambda data: data.replace(b'{"', b'{"\xff', 1),
    "a surrogate in UTF-8": with_first('"\ud800"'),
    "an escaped lone surrogate": with_first('"\\ud800"'),
    "NaN": with_first("NaN"),
    "Infinity": with_first("Infinity"),
    "minus Infinity": with_first("-Infinity"),
    "a number beyond all floats": with_first("1e400"),
    "an integer of 5,000 digits": with_first("9" * 5_000),
    "an integer above 2**53": with_first(str(2**53 + 1)),
    "a loose number": with_first("1.0"),
    "a negative zero": with_first("-0"),
    "100,000 open brackets": lambda _data: b"[" * DEEP,
    "100,000 open braces": lambda _data: b'{"a":' * DEEP,
    "100,000 nested arrays in a field": with_first("[" * DEEP + "]" * DEEP),
    "100,000 nested objects in a field": with_first('{"a":' * DEEP + "1" + "}" * DEEP),
    "500 nested arrays in a field": with_first("[" * 500 + "]" * 500),
}
