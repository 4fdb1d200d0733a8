"""The lineage, of which these tests look at one part."""

from tests.lineage.conftest import lineage, stages

__all__ = ["lineage", "stages"]
