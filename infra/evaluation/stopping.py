"""Which tokens end an answer: what the model's own folder says, and never a number written here."""

import json
from pathlib import Path
from typing import Any

from infra.errors import ModelConfigError

CONFIG = "generation_config.json"


def stop_tokens(folder: Path, tokenizer: Any) -> frozenset[int]:
    """Return the tokens that end an answer: those of generation_config.json, else the tokenizer's.

    Raises:
        ModelConfigError: generation_config.json is damaged, or nothing names such a token.
    """
    told = _told(folder / CONFIG)
    if told:
        return told
    vocabulary = tokenizer.get_vocab()
    names = ("<|im_end|>", tokenizer.eos_token)
    found = frozenset(int(vocabulary[name]) for name in names if name in vocabulary)
    if not found:
        raise ModelConfigError(
            f"Nothing in {folder} tells which token ends an answer: neither eos_token_id in "
            f"{CONFIG} nor an eos_token of the tokenizer. Fetch the model again with all its files."
        )
    return found


def _told(path: Path) -> frozenset[int]:
    """Return what the file says, which may be nothing."""
    try:
        config = json.loads(path.read_bytes())
        told = config.get("eos_token_id")
        listed = [told] if isinstance(told, int) else told or []
        return frozenset(int(token) for token in listed)
    except FileNotFoundError:
        return frozenset()
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelConfigError(
            f"{path} cannot be used: {error}. It is a JSON object whose eos_token_id is a token's "
            "number, or a list of them. Fetch the model again, or take the file away: then the "
            "tokenizer tells what ends an answer."
        ) from error
