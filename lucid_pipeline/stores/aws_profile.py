"""What the files of the AWS tools say of a bucket's server and credentials, where the environment says nothing.

The client for buckets reads variables, and asks the services that give credentials to machines and containers. It does
not read `~/.aws`, which is where people keep theirs.
"""

import os
from collections.abc import Mapping
from configparser import ConfigParser, Error
from pathlib import Path
from typing import TypedDict

from lucid_pipeline.errors import UsageError

_OTHER_SOURCES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
_DEFAULT = "default"


class ProfileSettings(TypedDict, total=False):
    """Settings of a client, by the names that it knows; only those that are to be taken from a profile."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    region: str
    endpoint: str


def profile_settings() -> ProfileSettings:
    """What the profile `AWS_PROFILE`, or `default`, adds to the environment.

    Raises:
        UsageError: the profile that the environment names is in neither file, or a file cannot be read.
    """
    name = os.environ.get("AWS_PROFILE", _DEFAULT)
    secrets = _section("AWS_SHARED_CREDENTIALS_FILE", "credentials", name)
    general = _section("AWS_CONFIG_FILE", "config", name if name == _DEFAULT else f"profile {name}")
    if not secrets and not general and name != _DEFAULT:
        raise UsageError(f"there is no profile {name!r} in ~/.aws", "mend AWS_PROFILE")
    values = {**general, **secrets}
    found = ProfileSettings()
    if not any(variable in os.environ for variable in _OTHER_SOURCES) and "aws_access_key_id" in values:
        found["access_key_id"] = values["aws_access_key_id"]
        found["secret_access_key"] = values.get("aws_secret_access_key", "")
        if token := values.get("aws_session_token"):
            found["session_token"] = token
    if not {"AWS_REGION", "AWS_DEFAULT_REGION"} & os.environ.keys() and "region" in values:
        found["region"] = values["region"]
    if not {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"} & os.environ.keys() and "endpoint_url" in values:
        found["endpoint"] = values["endpoint_url"]
    return found


def _section(variable: str, file_name: str, section: str) -> Mapping[str, str]:
    path = Path(os.environ.get(variable) or f"~/.aws/{file_name}").expanduser()
    parser = ConfigParser(interpolation=None, default_section="\0none")
    try:
        parser.read(path, encoding="utf-8")
    except (OSError, UnicodeDecodeError, Error):  # their messages quote lines, and those hold secrets
        raise UsageError(f"cannot read {path}", f"see {variable}") from None
    return dict(parser[section]) if parser.has_section(section) else {}
