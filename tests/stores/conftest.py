"""The servers that tests of stores run against."""

from tests.servers.mongodb import mongodb

__all__ = ["mongodb"]
