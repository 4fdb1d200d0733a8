"""Two attempts at one session, in any order of their steps, end in one verified session.

Two people may press the same button; a run whose process seems dead may live on beside the one that replaces it.
"""

import threading
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucid_pipeline.course.stages import CHUNKS, ENCRYPTED_CHUNKS, LINEAGE, MANIFEST, MERKLE_TREE, RECORDING
from lucid_pipeline.stores.catalog import Seal, State
from tests.lineage.support import Lineage, Stages, open_home
from tests.support import text

RECORDED = text(5000)
SALT = slice(40, 64)


def assert_one_verified_session(stages: Stages, session_id: UUID) -> None:
    """Sealed once, whole to those who hold its key, and known to the catalog as it lies in the archive."""
    assert len(stages.manifests()) == 1
    record = stages.record(session_id)
    assert record.state is State.SEALED
    assert record.failure is None
    report = stages.verify(session_id)
    assert report.damages == []
    assert report.signed
    assert record.seal == Seal.of(report.signed)
    assert stages.export(session_id) == RECORDED


def salts(stages: Stages) -> list[bytes]:
    """The salts of all chunk objects and all sealed metadata in the archive."""
    return [data[SALT] for data in stages.objects().values() if data.startswith(b"LUC1")]


def test_encrypting_again_takes_a_new_key_and_new_salts(lineage: Lineage) -> None:
    session_id = lineage.add(RECORDED)
    lineage.archive(session_id, upto=ENCRYPTED_CHUNKS)
    objects, slots = lineage.objects(), lineage.slots()
    assert lineage.materialize(ENCRYPTED_CHUNKS, session_id).success

    assert objects.items() < lineage.objects().items(), "what the first attempt wrote stays as it was"
    assert slots.items() < lineage.slots().items(), "either key may be the one that is sealed"
    assert len(objects) == len(slots) * 2 == 2
    assert len(lineage.objects()) == len(lineage.slots()) * 2 == 4
    assert len(set(salts(lineage))) == 4

    assert lineage.materialize(MERKLE_TREE, session_id).success
    assert lineage.materialize(MANIFEST, session_id).success
    assert_one_verified_session(lineage, session_id)


def test_encrypting_again_after_hashing_never_seals_parts_of_both(lineage: Lineage) -> None:
    """The manifest would name the chunks of one key, and the commitment of another: nobody could read it again."""
    session_id = lineage.add(RECORDED)
    lineage.archive(session_id, upto=MERKLE_TREE)
    assert lineage.materialize(ENCRYPTED_CHUNKS, session_id).success
    lineage.materialize(MANIFEST, session_id)
    for stage in (MERKLE_TREE, MANIFEST):
        lineage.materialize(stage, session_id)
    assert_one_verified_session(lineage, session_id)


@pytest.mark.parametrize("again", LINEAGE)
def test_any_stage_may_be_materialized_again_at_the_end(again: str, lineage: Lineage) -> None:
    session_id = lineage.add(RECORDED)
    lineage.archive(session_id, upto=MERKLE_TREE)
    lineage.materialize(again, session_id)
    for stage in LINEAGE[LINEAGE.index(again) + 1 :]:
        assert lineage.materialize(stage, session_id).success
    assert_one_verified_session(lineage, session_id)


class Turns:
    """Lets threads run one at a time, each up to its next step, in an order that a test has drawn."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._turn: int | None = None
        self._ended: set[int] = set()

    def step(self, attempt: int) -> None:
        """Wait for the next turn of an attempt."""
        with self._changed:
            if self._turn == attempt:
                self._turn = None
                self._changed.notify_all()
            if not self._changed.wait_for(lambda: self._turn == attempt, timeout=60):
                raise TimeoutError

    def end(self, attempt: int) -> None:
        with self._changed:
            self._ended.add(attempt)
            self._turn = None
            self._changed.notify_all()

    def let(self, attempt: int) -> None:
        """Let an attempt take one step."""
        with self._changed:
            if attempt in self._ended:
                return
            self._turn = attempt
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self._turn is None, timeout=60):
                raise TimeoutError

    def has_ended(self, attempt: int) -> bool:
        return attempt in self._ended


class Stepping:
    """A store or catalog that lets the other attempt go before each of some calls."""

    def __init__(self, port: object, calls: Collection[str], turns: Turns, attempt: int) -> None:
        self._port, self._calls, self._turns, self._attempt = port, calls, turns, attempt

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)

        def stepping(*args: object, **options: object) -> Any:
            self._turns.step(self._attempt)
            return call(*args, **options)

        return stepping if name in self._calls else call


CATALOG_CALLS = ("get", "describe", "handed_over", "hand_over", "record_seal", "record_failure")
ARCHIVE_CALLS = ("put", "get")


def work_on(stages: Stages, session_id: UUID, wanted: Sequence[str], **held: object) -> bool:
    """Do stages one after the other, as far as they succeed; says whether all did."""
    return all(stages.call(stage, session_id, **held) is None for stage in wanted)


def race(stages: Stages, session_id: UUID, starts: Sequence[int], order: Sequence[tuple[int, int]]) -> None:
    """Let two attempts run from some stage to the end, each in turn for as many steps as `order` says."""
    turns = Turns()

    def attempt(number: int) -> None:
        catalog = Stepping(stages.catalog, CATALOG_CALLS, turns, number)
        archive = Stepping(stages.home.archive(), ARCHIVE_CALLS, turns, number)
        try:
            work_on(stages, session_id, LINEAGE[starts[number] :], catalog=catalog, archive=archive)
        finally:
            turns.end(number)

    with ThreadPoolExecutor(2) as pool:
        attempts = [pool.submit(attempt, number) for number in range(2)]
        for number, steps in order:
            for _ in range(steps):
                turns.let(number)
        for number in range(2):
            while not turns.has_ended(number):
                turns.let(number)
        for running in attempts:
            running.result()


STATES = {State.RECORDED: 1, State.CHUNKED: 2, State.ENCRYPTED: 3, State.HASHED: 4, State.SEALED: 5}


def finish(stages: Stages, session_id: UUID) -> None:
    """Go on where the catalog says that the session stands, which must be enough."""
    assert work_on(stages, session_id, LINEAGE[STATES[stages.record(session_id).state] :])


@contextmanager
def new_stages() -> Iterator[Stages]:
    with TemporaryDirectory() as folder, open_home(Path(folder)) as (home, catalog):
        yield Stages(home, catalog)


@settings(max_examples=60)
@given(
    starts=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    order=st.lists(st.tuples(st.integers(0, 1), st.integers(1, 30)), max_size=10),
)
def test_however_two_attempts_interleave_one_session_is_sealed(
    starts: tuple[int, int], order: list[tuple[int, int]]
) -> None:
    with new_stages() as stages:
        session_id = stages.land(RECORDED)
        assert work_on(stages, session_id, LINEAGE[: max(starts)])
        race(stages, session_id, starts, order)
        finish(stages, session_id)
        assert_one_verified_session(stages, session_id)
        assert len(set(salts(stages))) == len(salts(stages))


ORDERS = sorted(set(permutations("AAABBB")))


@pytest.mark.parametrize("order", ORDERS, ids="".join)
def test_whole_stages_of_two_attempts_in_any_order_end_in_one_session(order: Sequence[str], stages: Stages) -> None:
    session_id = stages.land(RECORDED)
    assert work_on(stages, session_id, [RECORDING, CHUNKS])
    attempts = {name: iter((ENCRYPTED_CHUNKS, MERKLE_TREE, MANIFEST)) for name in "AB"}
    for name in order:
        work_on(stages, session_id, [next(attempts[name])])
    assert_one_verified_session(stages, session_id)
