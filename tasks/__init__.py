"""Verbs: one thin Prefect wrapper per step of the pipeline."""
