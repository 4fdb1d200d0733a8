"""What it takes to play recordings; a service has it where it holds an identity."""

from dataclasses import dataclass
from typing import Self

from lucid_api.playback.open_sessions import OpenSessions
from lucid_api.playback.playbacks import Playbacks
from lucid_api.playback.transcripts import Transcripts
from lucid_api.proofs.proven import ProvenSessions
from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.archive.reader import Keys


@dataclass(frozen=True, slots=True)
class Playing:
    """Sessions that are open, bytes that are on their way, and transcripts that have been made."""

    sessions: OpenSessions
    playbacks: Playbacks
    transcripts: Transcripts

    @classmethod
    def of(cls, archive: ObjectStore, keys: Keys, proven: ProvenSessions, *, at_once: int, workers: int) -> Self:
        """Nothing is open yet."""
        return cls(OpenSessions(archive, keys, proven), Playbacks(at_once, workers), Transcripts())
