"""Tell those who listen what has happened to a repository."""

from typing import Annotated, NamedTuple

from fastapi import Depends, Request

from infra.local_hub.asking import TheHub, base_url
from infra.local_hub.events import Action, Event
from infra.local_hub.references import Change
from infra.local_hub.repository import Repository
from infra.local_hub.state import Hub


class Announcer(NamedTuple):
    """Tells, in the name of one request."""

    hub: Hub
    base_url: str

    def changed(self, repository: Repository, *changes: Change) -> None:
        """Tell that branches or tags have changed."""
        self._tell(repository, "update", "repo.content", changes)

    def became(self, repository: Repository, action: Action) -> None:
        """Tell that the repository itself was made, or described otherwise."""
        self._tell(repository, action, "repo", ())

    def _tell(
        self, repository: Repository, action: Action, scope: str, changes: tuple[Change, ...]
    ) -> None:
        self.hub.tell(Event(repository, action, scope, changes, self.base_url))


def _announcer(request: Request, hub: TheHub) -> Announcer:
    return Announcer(hub, base_url(request, hub))


Announce = Annotated[Announcer, Depends(_announcer)]
