"""Two results that were written earlier are paired, printed, and refused where they do not fit."""

from pathlib import Path

import pytest

from flows.cli import comparing
from flows.cli.exits import Exit
from flows.errors import EvaluationFileError
from flows.evaluation_file import EvaluationDocument, ModelResult, as_json
from infra.errors import DifferentTablesError
from infra.evaluation.compared import Comparison
from infra.evaluation.scored import Scored
from infra.evaluation.wording import MINUS
from tests.support.scores import single

BEFORE, AFTER = single([1, 1, 0]), single([1, 0, 0])


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print for a terminal on which nothing is wrapped."""
    monkeypatch.setenv("COLUMNS", "200")


def write_result(
    path: Path, models: dict[str, Scored], *, engine: str = "one", baseline: str | None = None
) -> Path:
    """Write what `evaluate --json` writes of several models."""
    results = (
        ModelResult(name=name, engine={"engine": engine}, benchmarks={scored.benchmark: scored})
        for name, scored in models.items()
    )
    told = EvaluationDocument(baseline=baseline, tables=(), models=tuple(results), variants=())
    path.write_bytes(as_json(told))
    return path


def test_differences_are_printed_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table of the card, what the gate would say, and a file with every number."""
    one = write_result(tmp_path / "one.json", {"old": BEFORE})
    other = write_result(tmp_path / "other.json", {"new": AFTER})
    code = comparing.run(str(one), str(other), tmp_path / "out.json")
    told = Comparison.model_validate_json((tmp_path / "out.json").read_bytes())
    shown = capsys.readouterr().out

    assert code == Exit.OK
    assert told.average.difference == pytest.approx(-100 / 3)
    assert f"33.33 ({MINUS}33.33" in shown
    assert "old and new" in shown
    assert "hold: The average went from 66.67 to 33.33" in shown
    assert "not judged: The KL divergence" in shown


@pytest.mark.parametrize("name", ["16bits", "task"])
def test_a_model_may_have_the_name_of_another_column(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two 16-bit models can be compared, too: the second is called as it was asked for."""
    one = write_result(tmp_path / "one.json", {"16bits": BEFORE}, baseline="16bits")
    other = write_result(tmp_path / "other.json", {name: AFTER}, baseline=name)

    assert comparing.run(str(one), f"{other}:{name}", None) == Exit.OK
    assert f" other.json:{name} ┃" in capsys.readouterr().out


def test_a_model_of_several_is_named_behind_a_colon(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both sides may come from one file."""
    both = write_result(tmp_path / "both.json", {"16bits": BEFORE, "a": AFTER, "b": BEFORE})

    assert comparing.run(f"{both}:16bits", f"{both}:a", None) == Exit.OK
    assert "16bits and a" in capsys.readouterr().out


def test_other_engines_are_not_compared(tmp_path: Path) -> None:
    """Their scores differ by themselves; the message says in what they differ."""
    one = write_result(tmp_path / "one.json", {"m": BEFORE})
    other = write_result(tmp_path / "other.json", {"m": AFTER}, engine="two")
    with pytest.raises(EvaluationFileError, match="engine one and two"):
        comparing.run(str(one), str(other), tmp_path / "out.json")

    assert not (tmp_path / "out.json").exists()


def test_answers_that_somebody_recorded_can_be_compared_with_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody knows what gave them, so nothing is refused."""
    one = write_result(tmp_path / "one.json", {"m": BEFORE})
    other = tmp_path / "theirs.json"
    other.write_bytes(AFTER.model_dump_json(by_alias=True).encode())

    assert comparing.run(str(one), str(other), None) == Exit.OK
    assert "theirs" in capsys.readouterr().out


def test_other_tables_are_not_compared(tmp_path: Path) -> None:
    """Rows of one index would be other questions."""
    one = write_result(tmp_path / "one.json", {"m": BEFORE})
    changed = AFTER.model_copy(update={"table_sha256": "0" * 64})
    with pytest.raises(DifferentTablesError, match="other tables"):
        comparing.run(str(one), str(write_result(tmp_path / "two.json", {"m": changed})), None)
