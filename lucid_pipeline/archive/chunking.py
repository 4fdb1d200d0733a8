"""Chunk plans: where a recording is cut.

Chunks have one fixed size but for the last, so boundaries say nothing about the contents (docs/format.md, "Chunking").
"""

from collections.abc import Iterator
from dataclasses import dataclass

MIB = 1024 * 1024
CHUNK_SIZES = tuple(size * MIB for size in (1, 2, 4, 8, 16))
DEFAULT_CHUNK_SIZE = 8 * MIB
TERMINAL_CHUNK_SIZE = 1 * MIB


@dataclass(frozen=True, slots=True)
class ChunkSlice:
    """One chunk of a recording: its index and the bytes `offset` to `offset + length`."""

    index: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """How a recording of `length` bytes is cut into chunks of `chunk_size` bytes.

    An empty recording has exactly one, empty, chunk.
    """

    length: int
    chunk_size: int

    def __post_init__(self) -> None:
        if self.chunk_size not in CHUNK_SIZES:
            raise ValueError(f"a chunk has 1, 2, 4, 8 or 16 MiB, not {self.chunk_size} bytes")
        if self.length < 0:
            raise ValueError("a recording cannot have a negative length")

    def __len__(self) -> int:
        return max(1, -(-self.length // self.chunk_size))

    def __getitem__(self, index: int) -> ChunkSlice:
        if not 0 <= index < len(self):
            raise IndexError(f"chunk {index} is not in a plan of {len(self)} chunks")
        offset = index * self.chunk_size
        return ChunkSlice(index, offset, min(self.chunk_size, self.length - offset))

    def __iter__(self) -> Iterator[ChunkSlice]:
        return (self[index] for index in range(len(self)))
