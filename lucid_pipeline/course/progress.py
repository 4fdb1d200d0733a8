"""Where a session goes on: which stage comes next, from how far it has come and whether it has failed since."""

from collections.abc import Collection

from lucid_pipeline.course.stages import ENCRYPTED_CHUNKS, LINEAGE
from lucid_pipeline.stores.catalog import SessionRecord, Standing, State

_STAGES_DONE = {
    State.REGISTERED: 0,
    State.RECORDED: 1,
    State.CHUNKED: 2,
    State.ENCRYPTED: 3,
    State.HASHED: 4,
}
"""How many stages of the lineage a session that has not ended has behind it."""


def stages_done(record: SessionRecord) -> tuple[str, ...]:
    """The stages that a session has behind it."""
    if record.state is State.SEALED:
        return LINEAGE
    if record.state is State.DUPLICATE:
        return LINEAGE[: LINEAGE.index(ENCRYPTED_CHUNKS) + 1]
    return LINEAGE[: _STAGES_DONE[record.state]]


def stages_left(record: SessionRecord) -> tuple[str, ...]:
    """The stages that a session has before it; none for one that has ended."""
    if record.state not in _STAGES_DONE:
        return ()
    return LINEAGE[_next(Standing(record.state, record.failure is not None)) :]


def standings_before(stages: Collection[str]) -> list[Standing]:
    """All points at which one of these stages comes next."""
    everywhere = [Standing(state, failed) for state in _STAGES_DONE for failed in (False, True)]
    return [standing for standing in everywhere if LINEAGE[_next(standing)] in stages]


def _next(standing: Standing) -> int:
    """The index of the stage to go on with: after a failure the one before it, which may have been at fault."""
    done = _STAGES_DONE[standing.state]
    return max(0, done - 1) if standing.failed else done
