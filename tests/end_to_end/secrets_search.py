"""Looking for secrets in whatever a program leaves behind, in all forms in which they could have got there."""

import base64
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

_SQLITE = b"SQLite format 3\0"


def forms(secret: bytes) -> Iterator[bytes]:
    """The bytes themselves, and the texts that programs make of bytes."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    yield repr(secret)[2:-1].encode()
    yield ", ".join(map(str, secret)).encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield from (in_base64(secret, before, encode) for before in range(3))


def in_base64(secret: bytes, before: int, encode: Callable[[bytes], bytes]) -> bytes:
    """What a secret looks like in the base64 of something larger, behind so many bytes modulo 3."""
    padded = bytes(before) + secret
    return encode(padded)[-(-before * 8 // 6) : len(padded) * 8 // 6]


@dataclass(frozen=True)
class Secrets:
    """What to look for, by names under which it may be told."""

    named: Mapping[str, bytes]

    def within(self, data: bytes) -> set[str]:
        """The names of the secrets that are in these bytes."""
        return {name for name, secret in self.named.items() if any(form in data for form in forms(secret))}

    def within_file(self, path: Path) -> set[str]:
        """The names of the secrets in a file; of a database also in its values, as pages may cut them."""
        data = path.read_bytes()
        found = self.within(data) | self.within(bytes(path))
        if data.startswith(_SQLITE):
            for value in values(path):
                found |= self.within(value)
        return found

    def below(self, folder: Path) -> dict[str, set[str]]:
        """The names of the secrets in all files below a folder, by the paths that hold any."""
        files = (path for path in sorted(folder.rglob("*")) if path.is_file())
        found = {path.relative_to(folder).as_posix(): self.within_file(path) for path in files}
        return {path: names for path, names in found.items() if names}


def values(database: Path) -> Iterator[bytes]:
    """All values in a SQLite database; compressed ones also as they were before."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    data = value if isinstance(value, bytes) else str(value).encode()
                    yield data
                    yield inflated(data)


def inflated(data: bytes) -> bytes:
    try:
        return zlib.decompress(data)
    except zlib.error:
        return b""
