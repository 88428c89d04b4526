"""The steps that push and roll back, with the papers of the card, on a Hub on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.errors import MissingTokenError, UnknownReleaseError
from infra.publishing.published import Content
from infra.publishing.target import Target
from infra.store import FolderStore
from tasks.policies import NETWORK_BACKOFF, network_trouble
from tasks.push import PushRequest, RollbackRequest, push_release, rollback_release
from tests.support.card import PICTURE, release_facts, source_facts
from tests.support.local_hub import LocalHub, local_hub
from tests.support.places import place_at
from tests.support.publishing import hub_of, online, write_export

REPO = "acme/model"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """Return a Hub that answers, and a client that may ask it."""
    with local_hub(tmp_path_factory.mktemp("hub")) as running, online():
        yield running


@pytest.fixture
def request_(server: LocalHub, tmp_path: Path) -> PushRequest:
    """Return a release to push, with the token in a file."""
    token = tmp_path / "token"
    token.write_text(server.write_token)
    token.chmod(0o600)
    source = source_facts().repo_id
    return PushRequest(
        target=Target(endpoint=server.endpoint, repo_id=REPO, version="v1.0.0"),
        content=Content(
            auto_round=write_export(tmp_path / "a", "auto_round", 1, source=source),
            auto_gptq=write_export(tmp_path / "g", "auto_gptq", 1, source=source),
        ),
        facts=release_facts(),
        pictures={PICTURE: FolderStore(tmp_path / "store").put_bytes(b"picture")},
        signing_key=None,
        token=f"file:{token}",
        place=place_at(tmp_path / "store"),
    )


def test_push_and_go_back(server: LocalHub, request_: PushRequest) -> None:
    """The card names the pinned commit, papers and pictures are there; once more, no commit."""
    hub = hub_of(server)

    published = push_release.fn(request_)

    card = hub.read(REPO, "main", "README.md").decode()
    assert published.gptq.short in card
    assert hub.read(REPO, "main", PICTURE) == b"picture"
    assert {"release.json", "recipe.yaml", "SHA256SUMS"} <= hub.tree(REPO, "main").keys()
    assert push_release.fn(request_).commits == 0

    asked = RollbackRequest(
        endpoint=server.endpoint, repo_id=REPO, to="v1.0.0", branch="main", token=request_.token
    )
    assert rollback_release.fn(asked).commit == published.main.commit
    with pytest.raises(UnknownReleaseError):
        rollback_release.fn(asked.model_copy(update={"to": "v9"}))


def test_no_token(request_: PushRequest) -> None:
    """The place is looked at when it is needed, and named where it is empty."""
    with pytest.raises(MissingTokenError, match="HF_TOKEN"):
        push_release.fn(request_.model_copy(update={"token": "environment"}))


@pytest.mark.parametrize("step", [push_release, rollback_release])
def test_only_the_network_is_tried_again(step: object) -> None:
    """A refusal is the same after a minute."""
    assert step.retries == len(NETWORK_BACKOFF)
    assert step.retry_delay_seconds == NETWORK_BACKOFF
    assert step.retry_condition_fn is network_trouble
    assert step.persist_result is False


def test_a_request_survives_json(request_: PushRequest) -> None:
    """It moves between processes, and holds the place of the token alone."""
    text = request_.model_dump_json()

    assert PushRequest.model_validate_json(text) == request_
    assert "hf_" not in text
