"""`lucid api-key`: keys to the session API, made and deleted on its machine, where there is no browser."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from lucid_api.access import api_keys
from lucid_api.access.api_keys import ApiKey
from lucid_api.access.scopes import Role
from lucid_api.state import StateDatabase
from lucid_pipeline.archive.manifest import timestamp
from lucid_pipeline.cli.output import Json, Output, table
from lucid_pipeline.errors import UsageError
from lucid_pipeline.home import Home
from lucid_pipeline.settings import load_settings
from lucid_pipeline.stores.audit_event import Action, Entry
from lucid_pipeline.stores.audit_log import AuditLog
from lucid_pipeline.units import minute

SUBJECT = "command line"
"""Who the audit record says it was."""


def create(
    role: Annotated[Role, typer.Option(help="What its holder may do.")],
    label: Annotated[str, typer.Option(help="What to call it.")] = "made by lucid api-key",
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="How long it is valid; else until deleted.")] = None,
    as_json: Json = False,
) -> None:
    """Make a key, and tell it: this once, since only a digest of it is kept."""
    if not (label.isprintable() and 0 < len(label) <= 100):
        raise UsageError("--label takes printable text of at most 100 characters", "choose another one")
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    with _keys() as keys:
        key, text = api_keys.create(
            keys.state,
            label,
            role.scopes,
            created_by=SUBJECT,
            expires_at=expires_at,
            record=keys.recording(Action.KEY_CREATED),
        )
    Output(as_json).result({**key.document, "key": text}, _table([key]), text)


def list_keys(as_json: Json = False) -> None:
    """List all keys, without their secrets, which nobody knows."""
    with _keys() as keys:
        found = api_keys.get_all(keys.state)
    Output(as_json).result([key.document for key in found], _table(found))


def delete(
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="A key's id, as `lucid api-key list` shows it.")],
    as_json: Json = False,
) -> None:
    """Delete a key: nobody gets in by it any more, nor by a browser that was signed in with it."""
    with _keys() as keys:
        api_keys.delete(keys.state, key_id, keys.recording(Action.KEY_DELETED))
    Output(as_json).result(key_id, f"deleted the key {key_id}")


@dataclass(frozen=True, slots=True)
class _Keys:
    state: StateDatabase
    audit: AuditLog

    def recording(self, action: Action) -> Callable[[ApiKey], None]:
        """What puts a change of a key on record."""

        def record(key: ApiKey) -> None:
            details = {"key_id": key.key_id, "label": key.label, "scopes": key.may}
            self.audit.append(Entry(action, subject=SUBJECT, details=details))

        return record


@contextmanager
def _keys() -> Iterator[_Keys]:
    home = Home(load_settings())
    with home.catalog():
        pass  # a home that is not there is not made
    with closing(StateDatabase(home.settings.home)) as state, closing(home.audit_log()) as audit:
        yield _Keys(state, audit)


def _table(keys: Sequence[ApiKey]) -> Table:
    columns = ("key", "label", "scopes", "made by", "made", "expires", "used")
    return table(None, columns, [_row(key) for key in keys])


def _row(key: ApiKey) -> tuple[object, ...]:
    times = (minute(timestamp(time)) if time else "never" for time in (key.created_at, key.expires_at, key.used_at))
    return (key.key_id, key.label, key.may, key.created_by, *times)
