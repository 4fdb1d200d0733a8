"""Settings turned into Dagster resources: for each code location the tools that it may have, and no others."""
