"""`python -m lucid_api`: the session API, until SIGTERM or control-c."""

import logging
import os
import signal
import socket
import sys
from contextlib import closing
from datetime import timedelta
from threading import Event
from types import FrameType
from typing import NoReturn

import uvicorn
from typing_extensions import override

from lucid_api.access import sign_in_links
from lucid_api.access.sign_in import SIGN_IN
from lucid_api.app import create_app
from lucid_api.http.connections import MOST_CONNECTIONS, Connection
from lucid_api.services import Services, opened_services
from lucid_pipeline.errors import LucidError, TransientError, UsageError
from lucid_pipeline.lifeline import show_as
from lucid_pipeline.settings import Settings, load_settings
from lucid_pipeline.stores.audit_event import Action, Entry

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_SECONDS_TO_END = 6
"""How long responses that are under way at SIGTERM may go on."""


def main() -> int:
    """Serve; returns the exit status."""
    show_as("lucid-api")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)  # the server has its own while it runs, and then raises what it was sent again
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for talkative in ("httpx2", "uvicorn"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    try:
        settings = load_settings()
        _refuse_open_doors(settings)
        with opened_services(settings) as services, closing(_listening(settings)) as listener:
            config = uvicorn.Config(
                create_app(services),
                access_log=False,  # Lucid writes its own, without queries
                log_config=None,
                http=Connection,
                ws="none",
                limit_concurrency=MOST_CONNECTIONS,
                server_header=False,
                proxy_headers=settings.api_behind_proxy,
                timeout_graceful_shutdown=_SECONDS_TO_END,
            )
            _tell_where(services)
            _Server(config, services.stopping).run(sockets=[listener])
    except LucidError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_status
    return 0


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


class _Server(uvicorn.Server):
    """Tells that it is about to end as soon as it is asked to: some responses would go on for minutes."""

    def __init__(self, config: uvicorn.Config, stopping: Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._stopping.set()
        super().handle_exit(sig, frame)


def _listening(settings: Settings) -> socket.socket:
    """The socket that callers connect to; taken before anything is answered, so that a taken port is one clear line."""
    host, port = settings.api_host, settings.api_port
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        hint = "choose others with LUCID_API_HOST and LUCID_API_PORT"
        raise UsageError(f"cannot listen on {host}, port {port}: {error.strerror}", hint) from error


def _tell_where(services: Services) -> None:
    """Say where to go, and how to be let in. The link counts once, so it may stand in a log that others read later."""
    settings = services.settings
    place = settings.public_api_url
    if not settings.api_authentication:
        sys.stderr.write(f"the session API answers everybody on this machine: {place}/\n")
        return
    try:
        services.audit.append(Entry(Action.SIGN_IN_LINK_CREATED))
        token = sign_in_links.create(services.state)
    except TransientError as error:
        sys.stderr.write(f"warning: there is no link to sign in by: {error}\n")
    else:
        minutes = sign_in_links.VALID_FOR // timedelta(minutes=1)
        sys.stderr.write(f"sign in, once, within {minutes} minutes: {place}{SIGN_IN}?token={token}\n")


def _refuse_open_doors(settings: Settings) -> None:
    if not settings.api_authentication and settings.api_host not in _LOOPBACK:
        raise UsageError(
            "without authentication the session API listens on this machine only",
            "set LUCID_API_HOST=127.0.0.1, or LUCID_API_AUTHENTICATION=true",
        )


def _leave(status: int) -> NoReturn:
    """End, without waiting for threads that wait for a store: one that does not answer takes a minute to fail."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    try:
        _leave(main())
    except SystemExit as ended:
        _leave(int(ended.code or 0))
