"""Whole benchmarks: the numbers of our report are those of VLMEvalKit's evaluation.

It reads the table as it stands, and the answers from the spreadsheet that is written for it.
"""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from infra.evaluation.benchmark import Kind
from infra.evaluation.rules import DEFAULT_RULES, rule_set
from infra.evaluation.scored import Report, Scored
from infra.evaluation.scoring import score
from infra.evaluation.single import read_single
from infra.evaluation.spreadsheet import write_spreadsheet
from tests.vlmeval.conftest import Oracle
from tests.vlmeval.tables import Answered, circular, presence, reading, vanilla

LATER = "vlmevalkit-e8e78f05"


class Contest:
    """Both ways to score one table."""

    def __init__(self, folder: Path, oracles: dict[str, Oracle]) -> None:
        self._folder = folder
        self._oracles = oracles

    def __call__(
        self, name: str, kind: Kind, answered: Answered, rules: str
    ) -> tuple[Scored, dict[str, Any]]:
        """Return our scores, and theirs."""
        path = answered.write(self._folder / f"{name}.tsv")
        spreadsheet = self._folder / f"model_{name}.xlsx"
        write_spreadsheet(spreadsheet, path, answered.predictions)
        ours = score(read_single(path, kind), answered.predictions, rule_set(rules))
        asked = {"kind": kind, "name": name, "table": str(path), "spreadsheet": str(spreadsheet)}
        return ours, self._oracles[rules]("benchmark", asked)


@pytest.fixture
def contest(tmp_path: Path, earlier: Oracle, packaged: Oracle) -> Contest:
    """Return what scores a table both ways."""
    return Contest(tmp_path, {DEFAULT_RULES: earlier, LATER: packaged})


each_set = pytest.mark.parametrize("rules", [DEFAULT_RULES, LATER])


def by_name(report: Report) -> dict[str, float]:
    """Return the numbers of multiple choice as VLMEvalKit lays them out, in points."""
    return {"Overall": report.overall, **report.l2_categories, **report.categories}


@each_set
def test_a_circular_benchmark(rules: str, contest: Contest) -> None:
    """Every group is a hit or not on both sides; so are questions that do not count."""
    ours, theirs = contest("MMBench_mini", "mcq", circular(Random(1), 300), rules)

    assert {str(one.group): one.score for one in ours.groups} == theirs["hits"]
    report = {name: 100 * hit for name, (hit,) in theirs["report"].items() if name != "split"}
    assert by_name(ours.report) == pytest.approx(report, abs=1e-9)
    assert len(ours.groups) == 285
    assert 20 < ours.report.overall < 95


@each_set
def test_a_vanilla_benchmark(rules: str, contest: Contest) -> None:
    """Every row is a hit or not on both sides, and each split has its number."""
    ours, theirs = contest("Science_mini", "mcq", vanilla(Random(2), 500), rules)

    assert {str(row.index): row.score for row in ours.rows} == theirs["hits"]
    overall = dict(zip(theirs["report"]["split"], theirs["report"]["Overall"], strict=True))
    expected = {split: 100 * hit for split, hit in overall.items()}
    assert ours.report.splits == pytest.approx(expected, abs=1e-9)
    assert 50 < ours.report.overall < 95


@each_set
def test_yes_and_no(rules: str, contest: Contest) -> None:
    """F1, accuracy, precision and recall are the same, overall and in each category."""
    ours, theirs = contest("POPE", "yes_no", presence(Random(3), 600), rules)

    report = theirs["report"]
    names = {"f1": "Overall", "acc": "acc", "precision": "precision", "recall": "recall"}
    for row, name in enumerate(report["split"]):
        expected = {field: report[column][row] for field, column in names.items()}
        assert ours.report.detection[name].model_dump() == pytest.approx(expected, abs=1e-9)
    assert sorted(report["split"]) == ["Overall", "adversarial", "popular", "random"]
    assert ours.report.overall == ours.report.detection["Overall"].f1


@each_set
def test_open_answers(rules: str, contest: Contest) -> None:
    """The mean over all rows is the same, cells that are no list included."""
    ours, theirs = contest("TextVQA_mini", "vqa", reading(Random(4), 500), rules)

    assert ours.report.overall == pytest.approx(theirs["report"]["Overall"][0], abs=1e-9)
    assert 20 < ours.report.overall < 95
