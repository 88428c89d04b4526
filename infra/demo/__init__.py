"""A small Qwen2-VL trained for this project, and the generator of its data.

The whole pipeline is exercised on a model that is real in layout and behaviour but small
enough to be quantized in minutes, so that no test depends on a download.
"""

from pathlib import Path

MODEL_DIR: Path = Path(__file__).resolve().parent / "model"
"""Folder of the committed demo model, laid out like a Hub repository."""
