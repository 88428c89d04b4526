"""Single cells mean one thing, or the row is refused."""

from pathlib import Path

import pytest

from infra.errors import ImageReferenceError, RowIndexError
from infra.evaluation.cells import annotators, image_cell, image_name, index_of, options_of
from infra.evaluation.tsv import TsvRow
from tests.support.tables import encoded


def a_row(cells: dict[str, str]) -> TsvRow:
    """Return a row."""
    return TsvRow(3, cells, Path("bench.tsv"))


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("17", 17), (" 17 ", 17), ("3000059", 3000059)]
)
def test_an_index_is_a_whole_number(text: str, value: int) -> None:
    """White space around it does not matter."""
    assert value == index_of(a_row({"index": text}))


@pytest.mark.parametrize("text", ["", "a", "1.0", "1e3", "1_000", "٣", "NaN", "9" * 30])
def test_any_other_index_is_refused(text: str) -> None:
    """A number with a point, a name, or nothing: rows could then not be told apart for sure."""
    with pytest.raises(RowIndexError, match=r"bench\.tsv, row 3 \(index .*no whole number"):
        index_of(a_row({"index": text}))


def test_a_picture_is_named_by_its_text() -> None:
    """Equal text has one name of sixteen digits, other text another."""
    one, two = (image_cell(a_row({"image": encoded(shade)})) for shade in (1, 2))

    assert one == image_cell(a_row({"image": encoded(1)}))
    assert one != two
    assert len(str(one)) == 16


@pytest.mark.parametrize(("text", "value"), [("", None), ("  ", None), ("12", 12), ("0", 0)])
def test_a_short_cell_is_an_index_or_nothing(text: str, value: int | None) -> None:
    """As in VLMEvalKit: up to 64 characters name another row."""
    assert value == image_cell(a_row({"image": text}))


def test_64_characters_are_no_picture_and_65_are() -> None:
    """The limit is VLMEvalKit's."""
    assert image_cell(a_row({"image": "a" * 65}))
    with pytest.raises(ImageReferenceError, match="64 characters or fewer are indices"):
        image_cell(a_row({"image": "a" * 64}))


def test_references_are_followed() -> None:
    """From row to row, until there is a picture."""
    row = a_row({"index": "3"})

    assert image_name(row, 3, {1: "abc", 2: 1, 3: 2}) == "abc"
    assert image_name(row, 3, {3: "abc"}) == "abc"
    assert image_name(row, 3, {3: None}) is None


@pytest.mark.parametrize(
    ("images", "told"),
    [
        ({3: 9}, r"that of row 9, and no row has that index \(3 -> 9\)"),
        ({3: 2, 2: 9}, r"that of row 9, and no row has that index \(3 -> 2 -> 9\)"),
        ({3: 3}, r"that of row 3, which leads back to itself \(3 -> 3\)"),
        ({3: 2, 2: 1, 1: 2}, r"that of row 2, which leads back to itself \(3 -> 2 -> 1 -> 2\)"),
        ({3: 2, 2: None}, r"that of row 2, which has no image"),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused(
    images: dict[int, str | int | None], told: str
) -> None:
    """No such row, a circle, or a row without image: the message shows the way."""
    with pytest.raises(ImageReferenceError, match=rf"row 3 \(index '3'\): the image is {told}"):
        image_name(a_row({"index": "3"}), 3, images)


def test_options_are_all_cells_that_are_not_empty() -> None:
    """Letters stay with their columns, up to Z; white space is text."""
    row = a_row({"A": "None", "B": "", "C": "5", "Z": " ", "a": "no option", "AA": "neither"})

    assert options_of(row) == (("A", "None"), ("C", "5"), ("Z", " "))


@pytest.mark.parametrize(
    ("cell", "answers"),
    [
        ("['a', 'b']", ("a", "b")),
        ('["it\'s", "it\'s"]', ("it's", "it's")),
        ("[1, 2.5, True]", ("1", "2.5", "True")),
        (r"['a\d']", (r"a\d",)),
        (" ['a']", ("a",)),
        ("[]", ()),
        ("a", ()),
        ("", ()),
        ("('a', 'b')", ()),
        ("'a'", ()),
        ("['a'", ()),
        ("[nan]", ()),
        ("[__import__('os').getcwd()]", ()),
        ("[" * 300 + "]" * 300, ()),
        ("a\0b", ()),
    ],
)
def test_annotators_are_a_list_as_python_writes_it(cell: str, answers: tuple[str, ...]) -> None:
    """Values alone are read, nothing is executed; what is no list has no annotators."""
    assert answers == annotators(cell)
