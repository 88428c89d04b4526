"""The source's licence goes along, and nothing is made up where its card is silent."""

from pathlib import Path

import pytest

from infra.card.sourcecard import SourceCard, read_source_card
from infra.demo import MODEL_DIR


def card_of(folder: Path, text: str) -> SourceCard:
    """Return what is read of a card."""
    (folder / "README.md").write_text(text, encoding="utf-8")
    return read_source_card(folder)


def test_the_licence_is_taken_over(tmp_path: Path) -> None:
    """With its name and place, where it has them."""
    told = "license: other\nlicense_name: mine\nlicense_link: LICENSE\nlanguage: [en, zh]"

    assert card_of(tmp_path, f"---\n{told}\n---\n# Model\n") == SourceCard(
        "other", "mine", "LICENSE", ("en", "zh")
    )


def test_the_demo_models_licence_is_known() -> None:
    """Its card is the one that Roundhouse carries."""
    assert read_source_card(MODEL_DIR).license == "apache-2.0"


def test_one_language_is_a_language(tmp_path: Path) -> None:
    """The Hub takes a word or a list."""
    assert card_of(tmp_path, "---\nlanguage: en\n---\n").languages == ("en",)


@pytest.mark.parametrize(
    "text",
    ["", "# Model\n", "---\nlicense: x\n", "---\n[\n---\n", "---\n- a\n---\n", "---\n\n---\n"],
    ids=["empty", "no metadata", "not closed", "no YAML", "a list", "nothing"],
)
def test_a_broken_card_says_nothing(tmp_path: Path, text: str) -> None:
    """It is no reason to stop a release."""
    assert card_of(tmp_path, text) == SourceCard()


def test_a_licence_that_is_no_word_is_none(tmp_path: Path) -> None:
    """A list or a number is nothing that the Hub would take."""
    assert card_of(tmp_path, "---\nlicense: [a]\nlanguage: [1, en]\n---\n") == SourceCard(
        languages=("en",)
    )


def test_a_folder_without_a_card_says_nothing(tmp_path: Path) -> None:
    """Many have none."""
    assert read_source_card(tmp_path) == SourceCard()
