"""Tests against the real clients; see `conftest.py`."""
