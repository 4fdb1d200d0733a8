"""`lucid init`: data home, keys, catalog."""

import os
from pathlib import Path

from lucid_pipeline.cli.output import Json, Output, facts
from lucid_pipeline.home import Home
from lucid_pipeline.settings import load_settings
from lucid_pipeline.stores.catalog_url import shown_url


def init(as_json: Json = False) -> None:
    """Make the data home, the keys (0600), the catalog and Dagster's storage. Safe to repeat: nothing is replaced."""
    home, output = Home(load_settings()), Output(as_json)
    from lucid_pipeline.instance.opened import open_instance  # Dagster, which takes a second to load

    settings = home.settings
    created = [str(path) for path in home.create()]
    home.check_stores(writing=False)
    with home.catalog(create=True):
        pass
    if not _made_and_read_only(home.dagster_folder):
        with open_instance(home.dagster_folder):
            pass
    places = {
        "home": str(settings.home),
        "landing": str(settings.landing_dir),
        "archive": settings.archive_url,
        "keystore": settings.keystore_url,
        "catalog": shown_url(settings.catalog_url),
        "Dagster": str(home.dagster_folder),
        "identity": str(settings.identity_file),
        "signing key": str(settings.signing_key_file),
    }
    advice = (
        "New keys were made. Without the identity nobody, not even you, can read what is archived: keep a copy of"
        f" {settings.identity_file.parent} elsewhere."
        if created
        else "Everything was there already."
    )
    output.result({**places, "created": created}, facts("Lucid home", places), advice)


def _made_and_read_only(dagster_folder: Path) -> bool:
    """Whether there is nothing to do, and nothing could be done: Dagster's storage is written to even to open it."""
    return (dagster_folder / "dagster.yaml").exists() and not os.access(dagster_folder, os.W_OK)
