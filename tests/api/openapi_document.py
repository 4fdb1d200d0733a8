"""docs/openapi.json: `python -m tests.api.openapi_document` writes it anew."""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lucid_api.app import create_app
from lucid_api.services import opened_services
from lucid_pipeline.home import Home
from lucid_pipeline.settings import Settings

PATH = Path(__file__).parents[2] / "docs" / "openapi.json"


def document() -> Any:
    """The document of an app over an empty home."""
    with TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "lucid")
        Home(settings).create()
        with opened_services(settings) as services:
            return create_app(services).openapi()


def written(document: Any) -> str:
    """The document as it is committed: paths as the app has them, names in each object sorted by nobody."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(written(document()))
    sys.stdout.write(f"{PATH}\n")
