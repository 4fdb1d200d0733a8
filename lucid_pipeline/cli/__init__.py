"""The command line `lucid`."""
