"""The archive library: the LUC1 format and its proofs. It imports neither Dagster nor FastAPI."""
