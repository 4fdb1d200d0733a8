"""Merkle trees of RFC 9162, compared with the definitions of the RFC written down once more."""

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucid_pipeline.archive.merkle import (
    EMPTY_ROOT,
    HashedTree,
    ProofError,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_hash,
    verify_consistency,
    verify_inclusion,
)

ALL_SIZES = range(1, 41)
SAMPLED_SIZES = [63, 64, 65, 127, 255, 256, 257, 1000, 1023, 1024, 1025]


def leaves(size: int) -> list[bytes]:
    return [leaf_hash(b"leaf %d" % index) for index in range(size)]


def naive_root(hashes: Sequence[bytes]) -> bytes:
    """RFC 9162, 2.1.1, over leaf hashes."""
    if not hashes:
        return sha256().digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return sha256(b"\x01" + naive_root(hashes[:split]) + naive_root(hashes[split:])).digest()


def test_hashes_are_those_of_the_rfc() -> None:
    assert leaf_hash(b"") == sha256(b"\x00").digest()
    assert leaf_hash(b"abc") == sha256(b"\x00abc").digest()
    assert node_hash(b"l" * 32, b"r" * 32) == sha256(b"\x01" + b"l" * 32 + b"r" * 32).digest()
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("size", [0, *ALL_SIZES, *SAMPLED_SIZES])
def test_a_root_is_that_of_the_definition(size: int) -> None:
    assert root_hash(leaves(size)) == naive_root(leaves(size))


@pytest.mark.parametrize("size", ALL_SIZES)
def test_every_leaf_has_an_inclusion_proof(size: int) -> None:
    hashes = leaves(size)
    root = root_hash(hashes)
    for index, leaf in enumerate(hashes):
        verify_inclusion(leaf, index, size, inclusion_proof(hashes, index), root)


@pytest.mark.parametrize("size", [0, *ALL_SIZES, *SAMPLED_SIZES])
def test_a_tree_that_was_hashed_once_gives_the_same_root_and_proofs(size: int) -> None:
    hashes = leaves(size)
    tree = HashedTree(hashes)
    assert len(tree) == size
    assert tree.root() == naive_root(hashes)
    for index in range(0, size, 1 + size // 50):
        assert tree.inclusion_proof(index) == inclusion_proof(hashes, index)
    for outside in (-1, size):
        with pytest.raises(IndexError, match="is not in a tree"):
            tree.inclusion_proof(outside)


@pytest.mark.parametrize("size", ALL_SIZES)
def test_every_earlier_tree_is_consistent(size: int) -> None:
    hashes = leaves(size)
    root = root_hash(hashes)
    for first in range(1, size + 1):
        verify_consistency(first, size, root_hash(hashes[:first]), root, consistency_proof(hashes, first))


@pytest.mark.parametrize("size", SAMPLED_SIZES)
def test_larger_trees_have_proofs_too(size: int) -> None:
    hashes = leaves(size)
    root = root_hash(hashes)
    for index in {0, 1, size // 3, size // 2, size - 2, size - 1}:
        proof = inclusion_proof(hashes, index)
        assert len(proof) <= (size - 1).bit_length()
        verify_inclusion(hashes[index], index, size, proof, root)
        first = index + 1
        proof = consistency_proof(hashes, first)
        assert len(proof) <= (size - 1).bit_length() + 1
        verify_consistency(first, size, root_hash(hashes[:first]), root, proof)


@given(st.data())
def test_a_wrong_inclusion_proof_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 40))
    index = data.draw(st.integers(0, size - 1))
    hashes = leaves(size)
    leaf, proof, root = hashes[index], inclusion_proof(hashes, index), root_hash(hashes)
    kinds = ["leaf", "root", "index", "size", "longer", "node" if proof else "root", "shorter" if proof else "leaf"]
    kind = data.draw(st.sampled_from(kinds))
    if kind == "leaf":
        leaf = flipped(leaf, data)
    elif kind == "root":
        root = flipped(root, data)
    elif kind == "index":
        index = data.draw(st.integers(-2, 2**64).filter(lambda other: other != index))
    elif kind == "size":
        size = data.draw(st.integers(0, 2**20).filter(lambda other: not same_path(index, size, other)))
    elif kind == "longer":
        proof.insert(data.draw(st.integers(0, len(proof))), data.draw(st.sampled_from([root, leaf, EMPTY_ROOT])))
    else:
        at = data.draw(st.integers(0, len(proof) - 1))
        proof[at : at + 1] = [flipped(proof[at], data)] if kind == "node" else []
    with pytest.raises(ProofError):
        verify_inclusion(leaf, index, size, proof, root)


@given(st.data())
def test_a_wrong_consistency_proof_is_refused(data: st.DataObject) -> None:
    second = data.draw(st.integers(2, 40))
    first = data.draw(st.integers(1, second - 1))
    hashes = leaves(second)
    proof, roots = consistency_proof(hashes, first), [root_hash(hashes[:first]), root_hash(hashes)]
    kind = data.draw(st.sampled_from(["first root", "second root", "swapped", "first", "longer", "shorter", "node"]))
    if kind.endswith("root"):
        at = kind == "second root"
        roots[at] = flipped(roots[at], data)
    elif kind == "swapped":
        roots.reverse()
    elif kind == "first":
        first = data.draw(st.integers(-1, 50).filter(lambda other: other != first))
    elif kind == "longer":
        proof.insert(data.draw(st.integers(0, len(proof))), data.draw(st.sampled_from([*roots, *proof, EMPTY_ROOT])))
    else:
        at = data.draw(st.integers(0, len(proof) - 1))
        proof[at : at + 1] = [flipped(proof[at], data)] if kind == "node" else []
    with pytest.raises(ProofError):
        verify_consistency(first, second, *roots, proof)


@given(st.data())
def test_a_proof_from_a_rewritten_history_is_refused(data: st.DataObject) -> None:
    second = data.draw(st.integers(2, 40))
    first = data.draw(st.integers(1, second - 1))
    changed = data.draw(st.integers(0, first - 1))
    hashes = leaves(second)
    old_root = root_hash(hashes[:first])
    hashes[changed] = leaf_hash(b"rewritten")
    with pytest.raises(ProofError):
        verify_consistency(first, second, old_root, root_hash(hashes), consistency_proof(hashes, first))


@given(st.integers(1, 40), st.integers(1, 40))
def test_trees_of_one_size_are_consistent_only_if_they_are_the_same(size: int, other: int) -> None:
    root = root_hash(leaves(size))
    verify_consistency(size, size, root, root, [])
    with pytest.raises(ProofError, match="empty proof"):
        verify_consistency(size, size, root, root, [root])
    if other != size:
        with pytest.raises(ProofError, match="only if they are the same"):
            verify_consistency(size, size, root, root_hash(leaves(other)), [])


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 1), (0, 8), (-1, 1), (2, 1), (9, 8)])
def test_no_consistency_leads_from_an_empty_tree_or_back(first: int, second: int) -> None:
    with pytest.raises(ProofError, match="no consistency proof leads"):
        verify_consistency(first, second, EMPTY_ROOT, root_hash(leaves(max(0, second))), [])


@pytest.mark.parametrize(("size", "index"), [(0, 0), (1, 1), (1, -1), (7, 7), (7, 2**64)])
def test_a_leaf_outside_the_tree_has_no_proof(size: int, index: int) -> None:
    with pytest.raises(IndexError, match="not in a tree"):
        inclusion_proof(leaves(size), index)
    with pytest.raises(ProofError, match="not in a tree"):
        verify_inclusion(leaf_hash(b""), index, size, [], root_hash(leaves(size)))


@pytest.mark.parametrize(("size", "first"), [(0, 0), (3, 0), (3, -1), (3, 4)])
def test_a_size_outside_the_tree_has_no_consistency_proof(size: int, first: int) -> None:
    with pytest.raises(IndexError, match="no consistency proof"):
        consistency_proof(leaves(size), first)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_hash_of_another_length_proves_nothing(length: int) -> None:
    """A node's two halves are not separated, so their lengths must not vary."""
    hashes, odd = leaves(4), b"x" * length
    root, proof = root_hash(hashes), inclusion_proof(hashes, 0)
    with pytest.raises(ProofError, match="32 bytes"):
        verify_inclusion(odd, 0, 4, proof, root)
    with pytest.raises(ProofError, match="32 bytes"):
        verify_inclusion(hashes[0], 0, 4, [odd, proof[1]], root)
    with pytest.raises(ProofError):
        verify_inclusion(hashes[0], 0, 4, proof, odd)
    with pytest.raises(ProofError, match="32 bytes"):
        verify_consistency(2, 4, root_hash(hashes[:2]), root, [odd])
    with pytest.raises(ProofError):
        verify_consistency(2, 4, odd, root, consistency_proof(hashes, 2))
    with pytest.raises(ProofError):
        verify_consistency(2, 4, root_hash(hashes[:2]), odd, consistency_proof(hashes, 2))


def test_a_split_between_two_hashes_cannot_be_moved() -> None:
    left, right = leaves(2)
    joined, root = left + right, root_hash([left, right])
    with pytest.raises(ProofError):
        verify_inclusion(joined[:31], 0, 2, [joined[31:]], root)


def test_an_inner_node_is_no_leaf() -> None:
    hashes = leaves(4)
    node, sibling = root_hash(hashes[:2]), root_hash(hashes[2:])
    with pytest.raises(ProofError):
        verify_inclusion(node, 0, 4, [sibling], root_hash(hashes))
    assert leaf_hash(hashes[0] + hashes[1]) != node


def flipped(digest: bytes, data: st.DataObject) -> bytes:
    changed = bytearray(digest)
    changed[data.draw(st.integers(0, 31))] ^= 1 << data.draw(st.integers(0, 7))
    return bytes(changed)


def same_path(index: int, one: int, other: int) -> bool:
    """Whether a leaf's way up has the same shape in trees of both sizes, so that its proof holds for both."""

    def shape(size: int) -> list[str] | None:
        if index >= size:
            return None
        position, last, steps = index, size - 1, []
        while last:
            if position & 1 or position < last:
                steps.append("left" if position & 1 else "right")
            position, last = position >> 1, last >> 1
        return steps

    return shape(one) == shape(other)
