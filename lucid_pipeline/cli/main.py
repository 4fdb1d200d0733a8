"""The entry point of `lucid`: its commands, and how they end.

Exit status 0 is good, 1 says that damage or a failure was found, 2 that the command was used wrongly, 128 and a
signal's number that this signal ended it.
"""

import functools
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, ParamSpec, TypeVar

import typer

from lucid_pipeline import __version__
from lucid_pipeline.cli.commands import api_key
from lucid_pipeline.cli.commands.archive import archive
from lucid_pipeline.cli.commands.copy_archive import copy_archive
from lucid_pipeline.cli.commands.demo import demo
from lucid_pipeline.cli.commands.export import export
from lucid_pipeline.cli.commands.init import init
from lucid_pipeline.cli.commands.rebuild_catalog import rebuild_catalog
from lucid_pipeline.cli.commands.retry import retry
from lucid_pipeline.cli.commands.sessions import list_sessions, show
from lucid_pipeline.cli.commands.up import up
from lucid_pipeline.cli.commands.verify import verify
from lucid_pipeline.cli.signals import interrupt_on_signals
from lucid_pipeline.errors import LucidError
from lucid_pipeline.paths import printable

P = ParamSpec("P")
R = TypeVar("R")

_WRONG_USAGE = 2

app = typer.Typer(
    help="Recordings of sessions: confidential, provably unaltered, findable.",
    add_completion=False,
    pretty_exceptions_enable=False,  # they would print local variables, and those can be keys
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    if version:
        typer.echo(f"lucid {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(_WRONG_USAGE)


def _reporting(command: Callable[P, R]) -> Callable[P, R]:
    """The command, with every error told in one line."""

    @functools.wraps(command)
    def reporting(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            result = command(*args, **kwargs)
            sys.stdout.flush()
        except LucidError as error:
            _tell(f"error: {error}")
            raise typer.Exit(error.exit_status) from None
        except KeyboardInterrupt:
            _tell("interrupted; the same command goes on where this one stopped")
            raise typer.Abort from None
        except OSError as error:
            _tell_failed_call(error)
            raise typer.Exit(1) from None
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:  # noqa: BLE001 - a traceback could show a secret
            _tell(f"error: unexpected {type(error).__name__} at {_place(error)} (a fault in Lucid, please report it)")
            raise typer.Exit(1) from None
        return result

    return reporting


def _drop_output() -> None:
    """Let what is left of standard output go nowhere: writing it again as the process ends would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell_failed_call(error: OSError) -> None:
    _drop_output()
    if not isinstance(error, BrokenPipeError):
        _tell(f"error: {error.strerror}: {error.filename or 'while writing'} (mend it, then do the same again)")


def _tell(line: str) -> None:
    with suppress(OSError):  # the terminal may be what has gone
        sys.stderr.write(printable(line) + "\n")


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "an unknown place"


for _name, _command in (
    ("init", init),
    ("demo", demo),
    ("archive", archive),
    ("list", list_sessions),
    ("show", show),
    ("verify", verify),
    ("export", export),
    ("up", up),
    ("retry", retry),
    ("rebuild-catalog", rebuild_catalog),
    ("copy-archive", copy_archive),
):
    app.command(_name)(_reporting(_command))

_keys = typer.Typer(help="Keys to the session API, for where there is no browser.", rich_markup_mode=None)
_keys.command("create")(_reporting(api_key.create))
_keys.command("list")(_reporting(api_key.list_keys))
_keys.command("delete")(_reporting(api_key.delete))
app.add_typer(_keys, name="api-key")


def main() -> None:
    """Run the command line, and end the process with its exit status."""
    interrupted = interrupt_on_signals()
    try:
        status = app(standalone_mode=False)
        sys.stdout.flush()
    except typer.Abort:
        status = interrupted()
    except OSError as error:
        _tell_failed_call(error)
        status = 1
    except typer.TyperException as error:
        _tell(f"error: {_one_line(error)} (see: lucid --help)")
        status = _WRONG_USAGE
    sys.exit(status)


def _one_line(error: typer.TyperException) -> str:
    message = getattr(error, "format_message", error.__str__)()
    return " ".join(message.split())
