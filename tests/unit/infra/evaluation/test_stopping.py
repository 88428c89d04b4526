"""What ends an answer is read from the model's folder."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from infra.errors import ModelConfigError
from infra.evaluation.stopping import stop_tokens


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> PreTrainedTokenizerBase:
    """Return the tiny model's tokenizer."""
    found: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(tiny_model)
    return found


@pytest.mark.parametrize(
    ("config", "expected"),
    [('{"eos_token_id": [5, 7]}', {5, 7}), ('{"eos_token_id": 0}', {0})],
)
def test_the_generation_config_decides(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, config: str, expected: set[int]
) -> None:
    """One token or several, whatever the tokenizer says."""
    (tmp_path / "generation_config.json").write_text(config)

    assert stop_tokens(tmp_path, tokenizer) == expected


@pytest.mark.parametrize("config", [None, "{}", '{"eos_token_id": null}', '{"eos_token_id": []}'])
def test_without_a_word_of_it_the_tokenizer_decides(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, config: str | None
) -> None:
    """The end of a turn, and the tokenizer's own end."""
    if config is not None:
        (tmp_path / "generation_config.json").write_text(config)

    assert stop_tokens(tmp_path, tokenizer) == {tokenizer.convert_tokens_to_ids("<|im_end|>")}


@pytest.mark.parametrize("config", ["[]", "{", '{"eos_token_id": "x"}', '{"eos_token_id": [[]]}'])
def test_a_damaged_config_is_named(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, config: str
) -> None:
    """Answers that never end would look like those of a broken model."""
    (tmp_path / "generation_config.json").write_text(config)

    with pytest.raises(ModelConfigError, match=r"generation_config\.json cannot be used"):
        stop_tokens(tmp_path, tokenizer)


class _Endless:
    eos_token = None

    def get_vocab(self) -> dict[str, int]:
        """Return a vocabulary without an end."""
        return {"a": 0}


def test_nothing_that_ends_an_answer_is_an_error(tmp_path: Path) -> None:
    """Neither file nor tokenizer knows: every answer would be cut."""
    with pytest.raises(ModelConfigError, match="which token ends an answer"):
        stop_tokens(tmp_path, _Endless())
