"""Who takes part, and how each archives one file and gets it back.

Every contestant works below a `home` directory of its own, made anew for each round. `prepare` is outside
the timed part.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measure import Command, InnerUsage, Usage, run

LIBRARY = "lucid (library)"
DAGSTER = "lucid (Dagster)"
BUCKET = "lucid (S3)"
RESTIC = "restic"
BORG = "borg"
ZSTD = "zstd -3 -T0"
ZSTD_AGE = "zstd -3 -T0 | age"

_ROOT = Path(__file__).resolve().parents[2]
_PASSWORD = "a benchmark has no secrets"


@dataclass(frozen=True)
class Sample:
    """One timed piece of work: the whole process, and for Lucid the work inside it, imports aside."""

    usage: Usage
    inner: InnerUsage | None = None

    @property
    def seconds(self) -> float:
        """What section 7 compares."""
        return self.inner.seconds if self.inner else self.usage.wall_s


class Contestant:
    """A program that archives a file; a subclass for each."""

    name: str
    needs: tuple[str, ...] = ()
    exports = True

    def missing(self) -> str | None:
        """What is not installed, or None when the contestant can take part."""
        absent = [program for program in self.needs if shutil.which(program) is None]
        return f"{', '.join(absent)} not installed" if absent else None

    def version(self) -> str:
        return "; ".join(_first_line([program, "--version"]) for program in self.needs)

    def prepare(self, home: Path) -> None:
        """Make what exists before the first recording arrives: a repository, keys."""

    def archive(self, home: Path, source: Path) -> Sample:
        """Archive `source` into the fresh `home`."""
        raise NotImplementedError

    def export(self, home: Path, source: Path, target: Path) -> Sample:
        """Restore what was archived from `source` as `target / source.name`."""
        raise NotImplementedError

    def stored_bytes(self, home: Path) -> int:
        """Sizes of all files that the archive consists of."""
        return sum(path.stat().st_size for path in (home / "archive").rglob("*") if path.is_file())


class Restic(Contestant):
    """Compression needs repository version 2, which restic 0.14 makes only when asked."""

    name = RESTIC
    needs = ("restic",)

    def version(self) -> str:
        return _first_line(["restic", "version"])

    def prepare(self, home: Path) -> None:
        self._run(home, home, "init", "--repository-version", "2")

    def archive(self, home: Path, source: Path) -> Sample:
        return Sample(self._run(home, source.parent, "backup", "--compression", "auto", source.name))

    def export(self, home: Path, source: Path, target: Path) -> Sample:
        return Sample(self._run(home, home, "restore", "latest", "--target", target))

    def _run(self, home: Path, cwd: Path, *arguments: str | Path) -> Usage:
        env = {"RESTIC_PASSWORD": _PASSWORD, "RESTIC_CACHE_DIR": str(home / "cache")}
        return run(["restic", "--quiet", "--repo", home / "archive", *arguments], cwd=cwd, env=env)


class Borg(Contestant):
    name = BORG
    needs = ("borg",)

    def prepare(self, home: Path) -> None:
        self._run(home, home, "init", "--encryption", "repokey-blake2", home / "archive")

    def archive(self, home: Path, source: Path) -> Sample:
        archive = f"{home / 'archive'}::recording"
        return Sample(self._run(home, source.parent, "create", "-C", "zstd,3", archive, source.name))

    def export(self, home: Path, source: Path, target: Path) -> Sample:
        return Sample(self._run(home, target, "extract", f"{home / 'archive'}::recording"))

    def _run(self, home: Path, cwd: Path, *arguments: str | Path) -> Usage:
        env = {"BORG_PASSPHRASE": _PASSWORD, "BORG_BASE_DIR": str(home / "base")}
        return run(["borg", *arguments], cwd=cwd, env=env)


class Zstd(Contestant):
    """Compression alone: no encryption, no integrity; the limit, not a competitor."""

    name = ZSTD
    needs = ("zstd",)

    def prepare(self, home: Path) -> None:
        (home / "archive").mkdir()

    def archive(self, home: Path, source: Path) -> Sample:
        return Sample(run(["zstd", "-3", "-T0", "-q", source, "-o", home / "archive" / "file.zst"], cwd=home))

    def export(self, home: Path, source: Path, target: Path) -> Sample:
        stored = home / "archive" / "file.zst"
        return Sample(run(["zstd", "-d", "-q", stored, "-o", target / source.name], cwd=home))


class ZstdAge(Contestant):
    """Compression and encryption to a recipient, without an archive around them."""

    name = ZSTD_AGE
    needs = ("zstd", "age", "age-keygen")

    def version(self) -> str:
        return f"age {_first_line(['age', '--version'])}"

    def prepare(self, home: Path) -> None:
        (home / "archive").mkdir()
        run(["age-keygen", "-o", home / "identity"], cwd=home)
        recipient = run(["age-keygen", "-y", home / "identity"], cwd=home).output
        (home / "recipient").write_text(recipient)

    def archive(self, home: Path, source: Path) -> Sample:
        encrypt: Command = ["age", "-R", home / "recipient", "-o", home / "archive" / "file.zst.age"]
        return Sample(run(["zstd", "-3", "-T0", "-q", "-c", source], encrypt, cwd=home))

    def export(self, home: Path, source: Path, target: Path) -> Sample:
        decrypt: Command = ["age", "-d", "-i", home / "identity", home / "archive" / "file.zst.age"]
        return Sample(run(decrypt, ["zstd", "-d", "-q", "-o", target / source.name], cwd=home))


class Lucid(Contestant):
    """A child process that runs one of the runner modules and says what the work inside it took."""

    runner: str
    imports: tuple[str, ...]

    def missing(self) -> str | None:
        absent = [module for module in self.imports if importlib.util.find_spec(module) is None]
        return f"{', '.join(absent)} cannot be imported" if absent else None

    def version(self) -> str:
        return f"Python {sys.version.split()[0]}"

    def prepare(self, home: Path) -> None:
        self._run(home, "prepare")

    def archive(self, home: Path, source: Path) -> Sample:
        sample = self._run(home, "archive", source)
        assert sample.inner
        assert sample.inner.session_id
        (home / "session-id").write_text(sample.inner.session_id)
        return sample

    def export(self, home: Path, source: Path, target: Path) -> Sample:
        session_id = (home / "session-id").read_text()
        return self._run(home, "export", session_id, target / source.name)

    def stores(self, home: Path) -> dict[str, str]:
        """The variables that say where archive and keystore are, and give access to them."""
        return {"LUCID_ARCHIVE_URL": (home / "archive").as_uri()}

    def _run(self, home: Path, *arguments: str | Path) -> Sample:
        env = {"LUCID_HOME": str(home), **self.stores(home)}
        usage = run([sys.executable, "-m", self.runner, *arguments], cwd=_ROOT, env=env)
        return Sample(usage, InnerUsage.from_json(usage.output.splitlines()[-1]))


class LucidLibrary(Lucid):
    name = LIBRARY
    runner = "tests.bench.lucid_library"
    imports = ("lucid_pipeline",)


class LucidBucket(LucidLibrary):
    """The library with archive and keystore in a bucket, of a server on this machine that keeps objects as files.

    The files lie where the other archives do. The server ends with this process, however that ends.
    """

    name = BUCKET

    def missing(self) -> str | None:
        """See the base; starts the server."""
        command = [sys.executable, "-m", "tests.servers.s3"]
        pipe = subprocess.PIPE
        self._server = subprocess.Popen(command, cwd=_ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        assert self._server.stdout
        assert self._server.stderr
        if line := self._server.stdout.readline():
            self._access: dict[str, str] = json.loads(line)
            self._buckets = Path(self._access.pop("folder"))
            return super().missing()
        return self._server.stderr.read().strip().rpartition("\n")[2]

    def prepare(self, home: Path) -> None:
        bucket = self._buckets / "lucid"
        if not bucket.is_symlink():
            bucket.symlink_to(home)
        super().prepare(home)

    def stores(self, home: Path) -> dict[str, str]:
        urls = {"LUCID_ARCHIVE_URL": "s3://lucid/archive", "LUCID_KEYSTORE_URL": "s3://lucid/keystore"}
        return {**self._access, **urls}


class LucidDagster(Lucid):
    """Archiving through the assets; export is no asset, so there is nothing to time."""

    name = DAGSTER
    runner = "tests.bench.lucid_dagster"
    imports = ("lucid_pipeline", "dagster")
    exports = False


def all_contestants() -> list[Contestant]:
    return [LucidLibrary(), LucidDagster(), LucidBucket(), Restic(), Borg(), Zstd(), ZstdAge()]


def _first_line(command: Command) -> str:
    return run(command, cwd=_ROOT).output.strip().partition("\n")[0]
