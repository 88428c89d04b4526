"""Quantize a model with the peer, auto-round, in its own environment, and say how long it took.

Run by `peer_comparison.py` with the Python of `.venv-peers`.  Everything is the peer's default, but
for what the comparison fixes: the tokens, bits, group size, iterations, seed and threads.

Tokens come in batches, because for a Qwen2-VL the peer counts every item of a data set as
`batch_size` samples: given 128 single samples it would stop after 16.
"""

import argparse
import json
import logging
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from auto_round import AutoRound
from safetensors.torch import load_file

BATCH = 8


def batches_of(path: Path) -> list[dict[str, torch.Tensor]]:
    """Return the calibration tokens as the peer's model takes them."""
    rows = load_file(path)["tokens"]
    return [
        {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
        for tokens in rows.split(BATCH)
    ]


def quantize(asked: argparse.Namespace) -> dict[str, Any]:
    """Quantize, export in the auto_round format, and return what there is to say about it."""
    torch.set_num_threads(asked.threads)
    batches = batches_of(asked.tokens)
    options: dict[str, Any] = {} if asked.compile else {"enable_torch_compile": False}
    started = time.perf_counter()
    tool = AutoRound(
        str(asked.model),
        scheme="W4A16",
        dataset=batches,
        iters=asked.iters,
        seqlen=batches[0]["input_ids"].shape[1],
        nsamples=BATCH * len(batches),
        batch_size=BATCH,
        seed=asked.seed,
        device_map="cpu",
        **options,
    )
    tool.quantize_and_save(str(asked.out), format="auto_round")
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in ("auto-round", "transformers")}
        | {"torch": torch.__version__},
    }


def main() -> None:
    """Quantize and write `peer.json` beside the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tokens", type=Path, required=True, help="safetensors with `tokens`")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--iters", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    asked = parser.parse_args()
    logging.basicConfig(stream=sys.stderr)
    told = quantize(asked)
    (asked.out / "peer.json").write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main()
