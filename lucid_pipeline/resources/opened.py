"""The resources of each code location, opened from the settings when a run first needs them.

The lists below keep knowledge apart: the recorder holds no keys, the processor only public ones, the storage side sees
no plaintext and holds the one key that signs.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TypeVar

from dagster import InitResourceContext, ResourceDefinition, resource

from lucid_pipeline.home import Home

T = TypeVar("T")

Resources = Mapping[str, object]
"""Resources by the names that assets ask for; tests and the command line pass objects instead of definitions."""


def recorder_resources(home: Home) -> Resources:
    """For `session-recorder`: the catalog, and what it takes to verify a session before its recording is removed."""
    return {
        "catalog": _entered(home.catalog),
        "archive": _opened(home.archive),
        "trusted_keys": _opened(home.trusted_keys),
        "keys": ResourceDefinition.none_resource("this location holds no identity"),
        "settings": home.settings,
    }


def processor_resources(home: Home) -> Resources:
    """For `chunk-processor`: recipients, and the stores that it writes to."""
    return {
        "catalog": _entered(home.catalog),
        "archive": _opened(home.archive),
        "keystore": _opened(home.keystore),
        "encryption": _opened(home.encryption),
        "settings": home.settings,
        "progress": ResourceDefinition.hardcoded_resource(_unseen, "called with each number of bytes done"),
    }


def storage_resources(home: Home) -> Resources:
    """For `session-storage`: the archive, the signing key, and the public keys of all that was ever sealed."""
    return {
        "catalog": _entered(home.catalog),
        "archive": _opened(home.archive),
        "signing_key": _opened(home.signing_key),
        "trusted_keys": _opened(home.trusted_keys),
        "settings": home.settings,
    }


def _opened(open_it: Callable[[], T]) -> ResourceDefinition:
    @resource(description=_summary(open_it))
    def opened(_context: InitResourceContext) -> T:
        return open_it()

    return opened


def _entered(open_it: Callable[[], AbstractContextManager[T]]) -> ResourceDefinition:
    @resource(description=_summary(open_it))
    def entered(_context: InitResourceContext) -> Iterator[T]:
        with open_it() as opened:
            yield opened

    return entered


def _summary(function: Callable[..., object]) -> str:
    return (function.__doc__ or "").split("\n", 1)[0]


def _unseen(_bytes: int) -> None:
    """Progress that nobody watches."""
