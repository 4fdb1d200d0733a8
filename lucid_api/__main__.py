"""`python -m lucid_api`: the session API, until SIGTERM or control-c."""

import logging
import sys

import uvicorn

from lucid_api.app import create_app
from lucid_pipeline.errors import LucidError, UsageError
from lucid_pipeline.settings import Settings, load_settings

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_SECONDS_TO_END = 8
"""How long responses that are under way at SIGTERM may go on."""

_MOST_CONNECTIONS = 256


def main() -> int:
    """Serve; returns the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        settings = load_settings()
        _refuse_open_doors(settings)
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(settings),
                host=settings.api_host,
                port=settings.api_port,
                access_log=False,  # Lucid writes its own, without queries
                log_config=None,
                limit_concurrency=_MOST_CONNECTIONS,
                server_header=False,
                timeout_graceful_shutdown=_SECONDS_TO_END,
            )
        )
        server.run()
    except LucidError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_status
    return 0 if server.started else 1


def _refuse_open_doors(settings: Settings) -> None:
    if not settings.api_authentication and settings.api_host not in _LOOPBACK:
        raise UsageError(
            "without authentication the session API listens on this machine only",
            "set LUCID_API_HOST=127.0.0.1, or LUCID_API_AUTHENTICATION=true",
        )


if __name__ == "__main__":
    sys.exit(main())
