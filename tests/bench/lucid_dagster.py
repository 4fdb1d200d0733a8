"""Runner: what `lucid archive FILE` does, through the Dagster assets in this process."""

import contextlib
import io
import json
import tempfile
from pathlib import Path

# The command line imports Dagster and the code locations only where it needs them: here, before the clock starts.
import lucid_pipeline.processor.definitions
import lucid_pipeline.recorder.definitions
import lucid_pipeline.storage.definitions  # noqa: F401
from lucid_pipeline.cli.main import app
from tests.bench.runner import main


class DagsterWork:
    def prepare(self) -> None:
        _lucid("init")

    def warm_up(self) -> None:
        """Archive a few bytes, for Dagster imports much of itself only when it first runs something."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"warm-up")
            file.flush()
            self.archive(Path(file.name))

    def archive(self, recording: Path) -> str:
        (session,) = json.loads(_lucid("archive", "--json", str(recording)))["sessions"]
        return str(session["session_id"])

    def export(self, session_id: str, target: Path) -> None:
        _lucid("export", session_id, "-o", str(target))


def _lucid(*arguments: str) -> str:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        app(list(arguments), standalone_mode=False)
    return output.getvalue()


if __name__ == "__main__":
    main(DagsterWork())
