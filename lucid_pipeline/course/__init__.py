"""The way of a session through the stages: their names, which comes next, which runs take it on. Without Dagster."""
