"""Lucid's session API: finds, proves and plays archived sessions, and starts runs. Imports no Dagster.

A request enters at `app`, is let in by `access`, and is answered by the folder named for what it asks.
"""
