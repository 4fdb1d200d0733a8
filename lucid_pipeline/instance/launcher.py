"""How runs are started: as Dagster does it, by the code server of their location."""

from dagster import DefaultRunLauncher


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's own launcher."""
