"""What the settings name, opened: stores, catalog and keys. Nothing is opened before it is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from lucid_pipeline.archive.keyring import load_keys, save_keys
from lucid_pipeline.archive.keys import Identity, Recipient
from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.archive.reader import Keys
from lucid_pipeline.archive.signing import PublicKey, SigningKey
from lucid_pipeline.archive.writer import Encryption
from lucid_pipeline.errors import LucidError, UsageError
from lucid_pipeline.paths import is_there
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.audit_index import AuditIndex
from lucid_pipeline.stores.audit_log import FILE_NAME as AUDIT_RECORD
from lucid_pipeline.stores.audit_log import AuditLog
from lucid_pipeline.stores.catalog import Catalog
from lucid_pipeline.stores.catalog_url import catalog_exists, catalog_file, open_catalog
from lucid_pipeline.stores.keystore import Keystore
from lucid_pipeline.stores.object_store import local_folder, open_object_store


class Home:
    """Access to everything below `LUCID_HOME`, or wherever the settings put it.

    Raises:
        UsageError: places that have to be apart are not, or the URL of a store has what none has.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        home, *stores = self._own_folders
        if self._landing == home or any(self._landing.is_relative_to(store) for store in stores):
            raise UsageError(
                f"recordings cannot land in {settings.landing_dir}, which is the home or in a store",
                "give LUCID_LANDING_DIR a folder of its own",
            )

    @property
    def dagster_folder(self) -> Path:
        """Dagster's home: its runs, events and settings."""
        return self.settings.home / "dagster"

    def owns(self, path: Path) -> bool:
        """Whether a path, links followed, is Lucid's own, which nobody may archive or remove as a recording.

        That is all of the home and of the stores but for the landing folder, and the files that lie elsewhere.
        """
        landing = self._landing
        in_folder = any(
            path.is_relative_to(folder) and not (landing.is_relative_to(folder) and path.is_relative_to(landing))
            for folder in self._own_folders
        )
        return in_folder or path in self._own_files

    @cached_property
    def _landing(self) -> Path:
        return self.settings.landing_dir.resolve()

    @cached_property
    def _own_folders(self) -> list[Path]:
        settings = self.settings
        stores = (local_folder(settings.archive_url), local_folder(settings.keystore_url))
        return [folder.resolve() for folder in (settings.home, *stores) if folder]

    @cached_property
    def _own_files(self) -> set[Path]:
        settings = self.settings
        catalog = catalog_file(settings.catalog_url)
        keys = (settings.identity_file, settings.recipients_file, settings.signing_key_file, settings.trusted_keys_file)
        files = [catalog.with_name(catalog.name + ending) for ending in ("", "-wal", "-shm")] if catalog else []
        return {file.resolve() for file in (*files, *keys)}

    @contextmanager
    def catalog(self, *, create: bool = False) -> Iterator[Catalog]:
        """The catalog, closed afterwards; made, if it is not there, only where that is asked for.

        Raises:
            UsageError: there is none, or it cannot be opened.
        """
        if not create and not self.has_catalog():
            raise UsageError(
                f"there is no catalog for the home {self.settings.home}",
                "`lucid init` makes a new home, `lucid rebuild-catalog` a lost catalog",
            )
        catalog = open_catalog(self.settings.catalog_url)
        try:
            yield catalog
        finally:
            catalog.close()

    def has_catalog(self) -> bool:
        """Whether there is a catalog already; verifying and exporting need none."""
        return catalog_exists(self.settings.catalog_url)

    @property
    def audit_folder(self) -> Path:
        """Where the audit record is, and the index of it."""
        return self.settings.home / "audit"

    def audit_log(self) -> AuditLog:
        """The audit record. It is made with its first event."""
        return AuditLog(self.audit_folder)

    def audit_index(self) -> AuditIndex:
        """Where events of the audit record are found."""
        return AuditIndex(self.audit_folder / AUDIT_RECORD, self.audit_folder / "index.sqlite3")

    def archive(self) -> ObjectStore:
        """The archive."""
        return open_object_store(self.settings.archive_url)

    def keystore(self) -> Keystore:
        """The keystore."""
        return Keystore(open_object_store(self.settings.keystore_url))

    def check_stores(self, *, writing: bool) -> None:
        """Ask archive and keystore whether they can be used, so that it is known before there is work to do.

        Whoever only reads, and has no identity, needs no keystore.

        Raises:
            LucidError: one cannot, and which.
        """
        self.check_archive(writing=writing)
        if writing or is_there(self.settings.identity_file, "key file"):
            self.check_keystore(writing=writing)

    def check_archive(self, *, writing: bool) -> None:
        """Ask the archive alone. Raises `LucidError`."""
        _check("archive", self.settings.archive_url, writing)

    def check_keystore(self, *, writing: bool) -> None:
        """Ask the keystore alone. Raises `LucidError`."""
        _check("keystore", self.settings.keystore_url, writing)

    def encryption(self) -> Encryption:
        """How sessions are encrypted here, and for whom."""
        recipients = load_keys(self.settings.recipients_file, Recipient)
        settings = self.settings
        return Encryption(recipients, settings.suite.suite, settings.codec.codec, settings.workers)

    def keys_at_hand(self) -> Keys | None:
        """What decrypts, or None on a host that holds no identity."""
        return self.keys() if is_there(self.settings.identity_file, "key file") else None

    def keys(self) -> Keys:
        """What decrypts: the identities at hand, and the keystore."""
        return Keys(load_keys(self.settings.identity_file, Identity, private=True), self.keystore())

    def signing_key(self) -> SigningKey:
        """The key that signs manifests; the first in its file."""
        return load_keys(self.settings.signing_key_file, SigningKey, private=True)[0]

    def trusted_keys(self) -> list[PublicKey]:
        """The keys whose signatures count."""
        return load_keys(self.settings.trusted_keys_file, PublicKey)

    def create(self) -> list[Path]:
        """Make the stores, folders and keys that are missing; returns the key files that are new.

        Safe to repeat, and for several processes at once: a key that is there is never replaced. Where there are
        recipients, but no identity, none is made: this host may write and not read.
        """
        settings = self.settings
        for folder in (settings.home, settings.landing_dir):
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise UsageError(f"cannot make the folder {folder}: {error.strerror}", "see LUCID_HOME") from error
        for url in (settings.archive_url, settings.keystore_url):
            open_object_store(url, create=True)
        return [*self._create_encryption_keys(), *self._create_signing_keys()]

    def _create_encryption_keys(self) -> Iterator[Path]:
        private, public = self.settings.identity_file, self.settings.recipients_file
        if is_there(public, "key file") and not is_there(private, "key file"):
            return
        if save_keys(private, [Identity.generate()], private=True, comment="opens sessions; keep a copy elsewhere"):
            yield private
        identities = load_keys(private, Identity, private=True)
        recipients = [identity.recipient for identity in identities]
        if save_keys(public, recipients, private=False, comment="sessions are encrypted for these; not secret"):
            yield public

    def _create_signing_keys(self) -> Iterator[Path]:
        private, public = self.settings.signing_key_file, self.settings.trusted_keys_file
        if is_there(public, "key file") and not is_there(private, "key file"):
            return
        if save_keys(private, [SigningKey.generate()], private=True, comment="signs manifests; never leaves this host"):
            yield private
        keys = [key.public for key in load_keys(private, SigningKey, private=True)]
        if save_keys(public, keys, private=False, comment="manifests signed by these are trusted; publish them"):
            yield public


def _check(name: str, url: str, writing: bool) -> None:
    try:
        open_object_store(url).check(writing=writing)
    except LucidError as error:
        raise type(error)(f"the {name} cannot be used: {error.message}", error.hint) from error
