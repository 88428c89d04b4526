"""Tell those who listen what has happened to a repository."""

import logging
from typing import Annotated, NamedTuple

from fastapi import Depends, Request

from infra.local_hub.asking import TheHub, Writing, base_url
from infra.local_hub.events import Action, Event, Scope
from infra.local_hub.references import Change
from infra.local_hub.state import Hub

LOG = logging.getLogger("roundhouse.hub")


class Announcer(NamedTuple):
    """Tells, in the name of one request."""

    hub: Hub
    base_url: str

    def moved(self, writing: Writing, *changes: Change) -> None:
        """Tell that branches or tags have changed."""
        repository, about, caller = writing
        for change in changes:
            LOG.info(
                "%s: %s of %s %s, %s -> %s",
                *(caller.user, change.ref, repository.kind, repository.id, change.old, change.new),
            )
        self.hub.tell(Event(repository, about, "update", "repo.content", changes, self.base_url))

    def became(self, writing: Writing, action: Action, scope: Scope) -> None:
        """Tell that the repository itself was made, described otherwise, or removed."""
        repository, about, caller = writing
        LOG.info("%s: %s %s %s", caller.user, action, repository.kind, repository.id)
        self.hub.tell(Event(repository, about, action, scope, (), self.base_url))


def _announcer(request: Request, hub: TheHub) -> Announcer:
    return Announcer(hub, base_url(request, hub))


Announce = Annotated[Announcer, Depends(_announcer)]
