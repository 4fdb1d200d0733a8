"""Runner: the archive library alone, without Dagster, catalog or command line."""

from pathlib import Path

from lucid_pipeline.archive.pipeline import archive_recording
from lucid_pipeline.archive.reader import SessionReader, load_manifest
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.archive.session_id import new_session_id, parse_session_id
from lucid_pipeline.cli.files import new_file, write_at
from lucid_pipeline.home import Home
from lucid_pipeline.settings import load_settings
from tests.bench.runner import main


class LibraryWork:
    """The library with the stores and keys that `LUCID_HOME` says."""

    def __init__(self) -> None:
        self._home = Home(load_settings())

    def prepare(self) -> None:
        self._home.create()

    def warm_up(self) -> None:
        """All has been imported."""

    def archive(self, recording: Path) -> str:
        home, session_id = self._home, new_session_id()
        archive_recording(
            recording,
            SessionMetadata(user="bench"),
            session_id,
            home.encryption(),
            home.signing_key(),
            home.archive(),
            home.keystore(),
        )
        return str(session_id)

    def export(self, session_id: str, target: Path) -> None:
        home, store = self._home, self._home.archive()
        manifest = load_manifest(parse_session_id(session_id), store, home.trusted_keys()).manifest
        reader = SessionReader.open(manifest, store, home.keys())
        with new_file(target) as descriptor:
            reader.copy_to(
                lambda part, at: write_at(descriptor, part, at), home.settings.workers, progress=lambda _count: None
            )


if __name__ == "__main__":
    main(LibraryWork())
