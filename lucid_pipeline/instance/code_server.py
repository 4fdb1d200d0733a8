"""A code server of one location, whose runs start as copies of a process that has everything loaded.

Dagster's own starts a new Python for every run, which takes seconds of CPU to load the same modules again. Here a
process is set aside before the server's first thread exists: it has the location's definitions, does nothing, and
forks a process for each run (`multiprocessing`'s fork server, which Dagster's server does not use by itself).

What is not public, and is relied on, in this one place:

- `DagsterApiServer._mp_ctx` is where the server takes the process, the queue and the event for a run from. If an
  upgrade of Dagster renames it, runs start slowly again, and a test fails.
- `multiprocessing.util.spawnv_passfds` is how the fork server is started: as a new Python, while here it is a fork.
"""

import argparse
import logging
import multiprocessing.util
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from itertools import pairwise
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any

from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.utils import FuturesAwareThreadPoolExecutor
from dagster._grpc.server import DagsterApiServer, DagsterGrpcServer
from dagster._utils.interrupts import setup_interrupt_handlers
from dagster._utils.log import configure_loggers
from typing_extensions import override

from lucid_pipeline.lifeline import end_with

MODULES = {
    "session-recorder": "lucid_pipeline.recorder.definitions",
    "chunk-processor": "lucid_pipeline.processor.definitions",
    "session-storage": "lucid_pipeline.storage.definitions",
}
"""The code locations, and where their definitions are."""

_LOADED_LATE = (
    "dagster._core.execution.plan.active",
    "dagster._core.instance.factory",
    "dagster._core.instance.runs.run_domain",
    "dagster._core.secrets.env_file",
    "dagster._core.storage.migration.utils",
    "dagster._core.storage.noop_compute_log_manager",
    "dagster._core.storage.root",
    "dagster._core.storage.schedules.sqlite",
    "dagster._core.system_config.composite_descent",
    "dagster._core.utility_ops",
    "dagster._grpc.impl",
    "fsspec.implementations.local",
    "grpc._server",
    "lucid_pipeline.instance.launcher",
    "lucid_pipeline.instance.storage",
    "upath.implementations.local",
)
"""What every run and every server would load for itself when it first opens the instance: half a second of CPU."""

_SECONDS_FOR_ANSWERS = 5
"""That requests under way have when the server is asked to end; by itself, Dagster's waits a minute."""

_THREADS = 8
"""That answer requests; each takes one only while it is answered."""


class _RunProcess(ForkServerProcess):
    """The process of a run: ends with the process it was forked from, which ends with the code server."""

    @override
    def run(self) -> None:
        end_with(os.getppid())
        super().run()


class _RunContext(ForkServerContext):
    Process = _RunProcess


class _CodeServer(DagsterApiServer):
    """Dagster's own; its processes come from the fork server."""

    def start_runs_by_forking(self) -> None:
        if hasattr(self, "_mp_ctx"):
            self._mp_ctx = _RunContext()  # type: ignore[assignment]
        else:
            self._logger.warning("This version of Dagster starts runs in another way than Lucid knows, and slowly.")


def load(location: str) -> None:
    """Load a location, with all that its runs will need. This opens no store, and starts no thread."""
    for module in _LOADED_LATE:
        with suppress(ImportError):  # moved by an upgrade: then it is loaded when it is needed
            import_module(module)
    repository = import_module(MODULES[location]).defs.get_repository_def()
    repository.load_all_definitions()


def serve(location: str, *, socket: str | None = None, port: int | None = None, host: str = "localhost") -> None:
    """Serve a location until SIGTERM or SIGINT; called in a process that has no thread but this one.

    Args:
        location: its name.
        socket: path of the Unix socket to listen on; gRPC has no login, so its folder is what protects it.
        port: the TCP port to listen on instead.
        host: at which address that is.
    """
    os.environ.setdefault("DAGSTER_GRPC_SHUTDOWN_GRACE_PERIOD", str(_SECONDS_FOR_ANSWERS))
    load(location)
    _set_fork_server_aside(location)
    # Dagster lets SIGTERM do what SIGINT does, which is nothing where a shell has started this in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    setup_interrupt_handlers()
    configure_loggers(log_level="WARNING")
    logger = logging.getLogger("dagster.code_server")
    ended = threading.Event()
    threads = FuturesAwareThreadPoolExecutor(max_workers=_THREADS)
    origin = LoadableTargetOrigin(
        executable_path=sys.executable,
        module_name=MODULES[location],
        working_directory=os.getcwd(),  # noqa: PTH109
    )
    servicer = _CodeServer(ended, logger, threads, origin, location_name=location)
    servicer.start_runs_by_forking()
    server = DagsterGrpcServer(ended, servicer, logger, threads, host=host, port=port, socket=socket)
    try:
        server.serve()  # type: ignore[no-untyped-call]
    except KeyboardInterrupt:
        logger.info("stopped")


def _set_fork_server_aside(location: str) -> None:
    """Fork the process that will fork those of runs, now that there is no thread and everything is loaded.

    Should it be killed, `multiprocessing` starts another one, as a new Python that loads the definitions itself.
    """
    server = os.getpid()
    forkserver.set_forkserver_preload([MODULES[location]])
    with _forking(lambda: None):
        resource_tracker.ensure_running()  # ends by itself, when all that use it have
    with _forking(lambda: end_with(server)):
        forkserver.ensure_running()


@contextmanager
def _forking(prepare: Callable[[], None]) -> Iterator[None]:
    """What `multiprocessing` would start as a new Python is forked from this process instead."""

    def fork(_executable: bytes, arguments: Sequence[Any], kept: Sequence[int]) -> int:
        pid = os.fork()
        if pid == 0:
            try:
                prepare()
                _close_all_but({0, 1, 2, *kept})
                forkserver._forkserver.__init__()  # type: ignore[misc] # its lock is taken just now
                exec(arguments[-1], {})
            finally:
                os._exit(0)
        return pid

    spawn = multiprocessing.util.spawnv_passfds
    multiprocessing.util.spawnv_passfds = fork  # type: ignore[assignment]
    try:
        yield
    finally:
        multiprocessing.util.spawnv_passfds = spawn


def _close_all_but(kept: set[int]) -> None:
    for below, above in pairwise([*sorted(kept), os.sysconf("SC_OPEN_MAX")]):
        os.closerange(below + 1, above)


def main() -> None:
    """`python -m lucid_pipeline.instance.code_server LOCATION`, as containers start it."""
    parser = argparse.ArgumentParser(description="Serve one of Lucid's code locations to Dagster.")
    parser.add_argument("location", choices=MODULES)
    parser.add_argument("--socket", help="Unix socket to listen on")
    parser.add_argument("--port", type=int, help="port to listen on instead")
    parser.add_argument("--host", default="localhost", help="address of the port")
    arguments = parser.parse_args()
    if bool(arguments.socket) == bool(arguments.port):
        parser.error("either --socket or --port")
    serve(arguments.location, socket=arguments.socket, port=arguments.port, host=arguments.host)


if __name__ == "__main__":
    main()
