"""The main flow ends on a Hub: real server, real client, real Hub on loopback."""

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from prefect.client.schemas.objects import State

from flows.quantize import quantize_model
from flows.recipe import Recipe
from flows.results import RunResult
from infra.errors import (
    LeaseLostError,
    MissingTokenError,
    NotAllowedError,
    RejectedTokenError,
    TagMovedError,
)
from infra.store import Store, open_store
from infra.store.lease import Holding
from tasks.progress import listening
from tasks.specs import ExportSpec, QuantizationSpec
from tests.support.local_hub import LocalHub, local_hub
from tests.support.pages import artifacts_of, latest_run, tasks_of
from tests.support.requests import small_recipe, write_data

REPO = "acme/small-int4"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """Return a Hub that the tests of this file share."""
    with pytest.MonkeyPatch.context() as patch, local_hub(tmp_path_factory.mktemp("hub")) as served:
        patch.setattr(constants, "HF_HUB_OFFLINE", False)  # loopback is all that tests can reach
        yield served


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the data sets."""
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the store and the outputs of all tests of this file."""
    return tmp_path_factory.mktemp("root")


def token_in(root: Path, token: str, name: str = "token") -> str:
    """Write a token into a file that this user alone reads; return where a recipe finds it."""
    path = root / name
    path.touch(mode=0o600)
    path.write_text(token)
    return f"file:{path}"


def recipe_for(model: Path, data: Path, root: Path, hub: LocalHub, **publish: Any) -> Recipe:
    """Return a recipe of one rounded variant that is published to ``hub``."""
    told = {
        "repo_id": REPO,
        "endpoint": hub.endpoint,
        "token": token_in(root, hub.write_token),
        "private": False,
    }
    return small_recipe(
        model,
        data,
        root / "out",
        calibration=[],
        quantization={"iters": 0},
        publish=told | publish,
    )


def run(recipe: Recipe, root: Path) -> RunResult:
    """Run a recipe to its end."""
    result = quantize_model(recipe, root)
    assert not isinstance(result, State)
    return result


@pytest.fixture
def published(tiny_model: Path, data: Path, root: Path, hub: LocalHub) -> RunResult:
    """Return a run that has published, or found that it was published."""
    return run(recipe_for(tiny_model, data, root, hub), root)


def test_a_run_ends_with_both_formats_under_pinned_revisions(
    published: RunResult, hub: LocalHub
) -> None:
    """What the run says is what the Hub has."""
    told = published.published
    assert told is not None
    tags = {tag.name: tag.target_commit for tag in hub.api().list_repo_refs(REPO).tags}

    assert tags == {"v1.0.0": told.main.commit, "v1.0.0-auto_gptq": told.gptq.commit}
    assert hub.api().model_info(REPO).sha == told.main.commit
    files = set(hub.api().list_repo_files(REPO))
    assert {"README.md", "release.json", "recipe.yaml", "roundhouse.json", "SHA256SUMS"} <= files


def test_the_page_of_the_run_links_to_what_was_published(
    published: RunResult, hub: LocalHub
) -> None:
    """Steps in words, and the pinned commits as links."""
    told = published.published
    assert told is not None
    page = latest_run("small")
    links = next(
        artifact["data"] for artifact in artifacts_of(page) if artifact["key"] == "release-small"
    )

    assert f"{hub.endpoint}/{REPO}/tree/{told.gptq.commit}" in links
    assert f"{hub.endpoint}/{REPO}/blob/{told.main.commit}/README.md" in links
    names = [task.name for task in tasks_of(page)]
    assert f"push v1.0.0 to {REPO}" in names
    assert f"make sure that {REPO} can be published to" in names


def test_the_same_run_again_makes_no_commit(
    published: RunResult, tiny_model: Path, data: Path, root: Path, hub: LocalHub
) -> None:
    """Everything is found, here and on the Hub."""
    again = run(recipe_for(tiny_model, data, root, hub), root).published

    assert published.published is not None
    assert again is not None
    assert again.commits == 0
    assert again.main == published.published.main
    assert again.gptq == published.published.gptq


def test_a_version_is_never_given_to_other_files(
    published: RunResult, tiny_model: Path, data: Path, root: Path, hub: LocalHub
) -> None:
    """A release that others have pinned stays what it is; the message names the remedy."""
    assert published
    other = recipe_for(tiny_model, data, root, hub).model_copy(
        update={
            "quantization": QuantizationSpec(iters=0, group_size=64),
            "export": ExportSpec(output_dir=root / "other"),
        }
    )
    before = hub.api().model_info(REPO).sha

    with pytest.raises(TagMovedError, match=r"raise the version"):
        run(other, root)
    assert hub.api().model_info(REPO).sha == before


def test_who_was_believed_dead_does_not_publish(
    tiny_model: Path, data: Path, root: Path, hub: LocalHub
) -> None:
    """A run whose lease was taken over meanwhile ends before the Hub hears of it."""
    asked = recipe_for(tiny_model, data, root, hub, repo_id="acme/late")
    late = asked.model_copy(update={"export": ExportSpec(output_dir=root / "late")})
    lease = f"the run of {late.model.source} for {late.target}"

    with listening(Successor(open_store(late.at(root)), lease)), pytest.raises(LeaseLostError):
        run(late, root)

    assert (root / "late").is_dir()
    assert not hub.api().repo_exists("acme/late")


@pytest.mark.parametrize(
    ("token", "error"),
    [("read", NotAllowedError), ("unknown", RejectedTokenError), (None, MissingTokenError)],
)
def test_who_may_not_publish_is_told_before_the_work(
    token: str | None,
    error: type[Exception],
    tiny_model: Path,
    data: Path,
    root: Path,
    hub: LocalHub,
) -> None:
    """A night of quantizing must not end at a locked door; nothing is written, here or there."""
    given = {"read": hub.read_token, "unknown": "hf_" + "x" * 34}.get(token or "")
    place = "environment" if given is None else token_in(root, given, f"token-{token}")
    recipe = recipe_for(tiny_model, data, root, hub, repo_id="acme/never", token=place).model_copy(
        update={"export": ExportSpec(output_dir=root / f"never-{token}")}
    )

    with pytest.raises(error):
        run(recipe, root)
    assert not (root / f"never-{token}").exists()
    assert not hub.api().repo_exists("acme/never")


class Successor(logging.Handler):
    """Takes a lease over as soon as an export is verified."""

    def __init__(self, store: Store, lease: str) -> None:
        """Take what ``lease`` names, in ``store``."""
        super().__init__()
        self._registers = store.registers()
        self._register = hashlib.sha256(lease.encode()).hexdigest()

    def emit(self, record: logging.LogRecord) -> None:
        """Write what another holder would, whose epoch is the next."""
        if "verifying" in record.getMessage():
            content = self._registers.read(self._register)
            assert content is not None
            held = Holding.model_validate_json(content.data)
            taken = held.model_copy(update={"epoch": held.epoch + 1, "nonce": "another"})
            assert self._registers.swap(self._register, taken.written(), content.version)
