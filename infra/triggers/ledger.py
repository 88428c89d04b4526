"""What is known of each tag: where it was first seen, whether it was announced, what came of it.

Notices come twice, by two ways, and again after a restart.  So what was done about a tag is on
record in the artifact store, under its key, and each entry is written once: the first writer wins,
and everybody else reads what he wrote.
"""

from typing import Literal, NamedTuple

from infra.store import Store, fingerprint
from infra.triggers.key import TagKey

Outcome = Literal["published", "held", "refused"]


class Ledger(NamedTuple):
    """The entries about tags in a store.

    `scope` keeps apart what several services of one store do about the same tag: the name of the
    Hub that it is set on.
    """

    store: Store
    scope: str

    def first_commit(self, key: TagKey) -> str:
        """Return the commit at which the tag was first seen; now, if it never was.

        Raises:
            StoreError: The store cannot be read or written.
            StorageError: As above.
        """
        name = fingerprint(
            {"what": "tag-seen", "hub": self.scope, "repo_id": key.repo_id, "tag": key.tag}
        )
        return str(self.store.record(name, {"commit": key.commit})["commit"])

    def was_announced(self, key: TagKey) -> bool:
        """Whether the event of this key was accepted."""
        return self.store.find(self._name("tag-announced", key)) is not None

    def announced(self, key: TagKey) -> None:
        """Put on record that the event of this key was accepted."""
        self.store.record(self._name("tag-announced", key), key.model_dump())

    def was_published(self, key: TagKey) -> str | None:
        """Return what the tag was published as, ``repository@commit``; None: it was not."""
        found = self.store.find(self._name("tag-published", key))
        return None if found is None else str(found["as"])

    def published(self, key: TagKey, revision: str) -> None:
        """Put on record that the tag was published, and as what."""
        self.store.record(self._name("tag-published", key), {"as": revision})

    def was_judged(self, key: TagKey) -> str | None:
        """Return why a release of this key stopped at the gate: "held" or "refused"."""
        found = self.store.find(self._name("tag-judged", key))
        return None if found is None else str(found["outcome"])

    def judged(self, key: TagKey, outcome: Outcome) -> None:
        """Put on record that the gate stopped a release of this key."""
        self.store.record(self._name("tag-judged", key), {"outcome": outcome})

    def _name(self, what: str, key: TagKey) -> str:
        return fingerprint({"what": what, "hub": self.scope, **key.model_dump()})
