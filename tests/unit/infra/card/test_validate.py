"""The Hub takes the card's metadata, asked as the real client asks before it pushes one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import ModelCard, constants

from tests.support.card import evaluation_facts, local_set, release_facts, rendered, source_facts
from tests.support.local_hub import LocalHub, local_hub


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """Serve a Hub, and let the client ask it."""
    root: Path = tmp_path_factory.mktemp("hub") / "data"
    with local_hub(root) as served, pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(constants, "ENDPOINT", served.endpoint)
        yield served


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"evaluation": None, "generations": None, "fidelity": ()},
        {"source": source_facts(repo_id=None, license=None, languages=())},
        {"calibration": (local_set(),)},
        {"evaluation": evaluation_facts({"a: b\n---": (1.0, 2.0)}, ("pile",))},
    ],
    ids=["all", "nothing evaluated", "no repository", "local data", "a wild name"],
)
def test_the_hub_takes_the_cards_metadata(hub: LocalHub, changes: dict[str, object]) -> None:
    """Whatever is known of a release, and whatever is not."""
    asked = len(hub.requests)

    ModelCard(rendered(release_facts(**changes))).validate()

    assert hub.requests[asked:] == ["POST /api/validate-yaml"]
