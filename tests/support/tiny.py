"""A tiny random Qwen2-VL, laid out as on the Hub, so that tests run the real classes.

Everything the real repository holds is here and in the same form: the flat `config.json`, a
byte-level BPE tokenizer with Qwen2-VL's special tokens, its chat format, and bf16 weights under
the names of the published checkpoints (`model.layers.N.*`, `visual.*`, `lm_head.weight`).  Only
the sizes differ.  The same arguments give the same bytes.
"""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, trainers
from tokenizers.models import BPE
from torch import Tensor

Json = dict[str, object]
Shape = tuple[int, ...]

HEAD_DIM = 64
VISION_WIDTH = 64
VISION_DEPTH = 2
VOCAB_SIZE = 512

SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>",
    "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "{% endif %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' or 'image' in part or 'image_url' in part %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'video' or 'video' in part %}"
    "<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

_TEXT = (
    "You are a helpful assistant. system\nuser\nassistant\n",
    "The red circle is to the left of the blue square, and the green triangle is below both.",
    "How many shapes are in the picture? There are three shapes: a circle, a square, a triangle.",
    "Is there a yellow star in the image? Answer yes or no. No, there is no yellow star.",
    "Read the word that is written in the picture. A. lamp B. river C. stone D. window",
)
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def write_tiny_qwen2_vl(
    folder: Path, *, blocks: int = 2, hidden: int = 256, seed: int = 0, shards: int = 1
) -> Path:
    """Write a complete model folder and return it.

    Args:
        folder: Where to write; created if it is not there.
        blocks: Decoder blocks of the language model.
        hidden: Width of the language model, a multiple of 64 (the head size).
        seed: Seed of the weights.
        shards: Number of weight files; more than one comes with an index, as on the Hub.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer()
    texts = {
        "config.json": _json(_config(tokenizer, blocks=blocks, hidden=hidden)),
        "generation_config.json": _json(_generation_config(tokenizer)),
        "preprocessor_config.json": _json(_preprocessor_config()),
        "tokenizer_config.json": _json(_tokenizer_config(tokenizer)),
        "chat_template.json": _json({"chat_template": CHAT_TEMPLATE}),
        **_vocabulary_files(tokenizer),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    _write_weights(folder, _weights(_shapes(blocks, hidden), seed), shards)
    return folder


def _json(content: Json) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _tokenizer() -> Tokenizer:
    """Train a byte-level BPE in Qwen2's form; the special tokens follow its vocabulary."""
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated", invert=False)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE - 64,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(_TEXT, trainer)
    tokenizer.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token in SPECIAL_TOKENS]
    )
    return tokenizer


def _vocabulary_files(tokenizer: Tokenizer) -> dict[str, str]:
    whole = json.loads(tokenizer.to_str())
    merges = [" ".join(pair) for pair in whole["model"]["merges"]]
    return {
        "tokenizer.json": _json(whole),
        "vocab.json": _json(dict(sorted(whole["model"]["vocab"].items(), key=lambda kv: kv[1]))),
        "merges.txt": "#version: 0.2\n" + "\n".join(merges) + "\n",
    }


def _config(tokenizer: Tokenizer, *, blocks: int, hidden: int) -> Json:
    """Describe the model, flat as on the Hub."""
    heads = hidden // HEAD_DIM
    return {
        "architectures": ["Qwen2VLForConditionalGeneration"],
        "attention_dropout": 0.0,
        "bos_token_id": tokenizer.token_to_id("<|endoftext|>"),
        "eos_token_id": tokenizer.token_to_id("<|im_end|>"),
        "vision_start_token_id": tokenizer.token_to_id("<|vision_start|>"),
        "vision_end_token_id": tokenizer.token_to_id("<|vision_end|>"),
        "vision_token_id": tokenizer.token_to_id("<|vision_pad|>"),
        "image_token_id": tokenizer.token_to_id("<|image_pad|>"),
        "video_token_id": tokenizer.token_to_id("<|video_pad|>"),
        "hidden_act": "silu",
        "hidden_size": hidden,
        "initializer_range": 0.02,
        "intermediate_size": 2 * hidden,
        "max_position_embeddings": 4096,
        "max_window_layers": blocks,
        "model_type": "qwen2_vl",
        "num_attention_heads": heads,
        "num_hidden_layers": blocks,
        "num_key_value_heads": max(1, heads // 2),
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "sliding_window": 4096,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.41.2",
        "use_cache": True,
        "use_sliding_window": False,
        "vision_config": _vision_config(hidden),
        "rope_scaling": {"type": "mrope", "mrope_section": [8, 12, 12]},
        "vocab_size": VOCAB_SIZE,
    }


def _vision_config(hidden: int) -> Json:
    return {
        "depth": VISION_DEPTH,
        "embed_dim": VISION_WIDTH,
        "mlp_ratio": 4,
        "num_heads": 2,
        "in_chans": 3,
        "hidden_size": hidden,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "spatial_patch_size": 14,
        "temporal_patch_size": 2,
    }


def _generation_config(tokenizer: Tokenizer) -> Json:
    return {
        "bos_token_id": tokenizer.token_to_id("<|endoftext|>"),
        "pad_token_id": tokenizer.token_to_id("<|endoftext|>"),
        "do_sample": False,
        "eos_token_id": [
            tokenizer.token_to_id("<|im_end|>"),
            tokenizer.token_to_id("<|endoftext|>"),
        ],
        "transformers_version": "4.41.2",
    }


def _preprocessor_config() -> Json:
    """Describe how pictures become patches: 112 x 112 stays as it is and gives 16 image tokens."""
    return {
        "min_pixels": 56 * 56,
        "max_pixels": 224 * 224,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2VLProcessor",
    }


def _tokenizer_config(tokenizer: Tokenizer) -> Json:
    """Describe the tokenizer in the old form, which transformers 4 and 5 both read."""
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    return {
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(tokenizer.token_to_id(token)): {"content": token, **flags, "special": True}
            for token in SPECIAL_TOKENS
        },
        "additional_special_tokens": list(SPECIAL_TOKENS[1:]),
        "bos_token": None,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "padding_side": "left",
        "errors": "replace",
        "model_max_length": 4096,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }


def _linear(name: str, out: int, features: int, *, bias: bool = True) -> dict[str, Shape]:
    return {f"{name}.weight": (out, features)} | ({f"{name}.bias": (out,)} if bias else {})


def _shapes(blocks: int, hidden: int) -> dict[str, Shape]:
    """Name every tensor of the published checkpoint, and its shape."""
    shapes: dict[str, Shape] = {"model.embed_tokens.weight": (VOCAB_SIZE, hidden)}
    for index in range(blocks):
        shapes |= _block_shapes(f"model.layers.{index}", hidden)
    shapes |= {"model.norm.weight": (hidden,), "lm_head.weight": (VOCAB_SIZE, hidden)}
    return shapes | _vision_shapes(hidden)


def _block_shapes(block: str, hidden: int) -> dict[str, Shape]:
    key_width = HEAD_DIM * max(1, hidden // HEAD_DIM // 2)
    return {
        f"{block}.input_layernorm.weight": (hidden,),
        **_linear(f"{block}.self_attn.q_proj", hidden, hidden),
        **_linear(f"{block}.self_attn.k_proj", key_width, hidden),
        **_linear(f"{block}.self_attn.v_proj", key_width, hidden),
        **_linear(f"{block}.self_attn.o_proj", hidden, hidden, bias=False),
        f"{block}.post_attention_layernorm.weight": (hidden,),
        **_linear(f"{block}.mlp.gate_proj", 2 * hidden, hidden, bias=False),
        **_linear(f"{block}.mlp.up_proj", 2 * hidden, hidden, bias=False),
        **_linear(f"{block}.mlp.down_proj", hidden, 2 * hidden, bias=False),
    }


def _vision_shapes(hidden: int) -> dict[str, Shape]:
    width = VISION_WIDTH
    shapes: dict[str, Shape] = {"visual.patch_embed.proj.weight": (width, 3, 2, 14, 14)}
    for index in range(VISION_DEPTH):
        block = f"visual.blocks.{index}"
        for norm in ("norm1", "norm2"):
            shapes |= {f"{block}.{norm}.weight": (width,), f"{block}.{norm}.bias": (width,)}
        shapes |= _linear(f"{block}.attn.qkv", 3 * width, width)
        shapes |= _linear(f"{block}.attn.proj", width, width)
        shapes |= _linear(f"{block}.mlp.fc1", 4 * width, width)
        shapes |= _linear(f"{block}.mlp.fc2", width, 4 * width)
    shapes |= {"visual.merger.ln_q.weight": (width,), "visual.merger.ln_q.bias": (width,)}
    shapes |= _linear("visual.merger.mlp.0", 4 * width, 4 * width)
    return shapes | _linear("visual.merger.mlp.2", hidden, 4 * width)


def _weights(shapes: dict[str, Shape], seed: int) -> dict[str, Tensor]:
    """Draw weights that keep the size of what flows through them, so that logits differ."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in shapes.items():
        noise = torch.randn(shape, generator=generator)
        if name == "model.embed_tokens.weight":
            value = noise
        elif len(shape) > 1:
            value = noise / math.sqrt(math.prod(shape[1:]))
        else:  # a bias is small, and the gain of a norm is near one
            value = 0.1 * noise + (0.0 if name.endswith(".bias") else 1.0)
        weights[name] = value.to(torch.bfloat16)
    return weights


def _write_weights(folder: Path, weights: dict[str, Tensor], shards: int) -> None:
    names = list(weights)
    if shards == 1:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return
    place: dict[str, str] = {}
    for shard in range(shards):
        part = names[shard * len(names) // shards : (shard + 1) * len(names) // shards]
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        save_file({n: weights[n] for n in part}, folder / file, metadata={"format": "pt"})
        place |= dict.fromkeys(part, file)
    total = sum(weight.nbytes for weight in weights.values())
    index: Json = {"metadata": {"total_size": total}, "weight_map": dict(sorted(place.items()))}
    (folder / "model.safetensors.index.json").write_text(_json(index), encoding="utf-8")
