"""Models that would not be asked the same are not compared."""

import json
import shutil
from pathlib import Path

import pytest

from infra.errors import ProcessorError, TokenizerDiffersError
from infra.evaluation.tokenizers import require_same_tokenizer


@pytest.fixture
def copy(tiny_model: Path, tmp_path: Path) -> Path:
    """Return a folder with the model's small files."""
    for path in tiny_model.glob("*.*"):
        if path.suffix != ".safetensors":
            shutil.copy(path, tmp_path / path.name)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text in a file that has it."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_copy_is_the_same(tiny_model: Path, copy: Path) -> None:
    """An export copies the tokenizer, and is asked what its source is asked."""
    require_same_tokenizer(tiny_model, copy)


def test_another_chat_template_is_told(tiny_model: Path, copy: Path) -> None:
    """Another system prompt is another question; the message names both folders."""
    template = next(p for p in copy.iterdir() if p.name.startswith("chat_template"))
    edit(template, "You are a helpful assistant.", "You are a pirate.")

    with pytest.raises(TokenizerDiffersError, match="its chat template, the tokens of") as told:
        require_same_tokenizer(tiny_model, copy)

    assert str(copy) in str(told.value)
    assert str(tiny_model) in str(told.value)


def test_another_vocabulary_is_told(tiny_model: Path, copy: Path) -> None:
    """Two tokens that changed places are another vocabulary, of the same size."""
    path = copy / "tokenizer.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = told["model"]["vocab"]
    one, other = list(vocabulary)[:2]
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    path.write_text(json.dumps(told), encoding="utf-8")
    for name in ("vocab.json", "merges.txt"):
        (copy / name).unlink(missing_ok=True)

    with pytest.raises(TokenizerDiffersError, match="its vocabulary"):
        require_same_tokenizer(tiny_model, copy)


def test_a_folder_without_a_processor_is_told(tiny_model: Path, tmp_path: Path) -> None:
    """Nothing is compared with nothing."""
    with pytest.raises(ProcessorError):
        require_same_tokenizer(tiny_model, tmp_path)
