"""The shape of the demo model, as the flat `config.json` of the Hub's Qwen2-VL says it.

The files are written by hand: `save_pretrained` of transformers 5 nests the configuration in a
way transformers 4 cannot read, while both read the flat form.
"""

from infra.demo.tokenizer import SPECIAL_TOKENS, VOCAB_SIZE, special_id
from infra.demo.world import SIDE

Json = dict[str, object]

HIDDEN = 256
LAYERS = 6
VISION_DEPTH = 2

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
"""Qwen2-VL's chat format: a default system message, one marker for each image or video."""


def vision_config() -> Json:
    """Describe the vision tower.

    Returns:
        The `vision_config` of the model.
    """
    return {
        "depth": VISION_DEPTH,
        "embed_dim": 128,
        "mlp_ratio": 4,
        "num_heads": 4,
        "in_chans": 3,
        "in_channels": 3,
        "hidden_size": HIDDEN,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "spatial_patch_size": 14,
        "temporal_patch_size": 2,
    }


def _token_ids() -> Json:
    """Name the special tokens the model itself must know."""
    return {
        "bos_token_id": special_id("<|endoftext|>"),
        "eos_token_id": special_id("<|im_end|>"),
        "vision_start_token_id": special_id("<|vision_start|>"),
        "vision_end_token_id": special_id("<|vision_end|>"),
        "vision_token_id": special_id("<|vision_pad|>"),
        "image_token_id": special_id("<|image_pad|>"),
        "video_token_id": special_id("<|video_pad|>"),
    }


def model_config() -> Json:
    """Describe the model.

    Returns:
        The content of `config.json`, flat as on the Hub.
    """
    return {
        "architectures": ["Qwen2VLForConditionalGeneration"],
        "attention_dropout": 0.0,
        **_token_ids(),
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "initializer_range": 0.02,
        "intermediate_size": 768,
        "max_position_embeddings": 4096,
        "max_window_layers": LAYERS,
        "model_type": "qwen2_vl",
        "num_attention_heads": 4,
        "num_hidden_layers": LAYERS,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "rope_theta": 10000.0,
        "sliding_window": 4096,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.45.0",
        "use_cache": True,
        "use_sliding_window": False,
        "vision_config": vision_config(),
        "rope_scaling": {"type": "mrope", "mrope_section": [8, 12, 12]},
        "vocab_size": VOCAB_SIZE,
    }


def generation_config() -> Json:
    """Describe how the model answers: greedily, so that results repeat.

    Returns:
        The content of `generation_config.json`.
    """
    return {
        "bos_token_id": special_id("<|endoftext|>"),
        "pad_token_id": special_id("<|endoftext|>"),
        "do_sample": False,
        "eos_token_id": [special_id("<|im_end|>"), special_id("<|endoftext|>")],
        "transformers_version": "4.45.0",
    }


def preprocessor_config() -> Json:
    """Describe how pictures become patches; demo pictures keep their size.

    Returns:
        The content of `preprocessor_config.json`.
    """
    return {
        "min_pixels": 56 * 56,
        "max_pixels": 4 * SIDE * SIDE,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": "Qwen2VLProcessor",
    }


def tokenizer_config() -> Json:
    """Describe the tokenizer in the form transformers 4.45 reads.

    Returns:
        The content of `tokenizer_config.json`.
    """
    added = {
        str(special_id(token)): {
            "content": token,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": True,
        }
        for token in SPECIAL_TOKENS
    }
    return {
        "add_prefix_space": False,
        "added_tokens_decoder": added,
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
