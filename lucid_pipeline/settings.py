"""Lucid's settings: one class, from `LUCID_*` variables or a `.env` file. The README has them in one table."""

import os
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path

from pydantic import ByteSize, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, SettingsConfigDict

from lucid_pipeline.archive.chunking import CHUNK_SIZES, MIB
from lucid_pipeline.archive.codec import Codec
from lucid_pipeline.archive.cpu import has_aes_instructions
from lucid_pipeline.archive.encryption import Suite
from lucid_pipeline.errors import UsageError

_PREFIX = "LUCID_"

# Not settings of this class, and nobody's mistake: of the tests.
_SPOKEN_FOR = frozenset(("lucid_vectors_dir", "lucid_recordings_dir"))
_OF_TESTS = "lucid_test_"


class CodecChoice(StrEnum):
    """Values of `LUCID_CODEC`."""

    STORED = "stored"
    ZSTD = "zstd"
    LZ4 = "lz4"

    @property
    def codec(self) -> Codec:
        """The codec that is preferred."""
        return Codec[self.name]


class SuiteChoice(StrEnum):
    """Values of `LUCID_SUITE`."""

    AUTO = "auto"
    AES_256_GCM = "aes-256-gcm"
    CHACHA20_POLY1305 = "chacha20-poly1305"

    @property
    def suite(self) -> Suite:
        """The suite that is used: by itself, AES where the CPU has instructions for it."""
        if self is SuiteChoice.AUTO:
            return Suite.AES_256_GCM if has_aes_instructions() else Suite.CHACHA20_POLY1305
        return Suite[self.name]


class Settings(BaseSettings):
    """Everything that can be set. What is empty follows from `home`; all paths end up absolute."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_file=".env", extra="ignore", frozen=True)

    home: Path = Field(default=Path(".lucid"), description="Lucid's data home")
    landing_dir: Path = Field(default=Path(), description="where finished recordings arrive")
    landing_settle_seconds: float = Field(
        default=5, ge=0, le=86_400, description="a recording without a marker is finished when unchanged for so long"
    )
    abandoned_after_seconds: float = Field(
        default=86_400, gt=0, le=366 * 86_400, description="a partial recording is given up when unchanged for so long"
    )
    keep_landing: bool = Field(default=False, description="keep a landing file whose session is sealed and verified")
    archive_url: str = Field(default="", description="the archive: file:///folder or s3://bucket/prefix")
    keystore_url: str = Field(default="", description="the key slots: file:///folder or s3://bucket/prefix")
    catalog_url: str = Field(default="", description="the catalog: sqlite:////file or mongodb://host/database")
    recipients_file: Path = Field(default=Path(), description="public keys that sessions are encrypted for")
    identity_file: Path = Field(default=Path(), description="private keys that open sessions")
    signing_key_file: Path = Field(default=Path(), description="private key that signs manifests")
    trusted_keys_file: Path = Field(default=Path(), description="public keys whose signatures count")
    chunk_size: ByteSize | None = Field(
        default=None, description="1, 2, 4, 8 or 16 MiB; by itself, what suits the recording"
    )
    codec: CodecChoice = Field(default=CodecChoice.ZSTD, description="stored, zstd or lz4")
    suite: SuiteChoice = Field(default=SuiteChoice.AUTO, description="auto, aes-256-gcm or chacha20-poly1305")
    workers: int = Field(default=os.cpu_count() or 1, ge=1, le=64, description="threads that work on one recording")

    retries: int = Field(default=4, ge=0, le=20, description="how often a failed session is tried again by itself")
    retry_seconds: float = Field(
        default=30, gt=0, le=86_400, description="wait before the first retry; four times as long before each next one"
    )
    huge_bytes: ByteSize = Field(
        default=ByteSize(256 * MIB), ge=MIB, description="a recording of this size has a run of its own"
    )

    scrub_days: int = Field(
        default=30, ge=1, le=3650, description="nights in which every sealed session is verified once more"
    )
    scrub_megabytes_per_second: float = Field(
        default=20, gt=0, le=100_000, description="how fast the scrub and the sweep read from the archive at most"
    )
    sweep_after_hours: float = Field(
        default=24, ge=1, le=24 * 365, description="age at which what no manifest refers to may be removed"
    )

    dagster_url: str = Field(default="http://127.0.0.1:3000", description="where Dagster's webserver answers")
    api_host: str = Field(default="127.0.0.1", description="the address that the session API listens on")
    api_port: int = Field(default=8087, ge=1, le=65535, description="the port that the session API listens on")
    api_verifications: int = Field(
        default=1, ge=1, le=16, description="sessions that the session API verifies at once for its callers"
    )
    api_playbacks: int = Field(
        default=16, ge=1, le=1000, description="recordings that the session API plays at once for its callers"
    )
    api_upload_bytes: ByteSize = Field(
        default=ByteSize(64 * 1024 * MIB), ge=1, description="the largest recording that the session API receives"
    )
    api_url: str = Field(default="", pattern=r"^(https?://[!-~]+)?$", description="where people reach the session API")
    api_authentication: bool = Field(default=True, description="whether the session API asks who is calling")
    api_behind_proxy: bool = Field(default=False, description="whether a proxy says who calls the session API, and how")
    api_requests_per_minute: int = Field(
        default=3000, ge=60, le=1_000_000, description="how much one caller may ask of the session API"
    )
    jwt_issuer: str = Field(default="", description="whose bearer tokens count")
    jwt_audience: str = Field(default="", description="whom bearer tokens have to be meant for")
    jwt_keys_file: Path | None = Field(default=None, description="public keys that bearer tokens are signed with")

    @property
    def local_api_host(self) -> str:
        """Where this machine reaches the session API, also where it listens on all addresses."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.api_host, self.api_host)

    @property
    def public_api_url(self) -> str:
        """Where people reach the session API, without a slash at the end."""
        host = f"[{self.local_api_host}]" if ":" in self.local_api_host else self.local_api_host
        return self.api_url.rstrip("/") or f"http://{host}:{self.api_port}"

    @field_validator("chunk_size")
    @classmethod
    def _known_chunk_size(cls, value: ByteSize | None) -> ByteSize | None:
        if value is not None and value not in CHUNK_SIZES:
            raise ValueError("must be 1MiB, 2MiB, 4MiB, 8MiB or 16MiB")
        return value

    @field_validator("jwt_keys_file")
    @classmethod
    def _absolute_keys_file(cls, value: Path | None) -> Path | None:
        return value and _absolute("jwt_keys_file", value)

    @model_validator(mode="before")
    @classmethod
    def _defaults_below_home(cls, values: dict[str, object]) -> dict[str, object]:
        home = _absolute("home", values.get("home") or ".lucid")
        keys = home / "keys"
        defaults: dict[str, object] = {
            "landing_dir": home / "landing",
            "archive_url": (home / "archive").as_uri(),
            "keystore_url": (home / "keystore").as_uri(),
            "catalog_url": f"sqlite:///{home / 'catalog.sqlite3'}",
            "recipients_file": keys / "recipients.txt",
            "identity_file": keys / "identity.txt",
            "signing_key_file": keys / "signing-key.txt",
            "trusted_keys_file": keys / "trusted-keys.txt",
        }
        given = {name: value for name, value in values.items() if value not in ("", None)}
        merged = {**defaults, **given, "home": home}
        paths = {name for name, default in defaults.items() if isinstance(default, Path)}
        return {name: _absolute(name, value) if name in paths else value for name, value in merged.items()}


def _absolute(name: str, value: object) -> Path:
    """The path that was given for a setting, with `~` as shells read it."""
    try:
        return Path(str(value)).expanduser().absolute()
    except RuntimeError:
        raise UsageError(
            f"{_PREFIX}{name.upper()}: there is no home folder of this user", "write the whole path"
        ) from None


def load_settings() -> Settings:
    """The settings of this process.

    Raises:
        UsageError: a variable has a value that cannot be; the message names the variable and never the value. Or
            there is no such variable, or the `.env` file cannot be read.
    """
    try:
        _refuse_unknown()
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"cannot read the file .env here: {reason}", "mend it, or run Lucid elsewhere") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = f"{_PREFIX}{'_'.join(map(str, first['loc'])).upper()}"
        raise UsageError(f"{name}: {first['msg'].removeprefix('Value error, ')}", "see the README's table") from None


def _refuse_unknown() -> None:
    """A name with a slip would leave its default in force, and keys would go where nobody looks for them."""
    prefix = _PREFIX.lower()
    known = {f"{prefix}{name}" for name in Settings.model_fields}
    given = {*EnvSettingsSource(Settings).env_vars, *DotEnvSettingsSource(Settings).env_vars}
    for name in sorted(given - known - _SPOKEN_FOR):
        if name.startswith(prefix) and not name.startswith(_OF_TESTS):
            nearest = get_close_matches(name.removeprefix(prefix), Settings.model_fields, n=1)
            hint = f"do you mean {_PREFIX}{nearest[0].upper()}?" if nearest else "see the README's table"
            raise UsageError(f"there is no setting {name.upper()}", hint)
