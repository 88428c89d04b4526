"""What lies beside the weights: complete, the same each time, and about its own revision."""

import json

import yaml

from infra.card.facts import read_facts
from infra.card.papers import CardPapers
from infra.publishing.papers import Papers
from tests.support import markdown
from tests.support.card import GPTQ, PICTURE, TARGET, blocks, release_facts

PICTURES = {PICTURE: b"a picture"}


def papers() -> CardPapers:
    """Return the papers of the reference release."""
    return CardPapers(release_facts(), PICTURES)


def test_both_revisions_have_the_same_papers() -> None:
    """Card, facts, recipe, plot, and every picture that the card shows."""
    main, gptq = papers().beside_auto_round(TARGET, GPTQ), papers().beside_gptq(TARGET)

    assert (
        set(main)
        == set(gptq)
        == {"README.md", "release.json", "recipe.yaml", "images/losses.png", PICTURE}
    )
    shown = markdown.read(main["README.md"].decode()).pictures
    assert set(shown) <= set(main)
    assert main[PICTURE] == b"a picture"


def test_they_are_what_the_publisher_asks_for() -> None:
    """The protocol is met by structure."""
    asked: Papers = papers()

    assert asked.beside_gptq(TARGET)["README.md"].startswith(b"---\n")


def test_the_same_facts_give_the_same_papers() -> None:
    """Byte for byte: a second publication makes no commit."""
    assert papers().beside_auto_round(TARGET, GPTQ) == papers().beside_auto_round(TARGET, GPTQ)
    assert papers().beside_gptq(TARGET) == papers().beside_gptq(TARGET)


def test_facts_on_main_name_the_gptq_commit_and_those_beside_it_its_tag() -> None:
    """A promotion starts from either."""
    main = read_facts(papers().beside_auto_round(TARGET, GPTQ)["release.json"], "main")
    gptq = read_facts(papers().beside_gptq(TARGET)["release.json"], "gptq")

    assert main.published is not None
    assert gptq.published is not None
    assert (main.published.gptq_commit, main.published.gptq_short) == (GPTQ.commit, GPTQ.short)
    assert (gptq.published.gptq_commit, gptq.published.gptq_tag) == (None, GPTQ.tag)
    assert main.model_copy(update={"published": None}) == release_facts()


def test_a_second_repository_is_named() -> None:
    """With its own main branch."""
    target = TARGET.model_copy(update={"gptq_repo_id": "acme/model-gptq"})
    told = json.loads(papers().beside_gptq(target)["release.json"])["published"]

    assert (told["gptq_repo_id"], told["gptq_branch"]) == ("acme/model-gptq", "main")


def test_the_recipe_is_the_one_that_was_told() -> None:
    """As YAML, in the order of its fields."""
    told = yaml.safe_load(papers().beside_gptq(TARGET)["recipe.yaml"])

    assert told == release_facts().recipe
    assert list(told) == ["name", "model"]


def test_without_losses_there_is_no_plot() -> None:
    """Round-to-nearest has none."""
    nearest = tuple(
        each.model_copy(update={"loss_before": None, "loss_after": None}) for each in blocks(2)
    )
    made = CardPapers(release_facts(blocks=nearest), PICTURES).beside_gptq(TARGET)

    assert "images/losses.png" not in made
    assert b"images/losses.png" not in made["README.md"]
