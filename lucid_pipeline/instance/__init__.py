"""The Dagster instance below `LUCID_HOME`: its settings, its storage, and how runs are started and watched over."""
