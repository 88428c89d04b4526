"""A table is read whole and literally, or refused with the row that is wrong."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.demo.benchmarks import BenchmarkSizes, write_benchmarks
from infra.errors import (
    AnswerError,
    DuplicateRowError,
    EmptyTableError,
    ImageReferenceError,
    RowIndexError,
    StorageError,
    TableColumnError,
    TableError,
    TableImageError,
)
from infra.evaluation.catalog import known
from infra.evaluation.question import Question, Table
from infra.evaluation.table import read_table
from tests.support.calibration import picture
from tests.support.tables import (
    MCQ,
    VQA,
    YES_NO,
    Row,
    choices,
    encoded,
    presence,
    reading,
    write_table,
)


def read(folder: Path, rows: list[Row], *, images: bool = True) -> Table:
    """Write and read a table; its columns tell its kind."""
    benchmark = MCQ if "A" in rows[0] else YES_NO if "category" in rows[0] else VQA
    return read_table(write_table(folder / "t.tsv", rows), benchmark, images=images)


def test_a_choice_has_all_that_is_in_its_row(tmp_path: Path) -> None:
    """Empty cells are nothing: no hint, no third option, no split."""
    rows = choices(1)
    rows[0] |= {"index": "17", "l2-category": "nature", "split": "", "hint": ""}

    name = hashlib.sha256(rows[0]["image"].encode()).hexdigest()[:16]
    assert read(tmp_path, rows).questions == (
        Question(
            index=17,
            text="What is 0?",
            hint=None,
            options=(("A", "a cat"), ("B", "a dog")),
            answer="B",
            answers=(),
            categories=("animals",),
            l2_category="nature",
            split=None,
            image=name,
        ),
    )


def test_a_hint_and_a_split_are_kept(tmp_path: Path) -> None:
    """Where the table has them."""
    rows = choices(1)
    rows[0] |= {"hint": "It barks.", "split": "dev"}

    question = read(tmp_path, rows).questions[0]

    assert (question.hint, question.split) == ("It barks.", "dev")


def test_a_yes_no_question_has_several_categories(tmp_path: Path) -> None:
    """The cell is split at commas, and counts once in each."""
    table = read(tmp_path, presence(2))

    assert [q.categories for q in table.questions] == [("adversarial", "popular")] * 2
    assert [q.answer for q in table.questions] == ["Yes", "No"]
    assert [q.options for q in table.questions] == [(), ()]


def test_a_category_with_a_comma_is_one_where_options_are_chosen(tmp_path: Path) -> None:
    """Only yes/no tables hold lists of categories."""
    rows = choices(1)
    rows[0]["category"] = "cats, dogs"

    assert read(tmp_path, rows).questions[0].categories == ("cats, dogs",)


def test_an_open_question_has_its_annotators(tmp_path: Path) -> None:
    """The cell stays as it is, beside what it lists."""
    table = read(tmp_path, reading(1))

    assert table.questions[0].answers == ("stop",) * 7 + ("Stop", "halt", "it's")
    assert table.questions[0].answer == reading(1)[0]["answer"]


def test_questions_stay_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Whatever their indices are."""
    rows = presence(3)
    rows.reverse()

    assert [q.index for q in read(tmp_path, rows).questions] == [2, 1, 0]


def test_pictures_are_kept_by_name_once(tmp_path: Path) -> None:
    """Rows with the same picture, given again or referred to, share its bytes."""
    rows = presence(4)
    rows[1]["image"] = rows[0]["image"]
    rows[2]["image"] = "3"
    rows[3]["image"] = encoded(99)

    table = read(tmp_path, rows)
    names = [question.image for question in table.questions]

    assert names == [names[0], names[0], names[3], names[3]]
    assert table.images == {
        names[0]: picture((28, 28), shade=0),
        names[3]: picture((28, 28), shade=99),
    }


def test_scoring_needs_no_picture_but_their_names(tmp_path: Path) -> None:
    """Pictures are then not even decoded, and everything else is the same."""
    rows = presence(3)
    rows[1]["image"] = "0"

    whole, bare = read(tmp_path, rows), read(tmp_path, rows, images=False)

    assert bare.images == {}
    assert (whole.questions, whole.sha256, whole.notes) == (
        bare.questions,
        bare.sha256,
        bare.notes,
    )


def test_rows_are_counted_and_the_file_is_known_by_its_digest(tmp_path: Path) -> None:
    """How many rows a benchmark has is never assumed."""
    table = read(tmp_path, presence(130))

    assert (table.rows, table.dropped, len(table.questions)) == (130, 0, 130)
    assert table.sha256 == hashlib.sha256((tmp_path / "t.tsv").read_bytes()).hexdigest()
    assert table.notes == ()


def test_rows_without_an_image_are_dropped_and_counted(tmp_path: Path) -> None:
    """As in VLMEvalKit; what else is wrong in them does not matter."""
    rows = presence(4)
    rows[1] |= {"image": "", "answer": "perhaps"}
    rows[2]["image"] = " "

    table = read(tmp_path, rows)

    assert (table.rows, table.dropped, len(table.questions)) == (4, 2, 2)
    assert table.notes == ("2 rows have no image and are not asked.",)


@pytest.mark.parametrize("word", ["None", "NA", "N/A", "null", "nan"])
def test_an_option_that_pandas_would_lose_is_offered(tmp_path: Path, word: str) -> None:
    """The author wrote it; a note says that VLMEvalKit leaves it out."""
    rows = choices(3)
    rows[0]["C"] = word

    table = read(tmp_path, rows)

    assert table.questions[0].options[-1] == ("C", word)
    assert len(table.notes) == 1
    assert table.notes[0].startswith("1 rows have options or hints such as None, NA or N/A.")


def test_an_option_that_is_a_number_is_offered_as_written(tmp_path: Path) -> None:
    """A column of numbers with a gap is read as 5.0 by VLMEvalKit: a note says so."""
    rows = choices(3)
    rows[0]["C"], rows[1]["C"] = "5", "10"

    table = read(tmp_path, rows)

    assert [q.options[-1] for q in table.questions] == [("C", "5"), ("C", "10"), ("B", "a dog")]
    assert len(table.notes) == 1
    assert table.notes[0].startswith("2 rows have options or hints that VLMEvalKit shows otherwise")


def test_an_answer_that_is_no_list_is_noted(tmp_path: Path) -> None:
    """By the rule it scores 0 whatever is answered, and nobody would see why."""
    rows = reading(3)
    rows[0]["answer"] = "stop"

    table = read(tmp_path, rows)

    assert table.questions[0].answers == ()
    assert table.notes == (
        "1 rows have an answer that is no list: they score 0 whatever is answered.",
    )


Spoil = Callable[[list[Row]], object]


@pytest.mark.parametrize(
    ("rows", "spoil", "error", "told"),
    [
        (choices(), lambda r: r[1].update(answer="C"), AnswerError, "'C', and the options"),
        (choices(), lambda r: r[1].update(answer="b"), AnswerError, "options are A, B"),
        (choices(), lambda r: r[1].update(answer=""), AnswerError, "the answer is ''"),
        (choices(), lambda r: r[1].update(A="", B=""), AnswerError, "the options are none"),
        (presence(), lambda r: r[1].update(answer="maybe"), AnswerError, "must be Yes or No"),
        (presence(), lambda r: r[1].update(answer="yes"), AnswerError, "must be Yes or No"),
        (presence(), lambda r: r[1].update(index="1.0"), RowIndexError, "no whole number"),
        (presence(), lambda r: r[1].update(index="0"), DuplicateRowError, "row 1 has the same"),
        (presence(), lambda r: r[1].update(index="00"), DuplicateRowError, "row 1 has the same"),
        (presence(), lambda r: r[1].update(image="x" * 90), TableImageError, "is no base64"),
        (presence(), lambda r: r[1].update(image="eHh4" * 30), TableImageError, "no whole picture"),
        (presence(), lambda r: r[1].update(image="9"), ImageReferenceError, "no row has that"),
        (presence(), lambda r: r[1].update(image="1"), ImageReferenceError, "back to itself"),
        (presence(), lambda r: r[1].update(image="a"), ImageReferenceError, "the image is 'a'"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_asked_is_named(
    tmp_path: Path, rows: list[Row], spoil: Spoil, error: type[TableError], told: str
) -> None:
    """The message has the file, the row, its index, what is wrong, and what to do."""
    spoil(rows)

    with pytest.raises(error) as caught:
        read(tmp_path, rows)

    index = rows[1]["index"]
    assert str(caught.value).startswith(f"{tmp_path / 't.tsv'}, row 2 (index '{index}'): ")
    assert told in str(caught.value)


def test_a_reference_to_a_row_without_an_image_is_refused(tmp_path: Path) -> None:
    """That row is not asked, and so the other cannot be."""
    rows = presence(2)
    rows[0]["image"], rows[1]["image"] = "", "0"

    with pytest.raises(ImageReferenceError, match="that of row 0, which has no image"):
        read(tmp_path, rows)


def test_a_missing_column_is_refused(tmp_path: Path) -> None:
    """Which columns there must be depends on the kind."""
    path = write_table(tmp_path / "t.tsv", presence())

    with pytest.raises(TableColumnError, match="no column 'A' or 'B'"):
        read_table(path, MCQ)


@pytest.mark.parametrize("keep", [0, 2])
def test_an_empty_benchmark_is_refused(tmp_path: Path, keep: int) -> None:
    """A header alone, or rows of which none has an image."""
    rows = [row | {"image": ""} for row in presence()]
    path = write_table(tmp_path / "t.tsv", rows)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: keep + 1]))

    with pytest.raises(EmptyTableError, match=rf"t\.tsv has {keep} rows.* nothing to ask"):
        read_table(path, YES_NO)


def test_a_missing_file_is_an_error_of_storage(tmp_path: Path) -> None:
    """Not a traceback of pandas."""
    with pytest.raises(StorageError, match=r"t\.tsv"):
        read_table(tmp_path / "t.tsv", YES_NO)


def test_the_generated_benchmarks_are_read(tmp_path: Path) -> None:
    """Rotations share the picture of their first row; nothing is dropped or noted."""
    sizes = BenchmarkSizes(circular_groups=5, science=5, reading=5, presence=10)
    paths = write_benchmarks(tmp_path, seed=3, sizes=sizes)

    tables = {name: read_table(path, known()[name]) for name, path in paths.items()}

    assert {name: (table.dropped, table.notes) for name, table in tables.items()} == dict.fromkeys(
        known(), (0, ())
    )
    circular = tables["MMBench_DEV_EN_V11"]
    assert len(circular.images) == 5 == len({(q.group, q.image) for q in circular.questions})
    assert circular.rows > 5 * 2


def test_reading_needs_neither_torch_nor_transformers() -> None:
    """Recorded answers are scored in seconds, on a machine that has no model."""
    code = (
        "import sys, infra.evaluation.table, infra.evaluation.prompts, infra.evaluation.catalog;"
        "print(sorted({'torch', 'transformers', 'prefect', 'datasets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
