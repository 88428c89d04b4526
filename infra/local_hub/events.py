"""What happened to a repository, in the words of the Hub's webhooks, version 3."""

import hashlib
from typing import Any, Literal, NamedTuple

from infra.local_hub.references import BRANCHES, Change
from infra.local_hub.repository import DEFAULT_BRANCH, About, Repository

Action = Literal["create", "update", "delete"]
Scope = Literal["repo", "repo.content", "repo.config"]
VERSION = 3


class Event(NamedTuple):
    """Something that happened to a repository."""

    repository: Repository
    about: About
    action: Action
    scope: Scope
    changes: tuple[Change, ...]
    base_url: str


def body_of(event: Event, hook: str) -> dict[str, Any]:
    """Return what a webhook is sent about an event.

    Commits stand for annotated tags, too.  Whoever receives it should take it for a hint, and ask
    the Hub what is true now.
    """
    repository = event.repository
    prefix = "" if repository.kind == "models" else f"{repository.kind}/"
    body: dict[str, Any] = {
        "event": {"action": event.action, "scope": event.scope},
        "repo": {
            "type": repository.kind.removesuffix("s"),
            "name": repository.id,
            "id": event.about.id,
            "private": event.about.private,
            "url": {
                "web": f"{event.base_url}/{prefix}{repository.id}",
                "api": f"{event.base_url}/api/{repository.kind}/{repository.id}",
            },
            "headSha": repository.references().get(BRANCHES + DEFAULT_BRANCH),
            "owner": {"id": owner_id(repository.namespace)},
        },
        "webhook": {"id": hook, "version": VERSION},
    }
    if event.changes:
        body["updatedRefs"] = [
            {"ref": change.ref, "oldSha": change.old, "newSha": change.new}
            for change in event.changes
        ]
    return body


def owner_id(namespace: str) -> str:
    """Return the 24 digits that stand for a user or an organization, always the same ones."""
    return hashlib.sha256(namespace.encode()).hexdigest()[:24]
