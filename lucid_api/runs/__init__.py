"""Runs of the lineage: asked for, watched and canceled, through Dagster's GraphQL. Nothing of Dagster is imported."""
