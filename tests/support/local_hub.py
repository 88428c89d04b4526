"""The project's own Hub in a thread of the tests, with an owner, a reader, and faults to order."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from huggingface_hub import HfApi

from infra.local_hub.access import issue_token
from infra.local_hub.faults import FaultPlan
from infra.local_hub.serving import serving
from infra.local_hub.settings import HubSettings

OWNER, ORG = "alice", "acme"


class LocalHub(NamedTuple):
    """A Hub that answers, and what its users have in hand.

    ``alice`` owns the write token, for herself and for ``acme``; the read token is hers, too.
    """

    endpoint: str
    root: Path
    write_token: str
    read_token: str
    faults: FaultPlan

    @property
    def requests(self) -> list[str]:
        """All requests so far, as ``METHOD /path``."""
        return self.faults.requests

    def api(self, token: str | Literal[False] | None = None) -> HfApi:
        """Return the real client; with the write token unless another is given, False for none."""
        return HfApi(endpoint=self.endpoint, token=self.write_token if token is None else token)

    def folder(self, repo_id: str, kind: str = "models") -> Path:
        """Return where a repository is on the disk: a bare git repository."""
        return self.root / kind / f"{repo_id}.git"


@contextmanager
def local_hub(root: Path, **settings: Any) -> Iterator[LocalHub]:
    """Serve a Hub over ``root`` until the block ends."""
    write = issue_token(root, OWNER, orgs=[ORG])
    read = issue_token(root, OWNER, orgs=[ORG], role="read")
    with serving(HubSettings(root=root, **settings)) as hub:
        yield LocalHub(hub.endpoint, root, write, read, hub.faults)
