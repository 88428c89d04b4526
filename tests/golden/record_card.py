"""Print the card of a small release: what a change of wording or layout shows in its diff.

    PYTHONPATH=. python tests/golden/record_card.py > tests/golden/card.md

The facts are made up, all of them, so that nothing but the card's own code moves it.
"""

import sys

from infra.card.facts import LoaderFacts, ReleaseFacts
from tests.support.card import blocks, release_facts, rendered

LOADERS = (
    LoaderFacts(format="auto_round", packages={"transformers": "5.23.0", "auto-round": "0.16.1"}),
    LoaderFacts(format="auto_gptq", packages={"transformers": "5.23.0", "gptqmodel": "7.7.0"}),
)


def facts() -> ReleaseFacts:
    """Return what the card tells."""
    return release_facts(blocks=blocks(4), loaders=LOADERS)


if __name__ == "__main__":
    sys.stdout.write(rendered(facts()))
