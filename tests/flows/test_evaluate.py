"""Evaluation on a real server: the controls of the gate on the demo model, and what is reused."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prefect.settings import temporary_settings

from flows import recipefile
from flows.evaluate import Checkpoint, EvaluationRequest, evaluate_checkpoints
from flows.evaluation_file import EvaluationDocument, as_json, document
from flows.quantize import quantize_model
from flows.recipe import DEMO_MODEL, ModelSpec, Recipe
from flows.results import Evaluation, RunResult
from infra.demo import MODEL_DIR
from infra.demo.benchmarks import BenchmarkSizes, write_benchmarks
from infra.errors import UnknownBenchmarkError
from infra.evaluation.rules import DEFAULT_RULES
from infra.store import FolderStore
from quantcore.grid import IntGrid
from tasks.evalspecs import BenchmarksSpec
from tests.support import pages
from tests.support.exports import write_export

CIRCULAR, SCIENCE = "MMBench_DEV_EN_V11", "ScienceQA_VAL"
SIZES = BenchmarkSizes(circular_groups=100, science=200, reading=1, presence=4)
ON_CPU = {"device": "cpu", "dtype": "float32", "threads": 1}
ASKED: dict[str, Any] = {"names": (CIRCULAR, SCIENCE), "max_new_tokens": 16, "fidelity_prompts": 24}


class Examined(NamedTuple):
    """A run of a recipe, and what it was made of."""

    recipe: Recipe
    result: RunResult
    root: Path
    tables: Path

    @property
    def evaluation(self) -> Evaluation:
        """What was found out about it."""
        assert self.result.evaluation is not None
        return self.result.evaluation

    @property
    def folder(self) -> Path:
        """Where the results are."""
        return self.recipe.export.output_dir


@pytest.fixture(scope="module")
def coarse(tmp_path_factory: pytest.TempPathFactory, prefect_api_url: str) -> Examined:
    """Return the demo model rounded to nearest with 2 bits and one scale a row."""
    root = tmp_path_factory.mktemp("evaluate")
    write_benchmarks(root / "tables", seed=5, sizes=SIZES)
    content = {
        "name": "coarse",
        "model": {"source": DEMO_MODEL},
        "quantization": {"bits": 2, "group_size": -1, "iters": 0},
        "export": {"output_dir": str(root / "out"), "formats": ["auto_round"]},
        "benchmarks": ASKED | {"names": list(ASKED["names"]), "source": str(root / "tables")},
        "compute": ON_CPU,
    }
    recipe = recipefile.check(content, "a test")
    with temporary_settings({"api.url": prefect_api_url, "flows.heartbeat_frequency": None}):
        result = quantize_model(recipe, root)
    assert isinstance(result, RunResult)
    return Examined(recipe, result, root, root / "tables")


@pytest.fixture(scope="module")
def finer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the demo model rounded to nearest with 4 bits."""
    return write_export(MODEL_DIR, tmp_path_factory.mktemp("finer"), IntGrid())["auto_round"]


def examine(
    tables: Path,
    workspace: Path,
    checkpoint: Path,
    *,
    baseline: str | None = DEMO_MODEL,
    **asked: Any,
) -> Evaluation:
    """Evaluate one checkpoint, as the command line does."""
    request = EvaluationRequest(
        name="a test",
        baseline=None if baseline is None else ModelSpec(source=baseline),
        checkpoints=(Checkpoint(name="under-test", location=ModelSpec(source=str(checkpoint))),),
        asked=BenchmarksSpec(source=str(tables), **ASKED | asked),
        compute=ON_CPU,
    )
    return evaluate_checkpoints(request, workspace)


def computed(evaluation: Evaluation) -> dict[str, int]:
    """Return how many answers each model was asked for, that were not on record."""
    return {
        model.name: sum(answers.computed for answers in model.answers)
        for model in evaluation.models
    }


def test_two_bits_rounded_to_nearest_are_refused(coarse: Examined) -> None:
    """A control: the gate sees that most of a point, or more, is lost, beyond chance."""
    (variant,) = coarse.evaluation.variants
    assert variant.judged is not None
    reasons = {finding.check: finding for finding in variant.judged.verdict.decisive}

    assert variant.judged.verdict.outcome == "fail"
    assert reasons["average"].measured is not None
    assert variant.judged.comparison.average.interval.upper < -1.5
    assert "so that the loss is greater" in reasons["average"].words


def test_the_run_ends_in_a_state_that_says_refused(coarse: Examined) -> None:
    """With the reasons, for whoever reads the page; nothing is approved."""
    run = pages.latest_run("coarse")
    assert run.state is not None

    assert (run.state_name, run.state.type.value) == ("Refused", "COMPLETED")
    assert re.match(r"rtn: The average went from 8\d\.\d\d to ", run.state.message or "")
    assert coarse.result.approval is None


def test_the_16_bit_model_against_itself_passes(coarse: Examined) -> None:
    """A control: no difference, no flips, no divergence; and no answer is computed for it."""
    itself = examine(coarse.tables, coarse.root, MODEL_DIR)
    (variant,) = itself.variants
    assert variant.judged is not None
    assert variant.fidelity is not None
    assert variant.fidelity.prompts is not None
    comparison = variant.judged.comparison

    assert variant.judged.verdict.outcome == "pass"
    assert [task.difference for task in (comparison.average, *comparison.tasks)] == [0, 0, 0]
    assert set(comparison.average.interval.model_dump().values()) == {0}
    assert [task.flips.down + task.flips.up for task in comparison.tasks] == [0, 0]
    assert (variant.fidelity.prompts.mean_kl, variant.fidelity.prompts.p99_kl) == (0, 0)
    assert variant.fidelity.prompts.top1_agreement == 1
    assert computed(itself) == {"16bits": 0, "under-test": 0}


def test_steps_are_named_for_people(coarse: Examined) -> None:
    """Whoever reads the page of a run understands what is going on."""
    assert coarse
    run = pages.latest_run("coarse: evaluate 16bits, rtn")

    assert sorted(task.name for task in pages.tasks_of(run)) == sorted(
        [
            "check that all models are asked the same",
            "16bits: answer the benchmarks",
            "rtn: answer the benchmarks",
            *(f"{model}: score {name}" for model in ("16bits", "rtn") for name in ASKED["names"]),
            "compare the predictions of all models token by token",
            "rtn: compare with the 16-bit model, and judge",
        ]
    )


def test_the_page_has_the_table_of_the_card_and_the_verdict(coarse: Examined) -> None:
    """Rows avg and the benchmarks, columns 16bits and the variant, conditions below."""
    found = pages.artifacts_of(pages.latest_run("coarse: evaluate 16bits, rtn"))
    artifacts = {each["key"]: each for each in found}
    table, verdict = artifacts["evaluation-coarse"], artifacts["verdict-coarse"]

    assert (table["type"], verdict["type"]) == ("table", "markdown")
    for name in ("avg", CIRCULAR, SCIENCE):
        assert name in table["data"]
    assert f"Rules {DEFAULT_RULES}, no judge model" in table["description"]
    assert "## rtn: fail" in verdict["data"]
    assert verdict["data"] == (coarse.folder / "evaluation.md").read_text(encoding="utf-8")


def test_the_folder_of_the_results_has_all_of_it_as_json(coarse: Examined) -> None:
    """Beside the checkpoints, and nothing half-written."""
    data = (coarse.folder / "evaluation.json").read_bytes()
    told = EvaluationDocument.model_validate_json(data)

    assert data == as_json(
        document(coarse.evaluation, "16bits", FolderStore(coarse.root / "store"))
    )
    assert [model.name for model in told.models] == ["16bits", "rtn"]
    assert {name: len(one.rows) for name, one in told.models[0].benchmarks.items()} == {
        table.benchmark: table.questions for table in told.tables
    }
    assert sorted(path.name for path in coarse.folder.iterdir()) == [
        "auto_round", "evaluation.json", "evaluation.md",
    ]  # fmt: skip


def test_the_same_request_again_answers_nothing_and_replaces_files_whole(coarse: Examined) -> None:
    """Who reads the old file while the new one is written reads all of the old one."""
    path = coarse.folder / "evaluation.json"
    with path.open("rb") as being_read:
        again = quantize_model(coarse.recipe, coarse.root)
        before = being_read.read()
        replaced = path.stat().st_ino != Path(f"/proc/self/fd/{being_read.fileno()}").stat().st_ino
    assert isinstance(again, RunResult)
    assert again.evaluation is not None

    assert computed(again.evaluation) == {"16bits": 0, "rtn": 0}
    assert path.read_bytes() == before
    assert replaced


def test_a_second_checkpoint_leaves_the_16_bit_answers_alone(coarse: Examined, finer: Path) -> None:
    """They are found by digest, also where fewer questions are asked than before."""
    second = examine(
        coarse.tables, coarse.root, finer, names=(SCIENCE,), limit=6, fidelity_prompts=0
    )
    (variant,) = second.variants
    assert variant.judged is not None

    assert computed(second) == {"16bits": 0, "under-test": 6}
    assert variant.judged.comparison.rows == 6
    assert variant.judged.verdict.outcome != "pass"  # six pictures say too little


def test_other_rules_are_a_matter_of_counting(coarse: Examined) -> None:
    """No model is asked again; the numbers are of the rules that are named."""
    (folder,) = coarse.result.variants[0].export.folders.values()
    rules = "vlmevalkit-e8e78f05"
    later = examine(coarse.tables, coarse.root, folder, rules=rules, fidelity_prompts=0)
    (variant,) = later.variants
    assert variant.judged is not None

    assert computed(later) == {"16bits": 0, "under-test": 0}
    assert variant.judged.comparison.rules == later.rules == rules


def test_shards_change_nothing_but_the_tasks(coarse: Examined, tmp_path: Path) -> None:
    """Cut by image and answered side by side, by a store that has nothing yet."""
    few = {"names": (CIRCULAR, "POPE"), "limit": 4, "fidelity_prompts": 4}
    whole = examine(coarse.tables, coarse.root, MODEL_DIR, baseline=None, **few)
    cut = examine(coarse.tables, tmp_path, MODEL_DIR, baseline=None, shards=3, parallel=3, **few)
    steps = [task.name for task in pages.tasks_of(pages.latest_run("a test: evaluate under-test"))]

    assert document(cut, None, FolderStore(tmp_path / "store")) == document(
        whole, None, FolderStore(coarse.root / "store")
    )
    assert sum(computed(cut).values()) == sum(scores.rows for scores in cut.models[0].scores)
    assert {f"under-test: answer the benchmarks, part {part} of 3" for part in (1, 2, 3)} <= {
        *steps
    }


def test_without_a_16_bit_model_there_are_scores_and_no_verdict(coarse: Examined) -> None:
    """Nothing is compared, and nothing is said of fidelity."""
    (folder,) = coarse.result.variants[0].export.folders.values()
    alone = examine(coarse.tables, coarse.root, folder, baseline=None)
    artifacts = pages.artifacts_of(pages.latest_run("a test: evaluate under-test"))

    assert [(one.name, one.fidelity, one.judged) for one in alone.variants] == [
        ("under-test", None, None)
    ]
    assert [model.name for model in alone.models] == ["under-test"]
    assert (alone.best, alone.worst) == (None, None)
    assert {found["key"] for found in artifacts} == {
        "evaluation-a-test",
        "verdict-a-test",
        "under-test-answer-the-benchmarks",  # the bar
    }


def test_an_unknown_benchmark_ends_the_run_before_any_model_is_asked(
    coarse: Examined, tmp_path: Path
) -> None:
    """The error of the task is the error of the flow."""
    with pytest.raises(UnknownBenchmarkError, match="POPPE"):
        examine(coarse.tables, tmp_path, MODEL_DIR, names=("POPPE",))

    assert not (tmp_path / "answers").exists()
