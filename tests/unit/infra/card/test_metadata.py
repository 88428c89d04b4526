"""The card's head is what the Hub's own client reads, whole and without a complaint."""

import pytest
import yaml
from huggingface_hub import EvalResult, EvalResultEntry, ModelCard, ModelCardData

from infra.card.metadata import front_matter
from infra.card.results import (
    RegisteredBenchmark,
    eval_results,
    eval_results_of,
    model_index,
    registered,
)
from tests.support.card import evaluation_facts, local_set, release_facts, rendered, source_facts

KNOWN = {"POPE": RegisteredBenchmark(dataset_id="lmms-lab/POPE", task_id="pope")}


def read_back(**changes: object) -> ModelCardData:
    """Return what the client makes of the card of a release."""
    data = ModelCard(rendered(release_facts(**changes))).data
    assert isinstance(data, ModelCardData)
    return data


def test_the_client_reads_what_the_hub_shows() -> None:
    """Base model and how it relates, library, task, licence, tags, data sets."""
    data = read_back()

    assert data.base_model == "Qwen/Qwen2-VL-7B-Instruct"
    assert data.to_dict()["base_model_relation"] == "quantized"
    assert (data.library_name, data.pipeline_tag) == ("transformers", "image-text-to-text")
    assert (data.license, data.language) == ("apache-2.0", ["en"])
    assert data.datasets == ["NeelNanda/pile-10k"]
    assert {"auto-round", "gptq", "int4", "4-bit", "roundhouse"} <= set(data.tags or ())


def test_the_client_reads_the_scores_of_all_benchmarks() -> None:
    """Those of the released variant, by metric; the other's stay in the table."""
    data = read_back(variant="llava")

    assert data.eval_results is not None
    assert [
        (each.dataset_name, each.metric_type, each.metric_value) for each in data.eval_results
    ] == [
        ("MMBench_DEV_EN_V11", "circular_accuracy", 80.42),
        ("ScienceQA_VAL", "accuracy", 83.26),
        ("TextVQA_VAL", "vqa_accuracy", 84.11),
        ("POPE", "f1", 85.89),
    ]
    assert all(isinstance(each, EvalResult) for each in data.eval_results)


@pytest.mark.parametrize(
    "changes",
    [
        {"evaluation": None},
        {"source": source_facts(repo_id=None, license=None, languages=())},
        {"calibration": (local_set(),)},
    ],
    ids=["no benchmarks", "no repository", "local data"],
)
def test_what_is_not_known_is_left_out(changes: dict[str, object]) -> None:
    """An empty value would be a claim, and the Hub refuses some."""
    told = yaml.safe_load(front_matter(release_facts(**changes), "title"))

    assert None not in told.values()
    assert [] not in told.values()


def test_another_licence_comes_with_its_name_and_place() -> None:
    """The Hub wants both where the licence is called other."""
    data = read_back(
        source=source_facts(license="other", license_name="mine", license_link="LICENSE")
    )

    assert (data.license, data.license_name, data.license_link) == ("other", "mine", "LICENSE")


def test_results_are_written_for_registered_benchmarks_alone() -> None:
    """The others would be ignored, or refused one day."""
    files = eval_results_of(release_facts(), KNOWN)

    assert list(files) == [".eval_results/POPE.yaml"]
    (entry,) = yaml.safe_load(files[".eval_results/POPE.yaml"])
    assert entry["dataset"] == {"id": "lmms-lab/POPE", "task_id": "pope"}
    assert entry["value"] == 87.57
    assert EvalResultEntry(dataset_id="a", task_id="b", value=1)  # the client knows the form


def test_none_of_the_reference_cards_benchmarks_is_registered() -> None:
    """If one is now: name it in infra/card/registered.yaml."""
    assert registered() == {}
    assert eval_results(release_facts()) == {}


def test_without_an_evaluation_there_are_no_results() -> None:
    """Neither in the card nor beside it."""
    bare = release_facts(evaluation=None)

    assert model_index(bare) == []
    assert eval_results_of(bare, KNOWN) == {}


def test_a_score_keeps_the_digits_of_the_card() -> None:
    """The Hub shows what is written, all of it."""
    evaluation = evaluation_facts({"POPE": (86.0, 85.123456)}, ("pile",))

    (result,) = model_index(release_facts(evaluation=evaluation))

    assert result.metric_value == 85.12
