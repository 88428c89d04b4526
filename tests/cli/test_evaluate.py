"""`roundhouse evaluate` and `compare`: checkpoints in; tables, files and exit codes out."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import openpyxl
import pytest

from flows.evaluation_file import EvaluationDocument
from infra.demo import MODEL_DIR
from infra.demo.benchmarks import BenchmarkSizes, write_benchmarks
from infra.evaluation.compared import Comparison
from quantcore.grid import IntGrid
from tests.cli.conftest import COMMAND, Ended, Roundhouse, environment_with, names_in, run_in
from tests.support.exports import write_export
from tests.support.models import replaced, rewritten
from tests.support.tables import presence, write_table

PATIENCE_SECONDS = 400
QUESTIONS = 60
MODELS = ("16bits", "auto_round", "spoiled")


class World(NamedTuple):
    """What the tests of this file share: checkpoints, tables, and a run that nobody disturbed."""

    tables: Path
    fine: Path  # rounded so finely that hardly an answer changes
    spoiled: Path  # says another word than it means
    workspace: Path
    json: Path

    def arguments(self, workspace: Path, json_file: Path) -> list[str]:
        """Return the command line that examines both checkpoints."""
        return [
            "evaluate", str(self.fine), str(self.spoiled), "--baseline", "packaged:demo",
            *self.asked, "--workspace", str(workspace), "--json", str(json_file),
        ]  # fmt: skip

    @property
    def asked(self) -> list[str]:
        """Return how both are asked."""
        return [
            "--benchmarks", str(self.tables), "--tasks", "POPE", "--max-new-tokens", "4",
            "--batch-size", "4", "--threads", "1", "--device", "cpu",
        ]  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return the checkpoints and the tables."""
    root = tmp_path_factory.mktemp("evaluate")
    sizes = BenchmarkSizes(circular_groups=1, science=1, reading=1, presence=QUESTIONS)
    write_benchmarks(root / "tables", seed=5, sizes=sizes)
    spoil = replaced("lm_head.weight", lambda weight: weight.roll(1, 0))
    return World(
        tables=root / "tables",
        fine=write_export(MODEL_DIR, root / "fine", IntGrid(bits=8))["auto_round"],
        spoiled=rewritten(MODEL_DIR, root / "spoiled", weights=spoil),
        workspace=root / "work",
        json=root / "both.json",
    )


@pytest.fixture(scope="module")
def undisturbed(world: World, prefect_api_url: str) -> Ended:
    """Return how the command ended; its file and its workspace are those of the world."""
    arguments = world.arguments(world.workspace, world.json)
    return run_in(world.json.parent, environment_with(prefect_api_url), arguments)


def lines_of(workspace: Path) -> dict[str, bytes]:
    """Return the files of answers of a workspace."""
    folder = workspace / "store" / "answers"
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.jsonl")
    }


def keys_of(workspace: Path) -> list[str]:
    """Return the keys of all answers on record, with those that are there twice."""
    data = b"".join(lines_of(workspace).values())
    return sorted(json.loads(line)["key"] for line in data.splitlines())


def test_the_gate_judges_each_checkpoint_and_the_worst_is_the_exit_code(
    undisturbed: Ended, world: World
) -> None:
    """Tables and reasons for people; 6 says refused."""
    told = EvaluationDocument.model_validate_json(world.json.read_bytes())
    verdicts = {each.name: each.verdict.outcome for each in told.variants if each.verdict}

    assert undisturbed.code == 6, undisturbed.err
    assert verdicts == {"auto_round": "pass", "spoiled": "fail"}
    assert "auto_round: PASS" in undisturbed.out
    assert "spoiled: FAIL" in undisturbed.out
    assert "To release: auto_round." in undisturbed.out
    for column in ("task", *MODELS):
        assert column in undisturbed.out
    assert "comparing the predictions of all models token by token" in undisturbed.err
    assert "Traceback" not in undisturbed.err


def test_every_answer_is_in_the_file(undisturbed: Ended, world: World) -> None:
    """Of every model, with what was read in it and what it is worth."""
    assert undisturbed.out
    told = json.loads(world.json.read_bytes())
    rows = {model["name"]: model["benchmarks"]["POPE"]["rows"] for model in told["models"]}

    assert (told["baseline"], tuple(rows)) == ("16bits", MODELS)
    assert {len(of_model) for of_model in rows.values()} == {QUESTIONS}
    assert {"index", "prediction", "extracted", "score"} <= rows["16bits"][0].keys()
    assert {row["extracted"] for row in rows["16bits"]} == {"Yes", "No"}
    assert {row["extracted"] for row in rows["spoiled"]} == {"Unknown"}
    assert len(keys_of(world.workspace)) == len(MODELS) * QUESTIONS


def test_a_checkpoint_that_passes_is_told_by_the_exit_code_and_in_spreadsheets(
    undisturbed: Ended, world: World, here: Roundhouse, tmp_path: Path
) -> None:
    """0; and VLMEvalKit's own evaluation finds the answers under the names that it expects."""
    assert undisturbed.out
    before = lines_of(world.workspace)
    done = here(
        "evaluate", world.fine, "--baseline", "packaged:demo", *world.asked,
        "--workspace", world.workspace, "--spreadsheets", "sheets",
    )  # fmt: skip
    sheet = openpyxl.load_workbook(tmp_path / "sheets" / "auto_round_POPE.xlsx").active
    assert sheet is not None

    assert done.code == 0, done.err
    assert names_in(tmp_path / "sheets") == ["16bits_POPE.xlsx", "auto_round_POPE.xlsx"]
    assert sheet.max_row == 1 + QUESTIONS
    assert lines_of(world.workspace) == before


def test_what_nobody_can_be_sure_of_is_held(
    undisturbed: Ended, world: World, here: Roundhouse
) -> None:
    """7: two pictures say too little, whatever the answers are."""
    assert undisturbed.out
    done = here(
        "evaluate", world.fine, "--baseline", "packaged:demo", *world.asked, "--limit", "8",
        "--workspace", world.workspace,
    )  # fmt: skip

    assert done.code == 7, done.err
    assert "auto_round: HOLD" in done.out
    assert "POPE has 2 independent clusters of rows" in done.out


def test_without_a_baseline_scores_stand_alone(
    undisturbed: Ended, world: World, here: Roundhouse
) -> None:
    """0: nothing was judged."""
    assert undisturbed.out
    done = here("evaluate", world.fine, *world.asked, "--workspace", world.workspace)

    assert done.code == 0, done.err
    assert "auto_round" in done.out
    assert "PASS" not in done.out


def test_a_killed_evaluation_goes_on_and_ends_in_the_same_bytes(
    undisturbed: Ended, world: World, prefect_api_url: str, tmp_path: Path
) -> None:
    """No answer is computed twice, and none is lost."""
    arguments = world.arguments(tmp_path / "work", tmp_path / "both.json")
    environment = environment_with(prefect_api_url)
    kill_when_answers_arrive([*COMMAND, *arguments], environment, tmp_path)
    kept = lines_of(tmp_path / "work")
    whole = {name: data[: data.rfind(b"\n") + 1] for name, data in kept.items()}
    resumed = run_in(tmp_path, environment, arguments)
    lines = lines_of(tmp_path / "work")

    assert 0 < sum(data.count(b"\n") for data in kept.values()) < len(MODELS) * QUESTIONS
    assert (resumed.code, resumed.out) == (6, undisturbed.out)
    assert all(lines[name].startswith(data) for name, data in whole.items())
    assert keys_of(tmp_path / "work") == keys_of(world.workspace)
    assert len(set(keys_of(world.workspace))) == len(MODELS) * QUESTIONS
    assert (tmp_path / "both.json").read_bytes() == world.json.read_bytes()


def kill_when_answers_arrive(command: list[str], environment: dict[str, str], folder: Path) -> None:
    """Start a command in a process group of its own, and kill all of it in the middle."""
    log = folder / "log"
    with log.open("w") as err:
        process = subprocess.Popen(
            command, stdout=err, stderr=err, env=environment, cwd=folder, start_new_session=True
        )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not sum(data.count(b"\n") for data in lines_of(folder / "work").values()) >= 20:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(PATIENCE_SECONDS) == -signal.SIGKILL


def test_two_results_are_compared_by_question(
    undisturbed: Ended, world: World, here: Roundhouse, tmp_path: Path
) -> None:
    """Models of one file are named behind a colon; the difference goes to a file as well."""
    assert undisturbed.out
    done = here(
        "compare", f"{world.json}:16bits", f"{world.json}:spoiled", "--json", "difference.json"
    )
    told = Comparison.model_validate_json((tmp_path / "difference.json").read_bytes())
    document = EvaluationDocument.model_validate_json(world.json.read_bytes())

    assert done.code == 0, done.err
    assert "16bits and spoiled" in done.out
    assert "fail: The average went from" in done.out
    assert told == next(each.comparison for each in document.variants if each.name == "spoiled")


@pytest.mark.parametrize(
    ("other", "code", "words"),
    [
        ("{json}", 3, "has 3 models: there are 16bits, auto_round, spoiled. Say which one"),
        ("{json}:pile", 3, "has no model 'pile'"),
        ("{json.parent}/spoiled/config.json", 3, "holds no evaluation"),
        ("nowhere.json", 5, "nowhere.json"),
        ("recorded.json", 3, "other tables"),
    ],
)
def test_what_cannot_be_compared_is_told_in_a_paragraph(  # noqa: PLR0913, PLR0917 -- fixtures
    other: str,
    code: int,
    words: str,
    undisturbed: Ended,
    world: World,
    here: Roundhouse,
    tmp_path: Path,
) -> None:
    """And nothing is written."""
    assert undisturbed.out
    table = write_table(tmp_path / "POPE.tsv", presence())
    said = "".join(f'{{"index": {index}, "prediction": "Yes"}}\n' for index in range(3))
    (tmp_path / "said.jsonl").write_text(said)
    scored = here("score", "--kind", "yes_no", "--benchmark", table, "--predictions", "said.jsonl",
                  "--json", "recorded.json")  # fmt: skip
    done = here("compare", f"{world.json}:16bits", other.format(json=world.json), "--json", "out")

    assert scored.code == 0, scored.err
    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert done.err.startswith("Error: ")
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def with_another_chat_template(model: Path, folder: Path) -> None:
    """Copy a checkpoint, and change how it is asked."""
    shutil.copytree(model, folder)
    for name in ("chat_template.json", "tokenizer_config.json"):
        told = json.loads((folder / name).read_text())
        if "chat_template" in told:
            told["chat_template"] = told["chat_template"].replace("assistant", "model")
        (folder / name).write_text(json.dumps(told))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("{fine}", "{fine}/"), 2, "are not different ones. Name each of them once."),
        (("{fine}", "--tasks", "POPPE"), 2, "'POPPE' is not a benchmark that is known here"),
        (("{fine}", "--rules", "vlmevalkit"), 2, "vlmevalkit-7de2dcb, vlmevalkit-e8e78f05"),
        (("{fine}", "--limit", "0"), 2, "--limit: Input should be greater than or equal to 1"),
        (("{fine}", "--benchmarks", "nowhere"), 2, "nowhere holds no table of a known benchmark"),
        (("{fine}", "--benchmarks", "empty"), 2, "empty holds no table of a known benchmark"),
        (("{fine}", "--benchmarks", "empty", "--tasks", "POPE"), 3, "empty"),
        (("./gone",), 3, "gone"),
        (("{fine}", "--benchmarks", "spoilt"), 3, "POPE.tsv, row 2 (index '1'): the image"),
        (("other", "--baseline", "packaged:demo"), 3, "differs from that of its baseline"),
    ],
)
def test_mistakes_end_with_their_code_and_a_paragraph(
    arguments: tuple[str, ...],
    code: int,
    words: str,
    world: World,
    here: Roundhouse,
    tmp_path: Path,
) -> None:
    """The value, the place, the remedy; no answer, no file, no traceback."""
    (first, second) = presence(2)
    write_table(tmp_path / "spoilt" / "POPE.tsv", [first, second | {"image": "?" * 100}])
    with_another_chat_template(world.spoiled, tmp_path / "other")
    (tmp_path / "empty").mkdir()
    given = [argument.format(fine=world.fine) for argument in arguments]
    tables = () if "--benchmarks" in given else ("--benchmarks", world.tables)
    done = here("evaluate", *given, *tables, "--workspace", "work", "--json", "out.json")
    paragraphs = [line for line in done.err.splitlines() if line.startswith("Error: ")]

    assert (done.code, done.out, len(paragraphs)) == (code, "", 1), done.err
    assert done.err.splitlines()[-1] == paragraphs[0]
    assert words in paragraphs[0]
    assert not (tmp_path / "out.json").exists()
    assert not (tmp_path / "work" / "store" / "answers").exists()


def test_a_held_run_goes_on_when_a_person_approves(
    here: Roundhouse, world: World, tiny_model: Path, tmp_path: Path
) -> None:
    """7, and the checkpoint is there to look at; the same command with an approval ends with 0."""
    recipe = {
        "name": "unsure",
        "model": {"source": str(tiny_model)},
        "quantization": {"bits": 8, "iters": 0},
        "export": {"output_dir": "out", "formats": ["auto_gptq"]},
        "benchmarks": {"names": ["POPE"], "source": str(world.tables), "limit": 4,
                       "max_new_tokens": 2, "fidelity_prompts": 0},
        "compute": {"device": "cpu", "dtype": "float32"},
    }  # fmt: skip
    (tmp_path / "unsure.yaml").write_text(json.dumps(recipe))
    held = here("run", "unsure.yaml", "--workspace", "work")
    approved = here("run", "unsure.yaml", "--workspace", "work", "--approve-hold")

    assert held.code == 7, held.err
    assert "rtn: HOLD" in held.out
    assert approved.code == 0, approved.err
    assert "Held, and approved by the command line." in approved.out
    assert names_in(tmp_path / "out") == ["auto_gptq", "evaluation.json", "evaluation.md"]
