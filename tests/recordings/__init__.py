"""Recordings that others have made."""
