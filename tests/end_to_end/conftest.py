"""Homes as the command line's tests have them."""

from tests.cli.conftest import lucid, made_home

__all__ = ["lucid", "made_home"]
