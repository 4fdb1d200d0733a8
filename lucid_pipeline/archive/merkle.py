"""Merkle trees of RFC 9162 (section 2.1) over SHA-256.

Here: leaf and node hashes, roots, inclusion and consistency proofs and their verification. Digests are 32 bytes, leaf
indexes count from zero. What a leaf stands for is not known here (`chunk_table` says so).
"""

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from hashlib import sha256
from hmac import compare_digest

DIGEST_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()


class ProofError(ValueError):
    """A proof does not prove what it claims."""


def leaf_hash(data: bytes) -> bytes:
    """Hash of one leaf: SHA-256(00 ‖ data)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256(01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


def root_hash(leaves: Sequence[bytes]) -> bytes:
    """Merkle tree hash over leaf hashes (RFC 9162, 2.1.1). Linear in time, logarithmic in memory."""
    if not leaves:
        return EMPTY_ROOT
    complete: list[tuple[int, bytes]] = []  # complete subtrees from left to right, as (height, hash)
    for leaf in leaves:
        height, digest = 0, leaf
        while complete and complete[-1][0] == height:
            digest = node_hash(complete.pop()[1], digest)
            height += 1
        complete.append((height, digest))
    digest = complete.pop()[1]
    while complete:
        digest = node_hash(complete.pop()[1], digest)
    return digest


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The inclusion proof for the leaf at `index` (RFC 9162, 2.1.3.1), from the leaf's sibling upwards."""
    return _siblings(index, len(leaves), lambda start, stop: root_hash(leaves[start:stop]))


class HashedTree:
    """A tree of which many proofs are wanted: hashed once, and a proof then costs a step a level. 64 bytes a leaf."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._size = len(leaves)
        # For each height the hashes of the complete subtrees of 2^height leaves, one behind the other.
        self._levels = [b"".join(leaves)]
        while len(below := self._levels[-1]) >= 2 * DIGEST_BYTES:
            pairs = range(0, len(below) - DIGEST_BYTES, 2 * DIGEST_BYTES)
            self._levels.append(b"".join(sha256(b"\x01" + below[at : at + 2 * DIGEST_BYTES]).digest() for at in pairs))

    def __len__(self) -> int:
        """How many leaves there are."""
        return self._size

    def root(self) -> bytes:
        """As `root_hash`."""
        return self._root_of(0, self._size) if self._size else EMPTY_ROOT

    def inclusion_proof(self, index: int) -> list[bytes]:
        """As `inclusion_proof`."""
        return _siblings(index, self._size, self._root_of)

    def _root_of(self, start: int, stop: int) -> bytes:
        """The root over some of the leaves, of which the first has to begin a subtree of so many."""
        complete = []  # subtrees from left to right
        while start < stop:
            height = (stop - start).bit_length() - 1
            at = (start >> height) * DIGEST_BYTES
            complete.append(self._levels[height][at : at + DIGEST_BYTES])
            start += 1 << height
        return reduce(lambda right, left: node_hash(left, right), reversed(complete))


def _siblings(index: int, size: int, root_of: Callable[[int, int], bytes]) -> list[bytes]:
    """The roots beside the path from the leaf at `index` up to the root, given that over any of the leaves."""
    if not 0 <= index < size:
        raise IndexError(f"leaf {index} is not in a tree of {size} leaves")
    siblings, start, stop = list[bytes](), 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            siblings.append(root_of(middle, stop))
            stop = middle
        else:
            siblings.append(root_of(start, middle))
            start = middle
    return siblings[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check an inclusion proof (RFC 9162, 2.1.3.2).

    Raises:
        ProofError: the proof does not show that `leaf` is at `index` in the tree of `size` leaves with this `root`.
    """
    _check_digests(leaf, root, *proof)
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} is not in a tree of {size} leaves")
    digest = leaf
    for sibling, is_left in _path(index, size - 1, proof):
        digest = node_hash(sibling, digest) if is_left else node_hash(digest, sibling)
    if not compare_digest(digest, root):
        raise ProofError("the proof leads to another root")


def consistency_proof(leaves: Sequence[bytes], first: int) -> list[bytes]:
    """The proof that the tree of the `first` leaves is a prefix of the whole (RFC 9162, 2.1.4.1)."""
    if not 0 < first <= len(leaves):
        raise IndexError(f"a tree of {len(leaves)} leaves has no consistency proof from size {first}")
    return _subproof(first, leaves, whole=True)


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]) -> None:
    """Check a consistency proof (RFC 9162, 2.1.4.2).

    An empty first tree is a prefix of anything and proves nothing, so it is refused.

    Raises:
        ProofError: the proof does not show that the second tree only appended to the first.
    """
    _check_digests(*proof)
    if not 0 < first <= second:
        raise ProofError(f"no consistency proof leads from size {first} to size {second}")
    if first == second:
        if proof or not compare_digest(first_root, second_root):
            raise ProofError("trees of one size are consistent only if they are the same, by an empty proof")
        return
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    if not path:
        raise ProofError("the proof is empty")
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for sibling, is_left in _path(position, last, path[1:]):
        old = node_hash(sibling, old) if is_left else old
        new = node_hash(sibling, new) if is_left else node_hash(new, sibling)
    if not compare_digest(old, first_root):
        raise ProofError("the proof leads to another first root")
    if not compare_digest(new, second_root):
        raise ProofError("the proof leads to another second root")


def _path(position: int, last: int, proof: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each sibling on the way up from a node, and whether it stands left; `last` is the last position of the level."""
    for sibling in proof:
        if last == 0:
            raise ProofError("the proof is longer than the path to the root")
        is_left = bool(position & 1) or position == last
        while is_left and position and not position & 1:
            position, last = position >> 1, last >> 1
        yield sibling, is_left
        position, last = position >> 1, last >> 1
    if last != 0:
        raise ProofError("the proof is shorter than the path to the root")


def _split(size: int) -> int:
    """The largest power of two smaller than `size` (at least 2)."""
    return 1 << (size - 1).bit_length() - 1


def _subproof(first: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    if first == len(leaves):
        return [] if whole else [root_hash(leaves)]
    split = _split(len(leaves))
    if first <= split:
        return [*_subproof(first, leaves[:split], whole=whole), root_hash(leaves[split:])]
    return [*_subproof(first - split, leaves[split:], whole=False), root_hash(leaves[:split])]


def _check_digests(*digests: bytes) -> None:
    if any(len(digest) != DIGEST_BYTES for digest in digests):
        raise ProofError(f"every hash in a proof has {DIGEST_BYTES} bytes")
