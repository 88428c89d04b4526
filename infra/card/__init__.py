"""The model card and what lies beside it: generated, and from measured facts alone."""
