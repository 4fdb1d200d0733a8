"""What Lucid's own vectors have in common: how they write down long bytes, and how those are put together again."""

from collections.abc import Mapping, Sequence


def plaintext(length: int) -> bytes:
    """The plaintext of this length: byte i is (7 i + i // 256) mod 256."""
    return bytes((7 * i + i // 256) % 256 for i in range(length))


def assemble(parts: Sequence[str | Sequence[str | int]], bases: Mapping[str, bytes]) -> bytes:
    """Bytes from parts: hex digits, or (name, start, stop) for a slice of the bytes of another vector."""
    return b"".join(
        bytes.fromhex(part) if isinstance(part, str) else bases[part[0]][part[1] : part[2]] for part in parts
    )
