"""What a release tells survives the way into its file and back."""

import json

import pytest
from pydantic import ValidationError

from infra.card.facts import ReleaseFacts, as_json, read_facts
from infra.card.loaders import loader_of
from infra.errors import ReleaseFileError
from tests.support.card import MAIN, evaluation_facts, release_facts


def test_facts_are_read_as_they_were_written() -> None:
    """The file is all that a promotion has."""
    facts = release_facts().published_as(MAIN)

    assert read_facts(as_json(facts), "release.json") == facts


def test_the_same_facts_give_the_same_bytes() -> None:
    """Or a release would not be recognized when it is published again."""
    assert as_json(release_facts()) == as_json(release_facts())


def test_the_file_says_what_made_it_and_what_it_is_of() -> None:
    """By these a repository is known as ours, and a candidate can be promoted."""
    told = json.loads(as_json(release_facts().published_as(MAIN)))

    assert told["tool"] == {"name": "roundhouse", "version": "0.1.0"}
    assert told["published"]["gptq_commit"] == MAIN.gptq_commit
    assert told["source"]["commit"] == "eed13092ef92e448dd6875b2a00151bd3f7db0ac"
    assert {each["format"] for each in told["formats"]} == {"auto_round", "auto_gptq"}
    assert told["evaluation"]["verdicts"][0]["verdict"]["outcome"] == "pass"
    assert told["recipe"]["name"] == told["name"]


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"", "the file: Invalid JSON"),
        (b"[]", "the file: Input should be an object"),
        (b'{"tool": {"name": "other", "version": "1"}}', "tool.name"),
        (json.dumps({"layout": 2}).encode(), "layout: Input should be 1"),
    ],
)
def test_what_is_no_such_file_is_refused(data: bytes, place: str) -> None:
    """With the place in it that is wrong, and what to do."""
    with pytest.raises(ReleaseFileError, match=rf"x/release.json tells of no release .*{place}"):
        read_facts(data, "x/release.json")


def test_numbers_are_numbers() -> None:
    """JSON has no NaN, and a card none to tell."""
    with pytest.raises(ValidationError, match="finite number"):
        release_facts(fidelity=({"mean_kl": float("nan")},))


def test_the_released_variant_was_evaluated() -> None:
    """The card would tell the numbers of another."""
    with pytest.raises(ValidationError, match="'rtn' is released, but pile, llava were evaluated"):
        release_facts(variant="rtn")


def test_every_format_has_a_loader() -> None:
    """Nobody could say what reads it."""
    with pytest.raises(ValidationError, match="no loader is known for auto_round"):
        release_facts(loaders=(loader_of("auto_gptq"),))


def test_the_set_of_the_released_variant_is_found() -> None:
    """Round-to-nearest has none."""
    learned, nearest = release_facts(), release_facts(calibration=())

    assert learned.calibrated_on is not None
    assert learned.calibrated_on.repo_id == "NeelNanda/pile-10k"
    assert nearest.calibrated_on is None


def test_publication_is_told_in_a_copy() -> None:
    """Both revisions tell the same facts under different names."""
    facts = release_facts()

    assert facts.published_as(MAIN).published == MAIN
    assert facts.published is None
    assert isinstance(facts.published_as(MAIN), ReleaseFacts)


def test_facts_without_benchmarks_are_facts() -> None:
    """Held-out text alone is asked of some."""
    assert release_facts(evaluation=None, generations=None).evaluation is None
    assert release_facts(evaluation=evaluation_facts(variants=("pile",), rows={"A": (1, 2)}))
