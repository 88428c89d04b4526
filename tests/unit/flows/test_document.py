"""Recipe files are read without YAML's surprises."""

from pathlib import Path

import pytest

from flows import document
from flows.errors import RecipeError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("-7", -7),
        ("0777", "0777"),
        ("12:30", "12:30"),
        ("2024-01-31", "2024-01-31"),
        ("1_000", "1_000"),
        ("~", None),
        ("", None),
        ("[a, 1]", ["a", 1]),
        ("Qwen/Qwen2-VL-7B-Instruct", "Qwen/Qwen2-VL-7B-Instruct"),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    """A word is a word, a date is a word, and 1e-3 is a number."""
    assert document.parse(text, "here") == value


def test_a_key_that_is_written_twice_is_refused() -> None:
    """The second value would silently win."""
    with pytest.raises(RecipeError, match=r"here, line 3, column 1: .*'a' is written twice"):
        document.parse("a: 1\nb: 2\na: 3\n", "here")


def test_broken_yaml_names_file_line_and_column(tmp_path: Path) -> None:
    """A person finds the place."""
    path = tmp_path / "r.yaml"
    path.write_text("a: [1, 2\nb: 3\n")

    with pytest.raises(RecipeError, match=r"r\.yaml, line 2, column 2: not valid YAML"):
        document.read(path)


def test_a_tag_that_would_run_code_is_refused() -> None:
    """A recipe is data."""
    with pytest.raises(RecipeError, match="not valid YAML"):
        document.parse("!!python/object/apply:os.getcwd []", "here")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "holds nothing"),
        (b"- a\n- b\n", "holds list"),
        (b"name: caf\xe9\n", "byte 9 is not UTF-8"),
    ],
)
def test_a_file_that_holds_no_mapping_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    """The message says what the file holds instead."""
    path = tmp_path / "r.yaml"
    path.write_bytes(data)

    with pytest.raises(RecipeError, match=words):
        document.read(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The message holds the path and the system's reason."""
    with pytest.raises(RecipeError, match=r"gone\.yaml: the recipe cannot be read: No such file"):
        document.read(tmp_path / "gone.yaml")
