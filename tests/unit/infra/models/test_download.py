"""Models from a Hub, through the real client, from a stand-in on loopback."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from infra.models.source import ModelSource, digest_of
from tests.support.hub import HubRepository, StandIn, serve_hub
from tests.support.resolver import Resolver, resolving
from tests.support.tiny import write_tiny_qwen2_vl

NOWHERE = "http://127.0.0.1:9"  # the port of "discard": nothing listens
TOKEN = "hf_secret"  # noqa: S105 -- it opens the stand-in alone


class World(NamedTuple):
    """A Hub with a few repositories, and a process that asks it."""

    hub: StandIn
    resolver: Resolver
    home: Path
    first: Path
    commits: tuple[str, str]


def _repositories(folder: Path) -> tuple[dict[str, HubRepository], tuple[str, str]]:
    """Make one repository with a history, and others that refuse, each in its own way."""
    first, second = write_tiny_qwen2_vl(folder / "1", hidden=64), folder / "2"
    write_tiny_qwen2_vl(second, hidden=64, seed=1, shards=2)
    (second / "README.md").write_text("# Card\n")
    (second / "LICENSE").write_text("Apache-2.0\n")
    (second / "pytorch_model.bin").write_bytes(b"\x80\x04pickle")
    (second / "onnx").mkdir()
    (second / "onnx" / "config.json").write_text("{}")
    tiny, private, gated, damaged = (HubRepository() for _ in range(4))
    commits = (tiny.commit(first, ref="v1"), tiny.commit(second))
    for repository in (private, gated, damaged):
        repository.commit(first)
    private.token, gated.gated = TOKEN, True
    damaged.damaged = frozenset({"model.safetensors"})
    bare = HubRepository()
    (folder / "bare").mkdir()
    (folder / "bare" / "config.json").write_text("{}")
    (folder / "bare" / "pytorch_model.bin").write_bytes(b"\x80\x04pickle")
    bare.commit(folder / "bare")
    names = ("tiny", "private", "gated", "damaged", "bare")
    repositories = (tiny, private, gated, damaged, bare)
    return {f"org/{n}": r for n, r in zip(names, repositories, strict=True)}, commits


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Serve the repositories to one process without a token."""
    folder = tmp_path_factory.mktemp("hub")
    repositories, commits = _repositories(folder)
    home = folder / "home"
    with serve_hub(repositories) as hub, resolving(hub.endpoint, home) as resolver:
        yield World(hub, resolver, home, folder / "1", commits)


def _source(answer: ModelSource | tuple[str, str]) -> ModelSource:
    assert isinstance(answer, ModelSource), answer
    return answer


def _error(answer: ModelSource | tuple[str, str]) -> tuple[str, str]:
    assert not isinstance(answer, ModelSource), answer
    return answer


def test_a_tag_becomes_its_commit(world: World) -> None:
    """A tag gives the 40 digits of its commit, and the very files of it."""
    source = _source(world.resolver.ask("org/tiny", "v1"))

    assert (source.repo_id, source.commit) == ("org/tiny", world.commits[0])
    assert source.digest == digest_of(world.first)
    assert source.path.is_absolute()
    assert source.path.name == world.commits[0]


def test_no_revision_is_the_default_branch(world: World) -> None:
    """Without a revision the head of the default branch is taken, and its commit recorded."""
    assert _source(world.resolver.ask("org/tiny")).commit == world.commits[1]


@pytest.mark.parametrize("digits", [40, 7])
def test_a_commit_names_itself(world: World, digits: int) -> None:
    """A commit, whole or shortened, gives its 40 digits."""
    source = _source(world.resolver.ask("org/tiny", world.commits[0][:digits]))

    assert source.commit == world.commits[0]


def test_files_are_asked_for_by_commit_alone(world: World) -> None:
    """After the revision is resolved, no request names it again: a moved branch changes nothing."""
    world.hub.requests.clear()

    world.resolver.ask("org/tiny", "v1")

    later = [r for r in world.hub.requests if "/revision/" not in r]
    assert [r for r in world.hub.requests if r not in later] == [
        "GET /api/models/org/tiny/revision/v1"
    ] * 2
    assert [r for r in later if "v1" in r or "main" in r] == []


def test_only_what_is_needed_is_fetched(world: World) -> None:
    """Weights, JSON, text, licence and card come; pickles and other formats' folders do not."""
    source = _source(world.resolver.ask("org/tiny"))

    names = sorted(p.relative_to(source.path).as_posix() for p in source.path.rglob("*"))
    assert names == [
        "LICENSE",
        "README.md",
        "chat_template.json",
        "config.json",
        "generation_config.json",
        "merges.txt",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "preprocessor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.json",
    ]
    assert [r for r in world.hub.requests if r.endswith((".bin", "onnx/config.json"))] == []


@pytest.mark.parametrize("revision", ["v9", "f" * 40])
def test_a_revision_that_does_not_exist(world: World, revision: str) -> None:
    """The error names the revision, the repository, the Hub, and where to look."""
    kind, message = _error(world.resolver.ask("org/tiny", revision))

    assert kind == "UnknownRevisionError"
    assert f"org/tiny at {world.hub.endpoint} has no revision {revision!r}" in message
    assert f"{world.hub.endpoint}/org/tiny/tree/main lists" in message


@pytest.mark.parametrize("model", ["org/missing", "org/private"])
def test_a_repository_that_cannot_be_read(world: World, model: str) -> None:
    """Missing and private look alike from outside; the error says what to do in both cases."""
    kind, message = _error(world.resolver.ask(model))

    assert kind == "ModelNotFoundError"
    assert f"{model!r}" in message
    assert world.hub.endpoint in message
    assert "HF_TOKEN" in message


def test_a_gated_repository(world: World) -> None:
    """The error says where its terms are accepted."""
    kind, message = _error(world.resolver.ask("org/gated"))

    assert kind == "ModelNotFoundError"
    assert f"terms must be accepted first, at {world.hub.endpoint}/org/gated" in message


def test_a_name_that_no_repository_can_have(world: World) -> None:
    """The Hub's rules for names are told apart from a repository that is not there."""
    kind, message = _error(world.resolver.ask("org/has spaces"))

    assert kind == "ModelNotFoundError"
    assert "That is no name of a repository" in message


def test_a_repository_with_pickles_alone(world: World) -> None:
    """Pickles are not fetched, and the error says that safetensors are wanted."""
    kind, message = _error(world.resolver.ask("org/bare"))

    assert kind == "NoWeightsError"
    assert "models--org--bare" in message


def test_a_download_that_was_damaged(world: World) -> None:
    """The client checks sizes alone; a wrong byte is found by the announced SHA-256."""
    kind, message = _error(world.resolver.ask("org/damaged"))

    assert kind == "CorruptShardError"
    assert "model.safetensors" in message
    assert "Delete" in message


def test_a_hub_that_is_down(world: World) -> None:
    """A branch is never taken from an old answer; a commit that is cached needs no Hub."""
    _source(world.resolver.ask("org/tiny", "v1"))
    world.hub.down = True
    try:
        kind, message = _error(world.resolver.ask("org/tiny", "v1"))
        cached = _source(world.resolver.ask("org/tiny", world.commits[0]))
    finally:
        world.hub.down = False

    assert kind == "HubUnreachableError"
    assert f"{world.hub.endpoint} answered 503" in message
    assert cached.commit == world.commits[0]


def test_a_token_opens_a_private_repository(world: World, tmp_path: Path) -> None:
    """The token comes from the environment, and is not in what is handed on."""
    with resolving(world.hub.endpoint, tmp_path, HF_TOKEN=TOKEN) as resolver:
        source = _source(resolver.ask("org/private"))

    assert source.repo_id == "org/private"
    assert TOKEN not in json.dumps(source.model_dump(mode="json"))


def test_offline_takes_what_is_cached(world: World) -> None:
    """Offline, a revision that was resolved before still works, and no request is made."""
    before = _source(world.resolver.ask("org/tiny", "v1"))
    world.hub.requests.clear()

    with resolving(world.hub.endpoint, world.home, HF_HUB_OFFLINE="1") as resolver:
        offline = _source(resolver.ask("org/tiny", "v1"))
        kind, message = _error(resolver.ask("org/other"))

    assert offline == before
    assert kind == "HubUnreachableError"
    assert "org/other at revision 'main' is not, or not whole, in the cache" in message
    assert "HF_HUB_OFFLINE" in message
    assert world.hub.requests == []


def test_a_hub_that_is_not_there(tmp_path: Path) -> None:
    """The error names the endpoint, and how to go on without it."""
    with resolving(NOWHERE, tmp_path) as resolver:
        kind, message = _error(resolver.ask("org/tiny", "v1"))

    assert kind == "HubUnreachableError"
    assert f"The Hub at {NOWHERE} did not answer when asked for org/tiny" in message
    assert "HF_ENDPOINT" in message
