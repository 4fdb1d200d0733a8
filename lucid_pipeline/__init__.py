"""Lucid: recordings of sessions, kept confidential, provably unaltered, findable, replayable and deletable."""

__version__ = "0.1.0"
