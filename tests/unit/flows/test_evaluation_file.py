"""One file holds all of an evaluation, the same for the same, and is read again as it was."""

import json
from pathlib import Path

import pytest

from flows.errors import EvaluationFileError
from flows.evaluation_file import EvaluationDocument, as_json, document, read_model
from flows.results import Evaluation
from infra.errors import StorageError
from infra.store import FolderStore
from tasks.evalspecs import FidelityReport
from tests.support.evaluations import (
    ENGINE,
    a_divergence,
    a_model,
    a_table,
    an_evaluation,
    compared,
)
from tests.support.scores import single

BEFORE, AFTER = single([1, 1, 0]), single([1, 0, 0])


def evaluated(store: FolderStore, *names: str) -> Evaluation:
    """Return variants of those names beside their 16-bit model."""
    models = [a_model(store, "16bits", BEFORE), *(a_model(store, name, AFTER) for name in names)]
    near = FidelityReport(text=a_divergence(mean_kl=0.25, rounded=0.5))
    return an_evaluation(
        dict.fromkeys(names, compared(BEFORE, AFTER)),
        models=models,
        tables=[a_table("Single", notes=["1 rows have no image and are not asked."])],
        fidelity=dict.fromkeys(names, near),
    )


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """Return an empty store."""
    return FolderStore(tmp_path / "store")


def written(tmp_path: Path, evaluation: Evaluation, store: FolderStore) -> Path:
    """Write an evaluation's file."""
    path = tmp_path / "result.json"
    path.write_bytes(as_json(document(evaluation, "16bits", store)))
    return path


def test_every_row_is_in_it_with_its_answer(store: FolderStore) -> None:
    """Two files can be paired by question later."""
    told = json.loads(as_json(document(evaluated(store, "pile"), "16bits", store)))
    models = {model["name"]: model for model in told["models"]}
    rows = models["pile"]["benchmarks"]["Single"]["rows"]

    assert list(models) == ["16bits", "pile"]
    assert [(row["index"], row["prediction"], row["score"]) for row in rows] == [
        (0, "A", 1), (1, "A", 0), (2, "A", 0),
    ]  # fmt: skip
    assert models["pile"]["engine"] == ENGINE
    assert models["pile"]["digest"] == "p" * 64


def test_tables_comparison_fidelity_and_verdict_are_in_it(store: FolderStore) -> None:
    """What the terminal shows is there for programs."""
    told = json.loads(as_json(document(evaluated(store, "pile"), "16bits", store)))
    (variant,), (table,) = told["variants"], told["tables"]

    assert (told["format"], told["baseline"], variant["name"]) == (1, "16bits", "pile")
    assert (table["rows"], table["questions"], table["dropped"]) == (3, 2, 1)
    assert table["notes"] == ["1 rows have no image and are not asked."]
    assert variant["comparison"]["average"]["difference"] == pytest.approx(-100 / 3)
    assert variant["fidelity"]["text"]["mean_kl_rtn"] == 0.5
    assert variant["verdict"]["outcome"] == "fail"
    assert told["models"][1]["benchmarks"]["Single"]["report"]["Overall"] == pytest.approx(100 / 3)


def test_it_holds_neither_times_nor_places(store: FolderStore, tmp_path: Path) -> None:
    """The same evaluation on another day and machine is the same bytes."""
    one = evaluated(store, "pile")
    from_the_store = {
        "seconds": 99.0,
        "computed": 0,
        "reused": 3,
        "engine": dict(reversed(ENGINE.items())),  # JSON objects have no order
    }
    slower = tuple(
        model.model_copy(
            update={
                "answers": tuple(ref.model_copy(update=from_the_store) for ref in model.answers)
            }
        )
        for model in one.models
    )
    other = one.model_copy(update={"models": slower})

    assert as_json(document(other, "16bits", store)) == as_json(document(one, "16bits", store))
    assert str(tmp_path).encode() not in as_json(document(one, "16bits", store))
    assert b"/tables" not in as_json(document(one, "16bits", store))


def test_what_was_written_is_read_again(store: FolderStore) -> None:
    """Nothing is lost on the way."""
    told = document(evaluated(store, "pile", "llava"), "16bits", store)

    assert EvaluationDocument.model_validate_json(as_json(told)) == told


def test_scores_alone_have_neither_comparison_nor_verdict(store: FolderStore) -> None:
    """Without a 16-bit model there is nothing to be compared with."""
    alone = an_evaluation({"pile": None}, models=[a_model(store, "pile", AFTER)])
    (variant,) = document(alone, None, store).variants

    assert (variant.fidelity, variant.comparison, variant.verdict) == (None, None, None)


def test_the_only_variant_is_meant_if_nothing_is_said(store: FolderStore, tmp_path: Path) -> None:
    """The 16-bit model beside it is not."""
    path = written(tmp_path, evaluated(store, "pile"), store)

    assert read_model(path, None).name == "pile"
    assert read_model(path, "16bits").benchmarks == {"Single": BEFORE}


def test_the_only_model_is_meant_if_nothing_is_said(store: FolderStore, tmp_path: Path) -> None:
    """It may be the 16-bit model itself."""
    alone = an_evaluation({}, models=[a_model(store, "16bits", BEFORE)])

    assert read_model(written(tmp_path, alone, store), None).name == "16bits"


def test_scores_that_were_recorded_elsewhere_are_read_as_well(tmp_path: Path) -> None:
    """`roundhouse score --json` wrote them; the file's name stands for who made them."""
    path = tmp_path / "theirs.json"
    path.write_bytes(AFTER.model_dump_json(by_alias=True, indent=2).encode())
    model = read_model(path, None)

    assert (model.name, model.digest, model.engine) == ("theirs", None, {})
    assert model.benchmarks == {"Single": AFTER}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (None, r"result\.json has 3 models: there are 16bits, pile, llava\. Say which .*:NAME"),
        ("pil", r"result\.json has no model 'pil': there are 16bits, pile, llava"),
    ],
)
def test_a_model_that_is_not_named_is_asked_for(
    name: str | None, words: str, store: FolderStore, tmp_path: Path
) -> None:
    """The message lists those that are there."""
    path = written(tmp_path, evaluated(store, "pile", "llava"), store)
    with pytest.raises(EvaluationFileError, match=words):
        read_model(path, name)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "holds no evaluation: the file: Invalid JSON"),
        (b"\xff\xfe", "holds no evaluation: the file: Invalid JSON"),
        (b"[]", "holds no evaluation: the file: Input should be an object"),
        (b'{"models": []}', "holds no evaluation: baseline: Field required"),
    ],
)
def test_another_file_is_told_with_what_is_wrong(tmp_path: Path, data: bytes, words: str) -> None:
    """And with the commands that write what is wanted."""
    path = tmp_path / "other.json"
    path.write_bytes(data)
    with pytest.raises(EvaluationFileError, match=f"{words}.*roundhouse evaluate --json"):
        read_model(path, None)


def test_a_file_of_a_later_layout_is_not_half_understood(
    store: FolderStore, tmp_path: Path
) -> None:
    """What its keys mean may have changed."""
    told = json.loads(as_json(document(evaluated(store, "pile"), "16bits", store)))
    path = tmp_path / "later.json"
    path.write_text(json.dumps(told | {"format": 2}))
    with pytest.raises(EvaluationFileError, match="format"):
        read_model(path, None)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With what the system says."""
    with pytest.raises(StorageError, match=r"gone\.json"):
        read_model(tmp_path / "gone.json", None)
