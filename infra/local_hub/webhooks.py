"""Webhooks on record: who wants to hear of what, and the secret that proves who is speaking.

root/webhooks/<id>.json      one webhook, for nobody but this user to read
"""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from infra.files import explaining, write_private
from infra.local_hub.access import Caller, may_see
from infra.local_hub.events import Event
from infra.local_hub.refusals import Refusal

MOST = 100
"""Webhooks a user may have."""

Domain = Literal["repo", "discussion"]


class Watched(BaseModel):
    """Whose events are wanted: all of a user or an organization, or one repository's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["user", "org", "model", "dataset", "space"]
    name: str = Field(max_length=200)

    def covers(self, event: Event) -> bool:
        """Whether the event is one of these."""
        if self.type in ("user", "org"):
            return self.name == event.repository.namespace
        return (f"{self.type}s", self.name) == (event.repository.kind, event.repository.id)


class Wish(BaseModel):
    """A webhook as it is asked for.  What is not named stays as it was, or has its default."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    url: str | None = Field(default=None, max_length=2048)
    watched: tuple[Watched, ...] | None = Field(default=None, max_length=100)
    domains: tuple[Domain, ...] | None = None
    secret: str | None = Field(default=None, max_length=512)

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        parts = urlsplit(url or "http://host")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("it must be an http or https address")
        return url

    @field_validator("secret")
    @classmethod
    def _fits_into_a_header(cls, secret: str | None) -> str | None:
        if secret is not None and not (secret.isascii() and secret.isprintable()):
            raise ValueError("it must be printable ASCII, because it is sent in a header")
        return secret


class Webhook(BaseModel):
    """A webhook on record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    owner: str
    url: str
    watched: tuple[Watched, ...]
    domains: tuple[Domain, ...] = ("repo", "discussion")
    secret: str | None = None
    disabled: bool = False

    def wants(self, event: Event) -> bool:
        """Whether the event is one that is asked for."""
        watched = any(watched.covers(event) for watched in self.watched)
        return watched and "repo" in self.domains and not self.disabled


class Webhooks:
    """All webhooks of a Hub."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / "webhooks"

    def for_event(self, event: Event) -> Iterator[Webhook]:
        """Yield the webhooks that are to be told, whose owners may see the repository now.

        Raises:
            StorageError: They cannot be read.
        """
        for hook in self.all():
            if hook.wants(event) and (
                not event.about.private
                or may_see(self._root, hook.owner, event.repository.namespace)
            ):
                yield hook

    def all(self) -> Iterator[Webhook]:
        """Yield every webhook; a damaged file is none.

        Raises:
            StorageError: They cannot be read.
        """
        for path in sorted(self._folder.glob("*.json")):
            with explaining(path, "reading"):
                try:
                    yield Webhook.model_validate_json(path.read_bytes())
                except (FileNotFoundError, ValidationError):
                    continue

    def of(self, owner: Caller) -> list[Webhook]:
        """Return a user's own webhooks."""
        return [hook for hook in self.all() if hook.owner == owner.user]

    def find(self, owner: Caller, hook_id: str) -> Webhook:
        """Return one of a user's own webhooks.

        Raises:
            Refusal: They have none of this id.
        """
        for hook in self.of(owner):
            if hook.id == hook_id:
                return hook
        raise Refusal(404, f"You have no webhook {hook_id}.")

    def create(self, owner: Caller, wish: Wish) -> Webhook:
        """Put a new webhook on record.

        Raises:
            Refusal: It names no address or nothing to watch, or the user has too many.
            StorageError: It cannot be written.
        """
        if wish.url is None:
            raise Refusal(400, "A webhook of this Hub needs a url; jobs are not run here.")
        if not wish.watched:
            raise Refusal(400, "A webhook needs something to watch.")
        if len(self.of(owner)) >= MOST:
            raise Refusal(400, f"A user may have {MOST} webhooks.")
        hook = Webhook(
            id=secrets.token_hex(12), owner=owner.user, url=wish.url, watched=wish.watched,
            secret=wish.secret,
        )  # fmt: skip
        return self.change(hook, wish)

    def save(self, hook: Webhook) -> Webhook:
        """Put a webhook on record as it is now.

        Raises:
            StorageError: It cannot be written.
        """
        write_private(self._folder / f"{hook.id}.json", hook.model_dump_json(indent=2).encode())
        return hook

    def change(self, hook: Webhook, wish: Wish) -> Webhook:
        """Put a webhook on record with what ``wish`` names changed.

        Raises:
            StorageError: It cannot be written.
        """
        named = {
            "url": wish.url, "watched": wish.watched or None, "domains": wish.domains,
            "secret": wish.secret,
        }  # fmt: skip
        return self.save(
            hook.model_copy(update={key: new for key, new in named.items() if new is not None})
        )

    def delete(self, hook: Webhook) -> None:
        """Forget a webhook.

        Raises:
            StorageError: It cannot be removed.
        """
        path = self._folder / f"{hook.id}.json"
        with explaining(path, "removing"):
            path.unlink(missing_ok=True)
