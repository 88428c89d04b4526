"""Write a random checkpoint of the true Qwen2-VL-7B shape, to measure memory and speed with.

    python benchmarks/make_7b.py /data/qwen2-vl-7b-random

Names, shapes, dtypes and the flat `config.json` are those of Qwen/Qwen2-VL-7B-Instruct (8.29
billion weights, 16.6 GB of bfloat16); it comes in 4 shards with an index.  What it says is noise,
but numbers stay in range, so every step of the pipeline runs as on the real model.

Weights are not drawn one by one: a pool of 2**24 normal numbers is drawn once, and each tensor is
a run of it, at an offset and with a scale of its own.  So no two tensors are equal, though they
share patterns; it takes as long as writing the disk does, and 1.7 GB of memory.

Tokenizer and preprocessor are the demo model's, with its special tokens' ids in the config: the
vocabulary has 152,064 rows as the real one, of which prompts use the first few.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch
from torch import Tensor

from infra.checkpoints.papers import write_index
from infra.checkpoints.sidefiles import copy_side_files
from infra.checkpoints.tensorfile import TensorSpec, write_tensors
from infra.demo import MODEL_DIR

Shape = tuple[int, ...]

HIDDEN, INTERMEDIATE, BLOCKS, VOCABULARY = 3584, 18944, 28, 152_064
HEADS, KEY_HEADS, HEAD_SIZE = 28, 4, 128
VISION_WIDTH, VISION_BLOCKS, PATCH = 1280, 32, (3, 2, 14, 14)
POOL = 2**24
STRIDE = 7_654_321  # between the offsets of two tensors; prime, so that they do not meet soon
TOKEN_IDS = (
    *("bos_token_id", "eos_token_id", "vision_start_token_id", "vision_end_token_id"),
    *("vision_token_id", "image_token_id", "video_token_id"),
)


def config(blocks: int) -> dict[str, object]:
    """Return the flat config of the real model, with the demo tokenizer's special tokens."""
    demo = json.loads((MODEL_DIR / "config.json").read_text(encoding="utf-8"))
    return {
        "architectures": ["Qwen2VLForConditionalGeneration"],
        "attention_dropout": 0.0,
        **{name: demo[name] for name in TOKEN_IDS},
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "initializer_range": 0.02,
        "intermediate_size": INTERMEDIATE,
        "max_position_embeddings": 32768,
        "max_window_layers": blocks,
        "model_type": "qwen2_vl",
        "num_attention_heads": HEADS,
        "num_hidden_layers": blocks,
        "num_key_value_heads": KEY_HEADS,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "sliding_window": 32768,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.41.2",
        "use_cache": True,
        "use_sliding_window": False,
        "vision_config": {
            "depth": VISION_BLOCKS,
            "embed_dim": VISION_WIDTH,
            "mlp_ratio": 4,
            "num_heads": 16,
            "in_chans": 3,
            "hidden_size": HIDDEN,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "spatial_patch_size": 14,
            "temporal_patch_size": 2,
        },
        "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
        "vocab_size": VOCABULARY,
    }


def shapes(blocks: int) -> dict[str, Shape]:
    """Name every tensor of the published checkpoint, in its order."""
    found: dict[str, Shape] = vision_shapes()
    found["model.embed_tokens.weight"] = (VOCABULARY, HIDDEN)
    for index in range(blocks):
        found |= block_shapes(f"model.layers.{index}")
    return found | {"model.norm.weight": (HIDDEN,), "lm_head.weight": (VOCABULARY, HIDDEN)}


def linear(name: str, out: int, features: int, *, bias: bool = True) -> dict[str, Shape]:
    """Name the tensors of one Linear."""
    return {f"{name}.weight": (out, features)} | ({f"{name}.bias": (out,)} if bias else {})


def block_shapes(block: str) -> dict[str, Shape]:
    """Name the tensors of one decoder block."""
    keys = KEY_HEADS * HEAD_SIZE
    return {
        f"{block}.input_layernorm.weight": (HIDDEN,),
        **linear(f"{block}.self_attn.q_proj", HIDDEN, HIDDEN),
        **linear(f"{block}.self_attn.k_proj", keys, HIDDEN),
        **linear(f"{block}.self_attn.v_proj", keys, HIDDEN),
        **linear(f"{block}.self_attn.o_proj", HIDDEN, HIDDEN, bias=False),
        f"{block}.post_attention_layernorm.weight": (HIDDEN,),
        **linear(f"{block}.mlp.gate_proj", INTERMEDIATE, HIDDEN, bias=False),
        **linear(f"{block}.mlp.up_proj", INTERMEDIATE, HIDDEN, bias=False),
        **linear(f"{block}.mlp.down_proj", HIDDEN, INTERMEDIATE, bias=False),
    }


def vision_shapes() -> dict[str, Shape]:
    """Name the tensors of the vision tower."""
    width, merged = VISION_WIDTH, 4 * VISION_WIDTH
    found: dict[str, Shape] = {"visual.patch_embed.proj.weight": (width, *PATCH)}
    for index in range(VISION_BLOCKS):
        block = f"visual.blocks.{index}"
        for norm in ("norm1", "norm2"):
            found |= {f"{block}.{norm}.weight": (width,), f"{block}.{norm}.bias": (width,)}
        found |= linear(f"{block}.attn.qkv", 3 * width, width)
        found |= linear(f"{block}.attn.proj", width, width)
        found |= linear(f"{block}.mlp.fc1", 4 * width, width)
        found |= linear(f"{block}.mlp.fc2", width, 4 * width)
    found |= {"visual.merger.ln_q.weight": (width,), "visual.merger.ln_q.bias": (width,)}
    found |= linear("visual.merger.mlp.0", merged, merged)
    return found | linear("visual.merger.mlp.2", HIDDEN, merged)


def spread(name: str, shape: Shape) -> tuple[float, float]:
    """Return mean and standard deviation, such that activations keep their size.

    What is added to the residual stream is small, as there are many who add.
    """
    if len(shape) == 1:  # a bias is small, and the gain of a norm is near one
        return (0.0, 0.02) if name.endswith(".bias") else (1.0, 0.1)
    if name == "model.embed_tokens.weight":
        return 0.0, 1.0
    depth = 2 * (VISION_BLOCKS if name.startswith("visual.") else BLOCKS)
    adds = name.endswith(("o_proj.weight", "down_proj.weight", "attn.proj.weight", "fc2.weight"))
    return 0.0, 1 / math.sqrt(math.prod(shape[1:]) * (depth if adds else 1))


def draw(name: str, shape: Shape, pool: Tensor, number: int) -> Tensor:
    """Return one tensor: the pool from an offset of its own, over and over, scaled."""
    mean, deviation = spread(name, shape)
    flat = torch.empty(math.prod(shape), dtype=torch.bfloat16)
    start, done = number * STRIDE % POOL, 0
    while done < flat.numel():
        piece = pool[start : start + flat.numel() - done]
        torch.mul(piece, deviation, out=flat[done : done + piece.numel()])
        start, done = 0, done + piece.numel()
    if mean:
        flat += mean
    return flat.view(shape)


def split(found: dict[str, Shape], shards: int) -> list[dict[str, Shape]]:
    """Cut the tensors, in order, into shards of about the same size."""
    share = sum(map(math.prod, found.values())) / shards
    parts: list[dict[str, Shape]] = [{} for _ in range(shards)]
    before = 0
    for name, shape in found.items():
        parts[min(int(before / share), shards - 1)][name] = shape
        before += math.prod(shape)
    return parts


def write(folder: Path, *, blocks: int = BLOCKS, shards: int = 4, seed: int = 0) -> int:
    """Write the model folder and return its bytes of weights."""
    folder.mkdir(parents=True)
    copy_side_files(MODEL_DIR, folder)
    text = json.dumps(config(blocks), indent=2) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")
    found = shapes(blocks)
    numbers = {name: number for number, name in enumerate(found)}
    generator = torch.Generator().manual_seed(seed)
    pool = torch.empty(POOL, dtype=torch.bfloat16).normal_(generator=generator)
    files = {}
    for place, part in enumerate(split(found, shards), start=1):
        file = f"model-{place:05d}-of-{shards:05d}.safetensors"
        files[file] = {name: TensorSpec(torch.bfloat16, shape) for name, shape in part.items()}
        tensors = ((name, draw(name, shape, pool, numbers[name])) for name, shape in part.items())
        write_tensors(folder / file, files[file], tensors)
        print(f"{file}: {(folder / file).stat().st_size / 1e9:.2f} GB", flush=True)
    write_index(folder, files)
    return sum(spec.nbytes for part in files.values() for spec in part.values())


def main() -> None:
    """Write the checkpoint and say how long it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder that does not exist, on 17 GB of disk")
    parser.add_argument("--blocks", type=int, default=BLOCKS, help="fewer, for a trial")
    parser.add_argument("--shards", type=int, default=4)
    asked = parser.parse_args()
    start = time.perf_counter()
    written = write(asked.folder, blocks=asked.blocks, shards=asked.shards)
    seconds = time.perf_counter() - start
    print(f"{written / 1e9:.2f} GB in {seconds:.0f} s ({written / 1e9 / seconds:.2f} GB/s)")


if __name__ == "__main__":
    main()
