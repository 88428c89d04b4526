"""What lies beside the weights of a release: the card, its facts, the recipe, and pictures.

The publisher asks for the papers of each revision when it knows their names.  The same facts and
names give the same bytes, so that a release which is published again is recognized.
"""

from collections.abc import Mapping

import yaml

from infra.card.facts import Publication, ReleaseFacts, as_json
from infra.card.losses import draw_losses, learned
from infra.card.render import LOSSES, render
from infra.card.results import eval_results
from infra.checkpoints.plan import Format
from infra.publishing.pinned import Pinned
from infra.publishing.target import Target

CARD, FACTS, RECIPE = "README.md", "release.json", "recipe.yaml"


class CardPapers:
    """The papers of one release, for both of its revisions.

    Args:
        facts: What is told.
        pictures: The pictures of the sample answers, by their path in the repository.
    """

    def __init__(self, facts: ReleaseFacts, pictures: Mapping[str, bytes]) -> None:
        self._facts = facts
        self._pictures = dict(pictures)

    def beside_gptq(self, target: Target) -> Mapping[str, bytes]:
        """Return the papers of the auto_gptq revision, which name it by its tag."""
        return self._papers(_publication("auto_gptq", target, None))

    def beside_auto_round(self, target: Target, gptq: Pinned) -> Mapping[str, bytes]:
        """Return the papers of the auto_round revision, which name the other by its commit."""
        return self._papers(_publication("auto_round", target, gptq))

    def _papers(self, publication: Publication) -> dict[str, bytes]:
        told = self._facts.published_as(publication)
        return {
            CARD: render(told).encode(),
            FACTS: as_json(told),
            RECIPE: recipe_yaml(told),
            **({LOSSES: draw_losses(told.blocks)} if learned(told.blocks) else {}),
            **self._pictures,
            **eval_results(told),
        }


def recipe_yaml(facts: ReleaseFacts) -> bytes:
    """Return the recipe as `roundhouse run` reads it."""
    head = f"# {facts.name}: the recipe of this release; paths are relative to this file\n"
    body = yaml.safe_dump(facts.recipe, sort_keys=False, allow_unicode=True)
    return (head + body).encode()


def _publication(kind: Format, target: Target, gptq: Pinned | None) -> Publication:
    repo_id, branch = target.gptq_place
    return Publication(
        format=kind,
        repo_id=target.repo_id,
        branch=target.branch,
        version=target.version,
        gptq_repo_id=repo_id,
        gptq_branch=branch,
        gptq_tag=target.gptq_tag,
        gptq_commit=None if gptq is None else gptq.commit,
        gptq_short=None if gptq is None else gptq.short,
    )
