"""The servers that tests of stores run against."""

from tests.servers.s3 import gateway

__all__ = ["gateway"]
