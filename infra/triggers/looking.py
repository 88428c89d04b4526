"""Look at a repository's tags, and say which ask for something that was not asked before."""

from collections.abc import Mapping
from typing import NamedTuple

from infra.triggers.key import TagKey
from infra.triggers.ledger import Ledger
from infra.triggers.pattern import TagPattern


class Moved(NamedTuple):
    """A tag that names another commit than when it was first seen."""

    key: TagKey
    first_commit: str

    @property
    def words(self) -> str:
        """What a person should know."""
        return (
            f"The tag {self.key.tag} of {self.key.repo_id} was at {self.first_commit[:7]} when it "
            f"was first seen, and is at {self.key.commit[:7]} now: refused. A tag that moves "
            "releases nothing; set a new tag on the commit that is meant."
        )


class Sightings(NamedTuple):
    """What one look has shown: tags to announce, and tags to refuse, neither told before."""

    new: tuple[TagKey, ...]
    moved: tuple[Moved, ...]


def look(repo_id: str, tags: Mapping[str, str], pattern: TagPattern, ledger: Ledger) -> Sightings:
    """Return which of a repository's ``tags`` ask for a release and were not announced yet.

    What is announced must be put on record by whoever announces it, afterwards: a crash in
    between announces it twice, and never not at all.

    Args:
        repo_id: The repository.
        tags: Tag to 40-digit commit, as the Hub tells them now.
        pattern: Which of them count.
        ledger: What is known of them.

    Raises:
        StoreError: The ledger cannot be read or written.
    """
    new: list[TagKey] = []
    moved: list[Moved] = []
    for tag, commit in sorted(tags.items()):
        if pattern.version(tag) is None:
            continue
        key = TagKey(repo_id=repo_id, tag=tag, commit=commit)
        first = ledger.first_commit(key)
        if ledger.was_announced(key):
            continue
        if first == commit:
            new.append(key)
        else:
            moved.append(Moved(key, first))
    return Sightings(tuple(new), tuple(moved))
