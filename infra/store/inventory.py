"""A store as who counts and cleans it sees it: everything that it keeps, and how old that is."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol


class Kept(NamedTuple):
    """An object of a store."""

    digest: str  # by its name
    size: int
    age: float  # seconds since it was written, or written again


class Paper(NamedTuple):
    """A manifest, unread."""

    place: str  # for people
    data: bytes


class Leftover(NamedTuple):
    """What a killed writer left, or a copy that nobody has used for long."""

    place: str  # for people, and for `discard`
    size: int  # bytes; 0 where nobody tells


class Inventory(Protocol):
    """What is kept.  All of these raise what the store raises."""

    def objects(self) -> Iterator[Kept]:
        """Yield every object."""
        ...

    def manifests(self) -> Iterator[Paper]:
        """Yield every manifest."""
        ...

    def look(self, digest: str) -> Kept | None:
        """Return an object as it is now, which a listing need not tell."""
        ...

    def read(self, digest: str) -> str | None:
        """Read an object from beginning to end and return the SHA-256 of its bytes."""
        ...

    def where(self, digest: str) -> str:
        """Return where an object is, for people."""
        ...

    def remove(self, digest: str) -> None:
        """Remove an object."""
        ...

    def leftovers(self, age: float) -> Iterator[Leftover]:
        """Yield what belongs to nothing and is older than ``age`` seconds."""
        ...

    def discard(self, leftover: Leftover) -> None:
        """Remove it."""
        ...
