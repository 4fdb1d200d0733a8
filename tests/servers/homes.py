"""Where the homes of tests keep what they have: in files below the home, or where `LUCID_TEST_CATALOG` and
`LUCID_TEST_ARCHIVE` say.
"""

from pathlib import Path

from tests.servers.archives import archive_settings
from tests.servers.catalogs import catalog_settings


def home_settings(home: Path) -> dict[str, str]:
    """The settings of a home, by their names in lower case, for where its stores are; none where those are files."""
    return {**catalog_settings(home), **archive_settings(home)}
