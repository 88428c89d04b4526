"""Small recipes on small data, for tests that run the whole pipeline."""

from pathlib import Path
from typing import Any

from flows import recipefile
from flows.recipe import Recipe
from infra.demo.datasets import write_conversation_set, write_text_set

SEQLEN = 64


def write_data(folder: Path) -> Path:
    """Write a text set, a held-out text set and a conversation set; return the folder."""
    write_text_set(folder / "texts.jsonl", count=12, seed=11)
    write_text_set(folder / "held_out.jsonl", count=6, seed=12)
    write_conversation_set(folder / "conversations", count=10, seed=13)
    return folder


def small_recipe(model: Path, data: Path, out: Path, **sections: Any) -> Recipe:
    """Return a recipe of both variants that takes seconds; ``sections`` replace its own."""
    both = {"nsamples": 4, "seqlen": SEQLEN, "seed": 1}
    text = {"name": "texts", "kind": "text", "source": str(data / "texts.jsonl")}
    chat = {
        "name": "chats",
        "kind": "image_text",
        "source": str(data / "conversations" / "conversations.json"),
        "min_length": 8,
        "seqlen": 256,
    }
    held_out = text | {"name": "held-out", "source": str(data / "held_out.jsonl")}
    content = {
        "name": "small",
        "model": {"source": str(model)},
        "calibration": [text | both, both | chat],
        "quantization": {"iters": 2, "batch_size": 2},
        "export": {"output_dir": str(out)},
        "evaluation": {"text": held_out | both},
    }
    return recipefile.check(content | sections, "a test")
