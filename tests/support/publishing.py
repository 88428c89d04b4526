"""Small releases to publish, and what must hold of a repository whatever has happened to it."""

import json
import random
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from huggingface_hub import constants

from infra.checkpoints.sidefiles import SIGNATURE
from infra.publishing.drafts import gptq_draft, main_draft
from infra.publishing.hub import Hub, open_hub
from infra.publishing.manifest import Known, differences
from infra.publishing.pinned import Pinned
from infra.publishing.publish import publish
from infra.publishing.published import Content, Published
from infra.publishing.signing import Signer
from infra.publishing.target import Target
from infra.publishing.token import HubToken
from tests.support.local_hub import LocalHub

SHARD_BYTES = 60_000
_REVISION = re.compile(r'revision="(\w+)"')


class TinyPapers(NamedTuple):
    """Papers that name what they must name, and nothing else."""

    said: str = ""
    metadata: str = "license: apache-2.0"

    def beside_gptq(self, target: Target) -> Mapping[str, bytes]:
        """Name the revision by its tag."""
        return self._card(target, target.gptq_tag)

    def beside_auto_round(self, target: Target, gptq: Pinned) -> Mapping[str, bytes]:
        """Name the GPTQ revision by its short commit."""
        return self._card(target, gptq.short)

    def _card(self, target: Target, revision: str) -> dict[str, bytes]:
        text = f'---\n{self.metadata}\n---\n{target.version}\nrevision="{revision}"\n{self.said}\n'
        return {"README.md": text.encode(), "release.json": b'{"schema":1}\n'}


class Release(NamedTuple):
    """Something to publish."""

    target: Target
    content: Content
    papers: TinyPapers = TinyPapers()

    def publish_to(self, hub: Hub, signer: Signer | None = None) -> Published:
        """Publish it, silently."""
        return publish(
            hub, self.target, self.content, self.papers, signer=signer, say=lambda _words: None
        )

    def moved_to(self, repo_id: str) -> "Release":
        """Return the same for another repository, or another pair of them."""
        second = None if self.target.gptq_repo_id is None else f"{repo_id}-gptq"
        names = {"repo_id": repo_id, "gptq_repo_id": second}
        return self._replace(target=self.target.model_copy(update=names))


@contextmanager
def online() -> Iterator[None]:
    """Let the client ask the Hub on loopback: tests forbid it to ask anything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield


def write_export(
    folder: Path, kind: str, version: int, *, shards: int = 1, source: str | None = "org/model"
) -> Path:
    """Write what stands for an export: it has the names, and bytes that its version decides."""
    folder.mkdir(parents=True)
    about = {"schema": 1, "format": kind, "source": {"repo_id": source}}
    (folder / "roundhouse.json").write_text(json.dumps(about))
    (folder / "config.json").write_text(json.dumps({"quant_method": kind, "version": version}))
    (folder / "SHA256SUMS").write_text("of the export, before the papers came\n")
    for shard in range(shards):
        seed = f"{kind} {version} {shard}"
        name = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        (folder / name).write_bytes(random.Random(seed).randbytes(SHARD_BYTES))
    return folder


def make_release(
    folder: Path, repo_id: str, version: int, *, gptq_repo_id: str | None = None
) -> Release:
    """Return version 1, 2, …: two shards or one, so that a new version also deletes."""
    content = Content(
        auto_round=write_export(
            folder / f"{version}-auto_round", "auto_round", version, shards=1 + version % 2
        ),
        auto_gptq=write_export(folder / f"{version}-auto_gptq", "auto_gptq", version),
    )
    target = Target(repo_id=repo_id, gptq_repo_id=gptq_repo_id, version=f"v{version}.0.0")
    return Release(target, content)


def hub_of(server: LocalHub, token: str | None = None) -> Hub:
    """Return the Hub as publishing sees it; with the write token unless another is given."""
    return open_hub(server.endpoint, HubToken(token or server.write_token, "the test"))


def copy_repository(server: LocalHub, repo_id: str, copy: str) -> None:
    """Make a repository that is what another one is: quicker than publishing all of it again."""
    shutil.copytree(server.folder(repo_id), server.folder(copy))


class Torn(NamedTuple):
    """A name that a reader may use, and what is wrong with what it leads to."""

    name: str
    wrong: tuple[str, ...]


def torn(hub: Hub, repo_id: str, releases: Mapping[str, Release]) -> list[Torn]:
    """Return every name of a repository that leads to something else than one whole release.

    Looked at are main, every tag, and the revision that the card at each of them names; they are
    read by the Hub's own listing and the files themselves, not by what publishing believes.

    Args:
        hub: Where the repository is.
        repo_id: The repository.
        releases: All that were ever published there, by version.
    """
    refs = hub.refs(repo_id)
    heads = {**refs.tags, "main": refs.branches["main"]}
    tagged = {commit: name for name, commit in refs.tags.items()}
    found = (
        _torn(hub, repo_id, name, commit, releases)
        for name, commit in heads.items()
        if tagged.get(commit, name) == name  # main where a tag is has been looked at
    )
    return [each for each in found if each.wrong]


def _torn(hub: Hub, repo_id: str, name: str, commit: str, releases: Mapping[str, Release]) -> Torn:
    tree = hub.tree(repo_id, commit)
    if name == "main" and tree.keys() <= {".gitattributes"}:
        return Torn(name, ())  # nothing was announced yet
    card = hub.read(repo_id, commit, "README.md").decode()
    version = card.splitlines()[3]
    if name not in ("main", version, f"{version}-auto_gptq"):
        return Torn(name, (f"it is a release of {version}",))
    release, known = releases[version], Known()
    target, content, papers = release
    if name.endswith("-auto_gptq"):
        wanted = gptq_draft(target, content, papers, known).files
        return Torn(name, differences(wanted, _unsigned(tree)))
    short = _REVISION.findall(card)[0]
    side = hub.resolve(target.gptq_place[0], short)
    pinned = Pinned(repo_id=target.gptq_place[0], commit=side, short=short, tag=target.gptq_tag)
    wanted = main_draft(target, content, papers, pinned, known).files
    beside = gptq_draft(target, content, papers, known).files
    return Torn(
        name,
        (
            *differences(wanted, _unsigned(tree)),
            *differences(beside, _unsigned(hub.tree(target.gptq_place[0], side))),
        ),
    )


def _unsigned(tree: Mapping[str, object]) -> dict[str, object]:
    return {path: file for path, file in tree.items() if path != SIGNATURE}
