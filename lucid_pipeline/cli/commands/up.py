"""`lucid up`: Dagster's UI, its daemon, the three code locations and the session API, in one terminal."""

import gc
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer

from lucid_pipeline.cli.output import Json, Output, facts
from lucid_pipeline.errors import LucidError, UsageError
from lucid_pipeline.home import Home
from lucid_pipeline.paths import printable
from lucid_pipeline.settings import load_settings

_HOST = "127.0.0.1"
_PORT = 3000
_LONGEST_SOCKET = 100
"""Characters; a Unix socket's path has room for 107."""

_SECONDS_TO_END = 10.0
_SECONDS_FOR_RUNS = 20.0
_SHORT = {"session-recorder": "recorder", "chunk-processor": "processor", "session-storage": "storage"}
_COLOURS = {"recorder": 36, "processor": 35, "storage": 34, "webserver": 32, "daemon": 33, "api": 31}


def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of Dagster's UI, on this machine only.")] = _PORT,
    as_json: Json = False,
) -> None:
    """Run it all: Dagster's UI and daemon, the three code locations and the session API, until control-c."""
    home, output = Home(load_settings()), Output(as_json)
    log = _Log()
    _refuse_taken_port(_HOST, port, "choose another one with --port")
    _refuse_taken_port(home.settings.api_host, home.settings.api_port, "choose another one with LUCID_API_PORT")
    _create(home, log)
    with _only_one(home) as runtime:
        _check_stores(home)
        log.say("starting Dagster's UI, its daemon, three code locations and the session API")
        _run(home, port, runtime, log, output)


def _create(home: Home, log: "_Log") -> None:
    """Make what a new home lacks, as `lucid init` does."""
    if home.create():
        log.say(f"made a home with new keys in {home.settings.home}; keep a copy of the keys elsewhere")
    with home.catalog(create=True):
        pass
    home.dagster_folder.mkdir(mode=0o700, exist_ok=True)


def _check_stores(home: Home) -> None:
    """In a process of its own: a client of a bucket starts threads, and the services are forked from this one."""
    with ProcessPoolExecutor(1, get_context("fork")) as process:
        process.submit(home.check_stores, writing=True).result()


def _refuse_taken_port(host: str, port: int, hint: str) -> None:
    with closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UsageError(f"cannot use port {port}: {error.strerror}", hint) from error


@contextmanager
def _only_one(home: Home) -> Iterator[Path]:
    """A new folder for sockets, of the one `lucid up` that a home may have.

    Sockets are in a folder that nobody else may enter, since gRPC has no login: whoever reaches a code server can run
    code in it, and any user of this machine would reach a port.
    """
    from lucid_pipeline.locks import try_lock

    path = home.dagster_folder / "up"
    lock = try_lock(path)
    known = path.read_text("utf-8").split("\n")
    if lock is None:
        raise UsageError(f"`lucid up` is running on {home.settings.home} already, process {known[0]}", "stop it first")
    if len(known) > 1:
        shutil.rmtree(known[1], ignore_errors=True)  # of one that was killed
    runtime = _runtime_folder()
    path.write_text(f"{os.getpid()}\n{runtime}", encoding="utf-8")
    try:
        yield runtime
    finally:
        shutil.rmtree(runtime, ignore_errors=True)
        path.write_text("", encoding="utf-8")
        os.close(lock)


def _runtime_folder() -> Path:
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):
        if parent and len(parent) < _LONGEST_SOCKET - 40 and os.access(parent, os.W_OK | os.X_OK):
            return Path(tempfile.mkdtemp(prefix="lucid-", dir=parent))
    raise UsageError("there is no folder for sockets with a path short enough", "set TMPDIR to a short one")


def _run(home: Home, port: int, runtime: Path, log: "_Log", output: Output) -> None:
    url = f"http://{_HOST}:{port}"
    os.environ.update(_environment(home, url))
    from lucid_pipeline.cli.probes import listens, serves
    from lucid_pipeline.cli.services import Service, Services
    from lucid_pipeline.instance import code_server
    from lucid_pipeline.instance.configuration import is_ours
    from lucid_pipeline.instance.opened import prepare_instance
    from lucid_pipeline.instance.stopping import stop_runs

    folder = home.dagster_folder
    sockets = {location: runtime / f"{_SHORT[location]}.sock" for location in code_server.MODULES}
    workspace = _write_workspace(runtime, sockets)
    webserver, daemon = _dagster(workspace, port)
    for location in sockets:
        code_server.load(location)
    gc.collect()
    gc.freeze()  # the collector would write to pages that are shared with the services

    def location_service(location: str, path: Path) -> Service:
        return Service(
            _SHORT[location],
            lambda: code_server.serve(location, socket=str(path)),
            lambda: listens(path),
        )

    locations = [location_service(location, path) for location, path in sockets.items()]
    names = [service.name for service in locations]
    others = ["daemon", "webserver", "api"]
    api_host, api_port = home.settings.local_api_host, home.settings.api_port
    services = Services(log)
    with services.running(
        [
            *locations,
            Service("webserver", webserver, lambda: serves(_HOST, port, "/server_info"), after=names),
            Service("daemon", daemon, after=names),
            Service("api", _session_api, lambda: serves(api_host, api_port, "/health/live"), after=names),
        ]
    ):
        if services.run_once(Service("instance", lambda: prepare_instance(folder))):
            raise LucidError("Dagster's storage could not be made ready", "the lines above say why")
        if not is_ours(folder):
            log.say(f"{folder / 'dagster.yaml'} is not as Lucid writes it: what Lucid relies on may be missing")
        services.watch(lambda: _tell_ready(home, url, services.pids, output))
        log.say("stopping; control-c again ends everything at once")
        services.stop(others, _SECONDS_TO_END)
        services.run_once(Service("runs", lambda: stop_runs(folder, _SECONDS_FOR_RUNS, print)))
        services.stop(names, _SECONDS_TO_END)
        log.say("stopped")


def _session_api() -> None:
    """Become the session API: a process image of its own, without Dagster, and without modules of the folder here."""
    os.execv(sys.executable, [sys.executable, "-P", "-m", "lucid_api"])


def _environment(home: Home, dagster_url: str) -> Mapping[str, str]:
    """What the services are told by variables: where everything is, whatever their working directory."""
    from lucid_pipeline.instance.configuration import environment

    return {
        **environment(home.dagster_folder),
        "LUCID_HOME": str(home.settings.home),
        "LUCID_DAGSTER_URL": dagster_url,
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }


def _write_workspace(runtime: Path, sockets: Mapping[str, Path]) -> Path:
    """Tell Dagster where the code servers listen."""
    servers = [{"grpc_server": {"socket": str(path), "location_name": name}} for name, path in sockets.items()]
    path = runtime / "workspace.yaml"
    path.write_text(json.dumps({"load_from": servers}), encoding="utf-8")
    return path


def _dagster(workspace: Path, port: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """Dagster's own webserver and daemon, as its commands start them."""
    from dagster._daemon.cli import cli as daemon_commands
    from dagster_webserver.cli import dagster_webserver

    def webserver() -> None:
        dagster_webserver(["-h", _HOST, "-p", str(port), "-w", str(workspace), "--dagster-log-level", "warning"])

    def daemon() -> None:
        daemon_commands(["run", "-w", str(workspace), "--log-level", "warning"])

    return webserver, daemon


def _tell_ready(home: Home, url: str, pids: Mapping[str, int], output: Output) -> None:
    settings = home.settings
    places = {
        "Session API": settings.public_api_url,
        "Dagster": url,
        "landing": str(settings.landing_dir),
        "home": str(settings.home),
    }
    output.result(
        {
            "api_url": places["Session API"],
            "dagster_url": url,
            "landing": places["landing"],
            "home": places["home"],
            "processes": dict(pids),
        },
        facts("Lucid is up; control-c stops it", places),
        "A browser signs in by the link that the API has told above. Dagster's UI has no login, and whoever reaches it"
        " can start runs: it answers to this machine only.",
    )
    sys.stdout.flush()


class _Log:
    """What the services say, line by line, on standard error."""

    def __init__(self) -> None:
        self._coloured = sys.stderr.isatty() and "NO_COLOR" not in os.environ
        self._start = time.monotonic()

    def say(self, line: str) -> None:
        """A line of `lucid up` itself."""
        self("lucid", line)

    def __call__(self, name: str, line: str) -> None:
        """A line of a service."""
        prefix = f"{name:<9} |"
        if self._coloured:
            prefix = f"\x1b[{_COLOURS.get(name, 1)}m{prefix}\x1b[0m"
        with suppress(OSError):  # nobody listens any more
            sys.stderr.write(f"{prefix} {printable(line)}\n")
            sys.stderr.flush()
