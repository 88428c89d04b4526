"""Tags of a staging repository: looked at, announced once, promoted once; on a real server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from huggingface_hub import CommitOperationAdd, constants
from prefect.client.schemas.objects import State

from flows import recipefile
from flows.quantize import quantize_model
from flows.release import ReleaseResult, release_tag
from flows.results import RunResult
from flows.watch import watch_tags
from infra.demo.benchmarks import BenchmarkSizes, write_benchmarks
from infra.errors import (
    CandidateError,
    NotWatchedError,
    ReleaseUnderWayError,
    TagPatternError,
    TriggerMovedError,
)
from infra.store import FolderStore
from infra.triggers.claim import claimed
from infra.triggers.key import TagKey
from tests.support.local_hub import LocalHub, local_hub
from tests.support.pages import latest_run, runs_named

STAGING, TARGET = "acme/staging", "acme/int4"
WIDE = {
    "average_margin": 100, "task_drop": 100, "unreadable": 100, "capped": 100,
    "yes_share": 100, "flips": 100, "clusters": 1, "kl_int4": 1000,
}  # fmt: skip


class World(NamedTuple):
    """A Hub with a candidate, and the recipe that watches it."""

    hub: LocalHub
    root: Path
    recipe: str
    candidate: str  # commit

    @property
    def store(self) -> FolderStore:
        """Where claims on tags are held."""
        return FolderStore(self.root / "store")

    def tag(self, name: str, commit: str | None = None) -> TagKey:
        """Set a tag on the candidate; return what it is known by."""
        commit = commit or self.candidate
        self.hub.api().create_tag(STAGING, tag=name, revision=commit)
        return TagKey(repo_id=STAGING, tag=name, commit=commit)

    def release(self, key: TagKey, **how: Any) -> ReleaseResult:
        """Release what a tag names."""
        result = release_tag(key.repo_id, key.tag, key.commit, (self.recipe,), self.root, **how)
        assert not isinstance(result, State)
        return result

    def tags(self, repo_id: str = TARGET) -> dict[str, str]:
        """Return where a repository's tags are."""
        if not self.hub.api().repo_exists(repo_id):
            return {}
        return {tag.name: tag.target_commit for tag in self.hub.api().list_repo_refs(repo_id).tags}


def write_recipe(root: Path, model: Path, hub: LocalHub, **changes: Any) -> Path:
    """Write a recipe that rounds to nearest, watches a staging repository, and lets all through."""
    token = root / "token"
    token.touch(mode=0o600)
    token.write_text(hub.write_token)
    names = ["MMBench_DEV_EN_V11", "ScienceQA_VAL", "TextVQA_VAL", "POPE"]
    told = {
        "name": "staged",
        "model": {"source": str(model)},
        "quantization": {"iters": 0},
        "export": {"output_dir": "out"},
        "benchmarks": {
            "names": names, "source": "tables", "fidelity_prompts": 0, "max_new_tokens": 4,
        },
        "gate": WIDE,
        "publish": {
            "repo_id": TARGET, "endpoint": hub.endpoint, "token": f"file:{token}",
            "private": False,
        },
        "release": {"staging": STAGING},
    }  # fmt: skip
    path = root / f"{changes.get('name', 'staged')}.yaml"
    path.write_text(yaml.safe_dump(told | changes, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def world(
    tiny_model: Path, tmp_path_factory: pytest.TempPathFactory, prefect_api_url: str
) -> Iterator[World]:
    """Return a Hub to whose staging repository a run has published a candidate."""
    from prefect.settings import temporary_settings  # noqa: PLC0415 -- before those of a test

    root = tmp_path_factory.mktemp("world")
    write_benchmarks(root / "tables", seed=5, sizes=BenchmarkSizes(1, 2, 2, 2))
    client = {"api.url": prefect_api_url, "flows.heartbeat_frequency": None}
    with (
        pytest.MonkeyPatch.context() as patch,
        local_hub(root / "hub") as hub,
        temporary_settings(client),
    ):
        patch.setattr(constants, "HF_HUB_OFFLINE", False)  # loopback is all that tests can reach
        path = write_recipe(root, tiny_model, hub)
        staged = recipefile.load(str(path), [f"publish.repo_id={STAGING}", "benchmarks=null"])
        result = quantize_model(staged, root)
        assert isinstance(result, RunResult)
        assert result.published is not None
        yield World(hub, root, str(path), result.published.main.commit)


def weights(world: World, repo_id: str, revision: str) -> dict[str, str]:
    """Return the digests of a revision's weight files."""
    info = world.hub.api().model_info(repo_id, revision=revision, files_metadata=True)
    return {
        file.rfilename: file.lfs.sha256
        for file in info.siblings or ()
        if file.rfilename.endswith(".safetensors") and file.lfs is not None
    }


def test_a_tagged_candidate_is_released_as_it_is(world: World) -> None:
    """Verified, judged though it never was, and published under the version of its tag."""
    quantized = len(runs_named("rtn: blocks 1 to 2 of 2"))
    result = world.release(world.tag("release/v1.0.0"))

    assert (result.outcome, result.version) == ("published", "v1.0.0")
    assert result.evaluation is not None
    assert result.evaluation.best == "pass"
    assert world.tags().keys() == {"v1.0.0", "v1.0.0-auto_gptq"}
    assert weights(world, TARGET, "main") == weights(world, STAGING, "main")
    assert weights(world, TARGET, "v1.0.0-auto_gptq") == weights(world, STAGING, "auto_gptq")
    assert len(runs_named("rtn: blocks 1 to 2 of 2")) == quantized


def test_a_second_delivery_changes_nothing(world: World) -> None:
    """It ends in a state that says so, with the revision that is there."""
    key = world.tag("release/v2.0.0")
    first = world.release(key)
    before = world.hub.api().model_info(TARGET).sha
    second = world.release(key)

    assert first.published is not None
    assert second.published is None
    assert second.revision == first.revision
    assert world.hub.api().model_info(TARGET).sha == before
    run = latest_run("release/v2.0.0 of acme/staging")
    assert run.state_name == "AlreadyReleased"
    assert run.state is not None
    assert "was released before, as acme/int4@" in str(run.state.message)


def test_two_at_once_are_one(world: World) -> None:
    """While one process releases a tag, nobody else does."""
    key = world.tag("release/v3.0.0")

    with claimed(world.store, key), pytest.raises(ReleaseUnderWayError):
        world.release(key)
    assert "v3.0.0" not in world.tags()


def test_a_tag_that_has_moved_releases_nothing(world: World) -> None:
    """Whoever delivers the old commit is told where the tag is now."""
    key = world.tag("release/v4.0.0")
    watch_tags((world.recipe,), world.root)
    api = world.hub.api()
    added = CommitOperationAdd("NOTES.md", b"another commit")
    other = api.create_commit(STAGING, [added], commit_message="notes", revision="auto_gptq").oid
    api.delete_tag(STAGING, tag=key.tag)
    moved = world.tag(key.tag, other)

    with pytest.raises(TriggerMovedError, match=f"the tag is at {other[:7]} now"):
        world.release(key)
    with pytest.raises(TriggerMovedError, match=f"was at {key.commit[:7]} when it was first seen"):
        world.release(moved)
    assert any("refused" in words for words in watch_tags((world.recipe,), world.root).refused)
    assert watch_tags((world.recipe,), world.root).refused == ()


def test_the_gate_stops_a_candidate_too(world: World, tiny_model: Path) -> None:
    """A candidate that is held is not published, until a person says so."""
    strict = write_recipe(
        world.root, tiny_model, world.hub, name="strict", gate=WIDE | {"clusters": 1000}
    )
    key = world.tag("release/v5.0.0")
    told = world._replace(recipe=str(strict))
    held = told.release(key)

    assert (held.outcome, held.published) == ("held", None)
    assert latest_run("release/v5.0.0 of acme/staging").state_name == "Held"
    assert "v5.0.0" not in world.tags()
    assert told.release(key).published is None
    approved = told.release(key, approve_hold=True)
    assert approved.outcome == "published"
    assert "v5.0.0" in world.tags()


def test_looking_announces_each_tag_once(world: World) -> None:
    """Two looks, one event."""
    key = world.tag("release/v6.0.0")
    first = watch_tags((world.recipe,), world.root).repositories[STAGING]
    second = watch_tags((world.recipe,), world.root).repositories[STAGING]

    assert key in first.announced
    assert second.announced == ()


def test_a_staging_repository_may_not_be_there_yet(world: World, tiny_model: Path) -> None:
    """It begins with its first candidate; until then a look finds nothing."""
    early = write_recipe(
        world.root, tiny_model, world.hub, name="early", release={"staging": "acme/none"}
    )

    assert watch_tags((str(early),), world.root).repositories["acme/none"].announced == ()


@pytest.mark.parametrize(
    ("repo_id", "tag", "error", "words"),
    [
        ("acme/other", "release/v1", NotWatchedError, "watched are acme/staging"),
        (STAGING, "v9.0.0", TagPatternError, r"release/\* does, with a version"),
        (STAGING, "release/v9.0.0", TriggerMovedError, "the tag is gone now"),
    ],
)
def test_what_asks_for_nothing_is_refused(
    world: World, repo_id: str, tag: str, error: type[Exception], words: str
) -> None:
    """An event that nobody's watcher has sent starts nothing."""
    with pytest.raises(error, match=words):
        world.release(TagKey(repo_id=repo_id, tag=tag, commit="1" * 40))


def test_a_tagged_commit_that_is_no_candidate_is_refused(world: World) -> None:
    """The GPTQ side names no pair, and somebody's own commit is none of ours."""
    side = world.hub.api().model_info(STAGING, revision="v1.0.0-auto_gptq").sha
    assert side is not None
    with pytest.raises(CandidateError, match="Tag the commit on the main branch"):
        world.release(world.tag("release/v7.0.0", side))
    root = world.hub.api().list_repo_commits(STAGING)[-1].commit_id
    with pytest.raises(CandidateError, match=r"holds no release\.json, so it is no candidate"):
        world.release(world.tag("release/v8.0.0", root))
