"""What an evaluation has shown is told in a table, on a page, and in lines."""

from pathlib import Path

import pytest

from flows import verdict_report
from infra.evaluation.wording import MINUS
from infra.store import FolderStore
from tasks.evalspecs import BlockNoise, FidelityReport
from tests.support.evaluations import (
    FAIL,
    HOLD,
    PASS,
    a_divergence,
    a_model,
    a_table,
    an_evaluation,
    compared,
)
from tests.support.scores import single

BEFORE, AFTER = single([1, 1, 0]), single([1, 0, 0])
NOISE = tuple(
    BlockNoise(block=block, sqnr_db=db) for block, db in enumerate((30.0, None, 12.5, 20.0, 15.25))
)
NEAR = FidelityReport(
    text=a_divergence(mean_kl=0.25, rounded=0.5), prompts=a_divergence(mean_kl=0.125), blocks=NOISE
)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """Return an empty store."""
    return FolderStore(tmp_path / "store")


def test_the_table_has_a_column_a_model_and_a_row_a_benchmark(store: FolderStore) -> None:
    """The average comes first; a variant's cells say how far chance could have moved them."""
    models = [a_model(store, "16bits", BEFORE), a_model(store, "pile", AFTER)]
    told = an_evaluation({"pile": compared(BEFORE, AFTER)}, models=models)
    table = verdict_report.results_table(told, store)

    assert table is not None
    assert [list(row) for row in table.rows()] == [["task", "16bits", "pile"]] * 2
    assert [row["task"] for row in table.rows()] == ["avg", "Single"]
    assert table.rows()[1]["16bits"] == "66.67"
    assert table.rows()[1]["pile"].startswith(f"33.33 ({MINUS}33.33, 95% ")
    assert "answered by transformers 5 float32;" in table.footnote


def test_without_a_16_bit_model_scores_stand_alone(store: FolderStore) -> None:
    """There is nothing that they could differ from."""
    models = [a_model(store, "pile", AFTER)]
    table = verdict_report.results_table(an_evaluation({"pile": None}, models=models), store)

    assert table is not None
    assert table.rows() == [{"task": "avg", "pile": "33.33"}, {"task": "Single", "pile": "33.33"}]


def test_where_nothing_was_asked_there_is_no_table(store: FolderStore) -> None:
    """Held-out text has its own."""
    told = an_evaluation({"pile": None}, fidelity={"pile": NEAR})

    assert verdict_report.results_table(told, store) is None
    assert "| pile | text | 10 |" in verdict_report.markdown("run", told, None)


def test_the_page_has_every_finding_with_its_outcome(store: FolderStore) -> None:
    """Also those that passed: a reader sees what was looked at."""
    models = [a_model(store, "16bits", BEFORE), a_model(store, "pile", AFTER)]
    told = an_evaluation({"pile": HOLD, "llava": PASS}, models=models)
    page = verdict_report.markdown("run", told, verdict_report.results_table(told, store))

    assert page.startswith("# run: evaluation\n\n| task | 16bits | pile | llava |\n")
    assert "## pile: hold\n\n- pass: Both models answered the same 1,000 rows" in page
    assert f"\n- hold: The average went from 80.00 to 79.00 ({MINUS}1.00 points" in page
    assert "\n- not judged: The KL divergence from the 16-bit model was not measured" in page
    assert "## llava: pass\n" in page


def test_fidelity_has_a_row_for_text_and_one_for_questions() -> None:
    """Numbers as people read them; what was not measured is a dash."""
    told = an_evaluation({"pile": None, "llava": None}, fidelity={"pile": NEAR})

    assert verdict_report.fidelity_rows(told.variants) == [
        ("pile", "text", "10", "x 1.0357", "0.25000", "0.50000", "0.5000", "97.50%"),
        ("pile", "questions", "10", "x 1.0357", "0.12500", "-", "0.5000", "97.50%"),
    ]


def test_the_noisiest_blocks_are_named_worst_first() -> None:
    """Counted from 1; blocks without any noise are not among them."""
    told = an_evaluation({"pile": None}, fidelity={"pile": NEAR})
    page = verdict_report.markdown("run", told, None)

    assert "Noisiest blocks of pile: 3 (12.5 dB), 5 (15.2 dB), 4 (20.0 dB)." in page


def test_notes_of_the_tables_are_on_the_page() -> None:
    """Rows without an image, options that are shown otherwise elsewhere."""
    tables = [a_table("POPE", notes=["2 rows have no image and are not asked."])]
    page = verdict_report.markdown("run", an_evaluation({}, tables=tables), None)

    assert page == "# run: evaluation\n\nPOPE: 2 rows have no image and are not asked.\n"


def test_lines_tell_the_verdict_and_what_speaks_against_it() -> None:
    """On a console what passed would hide the rest; what was not judged has no lines."""
    told = an_evaluation({"a": PASS, "b": FAIL, "c": None})
    lines = [line for each in told.variants for line in verdict_report.verdict_lines(each)]

    assert [line.partition(" (")[0] for line in lines] == [
        "a: PASS",
        "b: FAIL",
        "  The average went from 80.00 to 76.00",
    ]
    assert lines[2].endswith("so that the loss is greater.")
