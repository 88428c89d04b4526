"""The spreadsheet says in VLMEvalKit's words what was asked and answered."""

from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from infra.errors import (
    EmptyTableError,
    ForeignPredictionsError,
    MissingPredictionsError,
    SpreadsheetError,
)
from infra.evaluation.spreadsheet import write_spreadsheet
from tests.support.tables import choices, presence, write_table


def written(folder: Path, predictions: dict[int, str]) -> pd.DataFrame:
    """Write answers to a table of yes/no questions, and read them as VLMEvalKit does."""
    table = write_table(folder / "POPE.tsv", presence(len(predictions)))
    write_spreadsheet(folder / "model_POPE.xlsx", table, predictions)
    return pd.read_excel(folder / "model_POPE.xlsx")


def test_columns_are_those_of_the_table_without_images(tmp_path: Path) -> None:
    """And the answers behind them; indices are numbers, by which VLMEvalKit finds rows."""
    frame = written(tmp_path, {0: "Yes", 1: "No"})

    assert list(frame.columns) == ["index", "question", "answer", "category", "prediction"]
    assert frame["index"].tolist() == [0, 1]
    assert frame["index"].dtype.kind == "i"
    assert frame["question"].tolist() == ["Is there a 0?", "Is there a 1?"]
    assert frame["prediction"].tolist() == ["Yes", "No"]


@pytest.mark.parametrize(
    "text",
    ["=1+1", "{=1}", "+1", "@x", "5", "1.50", "True", "https://example.org", " Yes ", "a\nb", "猫"],
)
def test_an_answer_comes_back_as_it_was(tmp_path: Path, text: str) -> None:
    """Nothing is taken for a formula, a number or a link."""
    assert written(tmp_path, {0: text, 1: "No"})["prediction"].tolist() == [text, "No"]


def test_a_carriage_return_becomes_a_line_feed(tmp_path: Path) -> None:
    """It would come back as `_x000D_`, in the middle of a word."""
    assert written(tmp_path, {0: "Yes\r\nit is\r", 1: ""})["prediction"][0] == "Yes\nit is\n"


def test_every_cell_but_the_index_is_text(tmp_path: Path) -> None:
    """Whatever reads the file is told that 5 is a word, and =1 no formula."""
    rows = choices(1)
    rows[0]["C"] = "5"
    table = write_table(tmp_path / "t.tsv", rows)

    write_spreadsheet(tmp_path / "x.xlsx", table, {0: "=1"})

    first = openpyxl.load_workbook(tmp_path / "x.xlsx").worksheets[0][2]
    cells = [(cell.value, cell.data_type) for cell in first if cell.value is not None]
    assert cells[0] == (0, "n")
    assert {kind for _, kind in cells[1:]} == {"s"}
    assert {("5", "s"), ("=1", "s")} < set(cells)


def test_rows_without_an_image_are_left_out(tmp_path: Path) -> None:
    """They were not asked; rows that refer to another's image were."""
    rows = presence(3)
    rows[1]["image"], rows[2]["image"] = "", "0"
    table = write_table(tmp_path / "t.tsv", rows)

    write_spreadsheet(tmp_path / "x.xlsx", table, {0: "Yes", 2: "No"})

    assert pd.read_excel(tmp_path / "x.xlsx")["index"].tolist() == [0, 2]


def test_equal_answers_give_equal_bytes(tmp_path: Path) -> None:
    """The file holds no date of today, and replaces the one that was there."""
    path = tmp_path / "model_POPE.xlsx"
    written(tmp_path, {0: "Yes", 1: "No"})
    first = path.read_bytes()
    written(tmp_path, {0: "Yes", 1: "Yes"})

    assert first != path.read_bytes()
    written(tmp_path, {0: "Yes", 1: "No"})
    assert first == path.read_bytes()


def test_missing_answers_are_refused(tmp_path: Path) -> None:
    """VLMEvalKit would score the rest, and print a number like any other."""
    table = write_table(tmp_path / "t.tsv", presence(3))

    with pytest.raises(MissingPredictionsError, match=r"2 of the 3 rows of .*t\.tsv.*index 1"):
        write_spreadsheet(tmp_path / "x.xlsx", table, {0: "Yes"})
    assert not (tmp_path / "x.xlsx").exists()


def test_foreign_answers_are_refused(tmp_path: Path) -> None:
    """They belong to another table, and so perhaps do all."""
    table = write_table(tmp_path / "t.tsv", presence(1))

    with pytest.raises(ForeignPredictionsError, match=r"1 predictions .*t\.tsv.*index 7"):
        write_spreadsheet(tmp_path / "x.xlsx", table, {0: "Yes", 7: "No"})


def test_a_table_without_questions_is_refused(tmp_path: Path) -> None:
    """A spreadsheet of a header alone would be scored as nothing."""
    table = write_table(tmp_path / "t.tsv", [row | {"image": ""} for row in presence(1)])

    with pytest.raises(EmptyTableError, match="no row with an image"):
        write_spreadsheet(tmp_path / "x.xlsx", table, {})


@pytest.mark.parametrize(
    ("text", "told"), [("a" * 32_768, "32768 characters"), ("\ud800", "UTF-8")]
)
def test_what_no_cell_can_hold_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """Rather than cut or left out in silence; the line is that of the spreadsheet."""
    with pytest.raises(SpreadsheetError, match=rf"^Line 3 of the spreadsheet has .*{told}"):
        written(tmp_path, {0: "Yes", 1: text})


def test_the_longest_cell_fits(tmp_path: Path) -> None:
    """The limit itself is allowed."""
    assert len(written(tmp_path, {0: "a" * 32_767, 1: "No"})["prediction"][0]) == 32_767
