"""Two models are asked the same only if their tokenizers make the same tokens of a prompt.

A re-saved checkpoint may have lost a special token or its chat template; it still answers, and
every comparison with it is worth nothing.
"""

from pathlib import Path
from typing import Any

from infra.calibration.conversations import Turn, encode, open_processor
from infra.errors import TokenizerDiffersError

PROBE = "Is there a red circle? 1,234.5 naïve 选项\n\tA. Don't"


def require_same_tokenizer(baseline: Path, candidate: Path) -> None:
    """Compare the vocabularies, the special tokens, and what becomes of one prompt.

    Args:
        baseline: Folder of the 16-bit model.
        candidate: Folder of the checkpoint under test.

    Raises:
        ProcessorError: A folder has no tokenizer or processor that can be used.
        TokenizerDiffersError: They differ; the message says in what.
    """
    one, other = _traits(baseline), _traits(candidate)
    apart = [what for what in one if one[what] != other[what]]
    if apart:
        raise TokenizerDiffersError(
            f"The tokenizer of {candidate} differs from that of its baseline {baseline} in "
            f"{', '.join(apart)}, so the two would not be asked the same. Copy the tokenizer's "
            "files and the chat template from the 16-bit model, or name the baseline that the "
            "checkpoint was made from."
        )


def _traits(folder: Path) -> dict[str, Any]:
    """Return what decides the tokens of a prompt, by what a person calls it."""
    encoder = open_processor(folder)
    tokenizer = encoder.processor.tokenizer
    sample = encode((Turn("user", PROBE),), None, encoder, place="the probe")
    return {
        "its vocabulary": tokenizer.get_vocab(),
        "its special tokens": sorted(encoder.special_tokens),
        "its chat template": encoder.processor.chat_template,
        "the tokens of a prompt": sample.input_ids.tolist(),
    }
