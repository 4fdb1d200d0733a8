"""Sessions to attack: each test has its own."""

import pytest

from tests.attacks.support import Session, new_session, one_chunk, recording_of, three_chunks


@pytest.fixture
def session() -> Session:
    """A session of three chunks."""
    return three_chunks()


@pytest.fixture
def small() -> Session:
    """A session of one chunk of 100 bytes."""
    return one_chunk()


@pytest.fixture
def other(session: Session) -> Session:
    """Another session of the same length, under the same identity and signing key."""
    return new_session(recording_of(3)[::-1], like=session)
