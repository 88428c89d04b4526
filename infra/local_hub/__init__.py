"""A Hub on this machine: what `huggingface_hub` asks of huggingface.co, over a folder.

Read `app.py` for the shape, `repository.py` for what lies on the disk, and docs/hub.md for its use.
"""
