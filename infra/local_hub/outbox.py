"""Deliveries to webhooks: on the disk before they are tried, tried in the background, kept after.

    root/deliveries/<hook>/<id>.json     one delivery: what is sent, and how each try ended
    root/deliveries/pending/<id>         it is not finished; holds the id of its webhook
    root/deliveries/lock                 held by the one server that delivers

A receiver that is down is tried again, at growing pauses and not for ever.  A server that is killed
goes on where it was, so a delivery may come twice, and whoever receives it must not mind.
"""

import json
import logging
import secrets
import time
from collections.abc import Mapping
from typing import Any, Literal

import httpx2
from pydantic import BaseModel, ConfigDict, ValidationError

from infra.errors import StorageError
from infra.files import explaining, make_folder, write_private
from infra.local_hub.events import Event, body_of
from infra.local_hub.refusals import Refusal
from infra.local_hub.settings import HubSettings
from infra.local_hub.webhooks import Webhook, Webhooks

LOG = logging.getLogger("roundhouse.hub")
SUCCESS = range(200, 300)


class Attempt(BaseModel):
    """One try, and how it ended."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: float  # seconds of Unix time
    status: int | None = None
    error: str | None = None


class Delivery(BaseModel):
    """Something that a webhook is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    hook: str
    state: Literal["pending", "delivered", "failed"] = "pending"
    body: Mapping[str, Any]
    attempts: tuple[Attempt, ...] = ()
    due: float = 0.0  # when to try next
    replay_of: str | None = None


class Outbox:
    """All deliveries of a Hub."""

    def __init__(self, settings: HubSettings, webhooks: Webhooks) -> None:
        self._settings = settings
        self._webhooks = webhooks
        self._folder = settings.root / "deliveries"
        self._pending = self._folder / "pending"

    def post(self, event: Event) -> list[Delivery]:
        """Prepare a delivery for every webhook that wants to hear of ``event``.

        What has happened has happened: if it cannot be told, that is logged, and nothing more.
        """
        try:
            return [
                self._put(hook, body_of(event, hook.id)) for hook in self._webhooks.for_event(event)
            ]
        except StorageError as error:
            LOG.warning("An event of %s is told to nobody: %s", event.repository.id, error)
            return []

    def replay(self, hook: Webhook, delivery_id: str) -> Delivery:
        """Prepare once more what was delivered before.

        Raises:
            Refusal: There is no such delivery.
            StorageError: It cannot be written.
        """
        before = self.find(hook.id, delivery_id)
        if before is None:
            raise Refusal(404, f"The webhook {hook.id} has no delivery {delivery_id}.")
        return self._put(hook, before.body, replay_of=before.replay_of or before.id)

    def of(self, hook: Webhook) -> list[Delivery]:
        """Return the deliveries of a webhook that are kept, newest first."""
        names = sorted((p.stem for p in (self._folder / hook.id).glob("*.json")), reverse=True)
        return [found for name in names if (found := self.find(hook.id, name)) is not None]

    def find(self, hook_id: str, delivery_id: str) -> Delivery | None:
        """Return one delivery; None if there is none, or it is damaged."""
        if not delivery_id.replace("-", "").isalnum():
            return None
        path = self._folder / hook_id / f"{delivery_id}.json"
        with explaining(path, "reading"):
            try:
                return Delivery.model_validate_json(path.read_bytes())
            except (FileNotFoundError, ValidationError):
                return None

    def waiting(self) -> list[Delivery]:
        """Return the deliveries that are not finished, oldest first."""
        make_folder(self._pending)
        found = []
        for marker in sorted(self._pending.glob("[0-9]*")):  # others are just being written
            try:
                delivery = self.find(marker.read_text(), marker.name)
            except FileNotFoundError:
                continue  # it has just been finished
            if delivery is None or delivery.state != "pending":
                marker.unlink(missing_ok=True)
            else:
                found.append(delivery)
        return found

    def recover(self) -> None:
        """Take up deliveries whose server was killed before it could mark them as waiting.

        Raises:
            StorageError: They cannot be marked.
        """
        for path in self._folder.glob("*/[0-9]*.json"):
            delivery = self.find(path.parent.name, path.stem)
            if delivery is not None and delivery.state == "pending":
                self._mark(delivery)

    def attempt(self, delivery: Delivery) -> Delivery:
        """Try a delivery once, and write down how that ended.

        Raises:
            StorageError: That cannot be written.
        """
        hook = next((h for h in self._webhooks.all() if h.id == delivery.hook), None)
        if hook is None or hook.disabled:
            tried = Attempt(at=time.time(), error="the webhook was disabled or deleted meanwhile")
            return self._finish(delivery, tried, "failed")
        self._write(delivery)  # what cannot be written down is not sent, or it would be for ever
        tried = self._send(hook, delivery)
        if tried.status in SUCCESS:
            return self._finish(delivery, tried, "delivered")
        count = len(delivery.attempts) + 1
        if count >= self._settings.webhook_attempts:
            return self._finish(delivery, tried, "failed")
        pause = self._settings.webhook_pause_seconds * 2 ** (count - 1)
        later = delivery.model_copy(
            update={"attempts": (*delivery.attempts, tried), "due": time.time() + pause}
        )
        self._write(later)
        return later

    def _send(self, hook: Webhook, delivery: Delivery) -> Attempt:
        """Send a delivery straight to its address: no proxy is used, no redirect followed."""
        headers = {"Content-Type": "application/json", "User-Agent": "roundhouse-hub"}
        if hook.secret is not None:
            headers["X-Webhook-Secret"] = hook.secret
        now, seconds = time.time(), self._settings.webhook_seconds
        try:
            with (
                httpx2.Client(timeout=seconds, trust_env=False, follow_redirects=False) as client,
                client.stream(
                    "POST", hook.url, content=json.dumps(delivery.body), headers=headers
                ) as response,
            ):
                return Attempt(at=now, status=response.status_code)
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            return Attempt(at=now, error=f"{type(error).__name__}: {error}"[:500])

    def _put(
        self, hook: Webhook, body: Mapping[str, Any], replay_of: str | None = None
    ) -> Delivery:
        delivery = Delivery(
            id=f"{time.time_ns():020d}-{secrets.token_hex(4)}",
            hook=hook.id,
            body=body,
            replay_of=replay_of,
        )
        self._write(delivery)
        self._mark(delivery)
        return delivery

    def _mark(self, delivery: Delivery) -> None:
        write_private(self._pending / delivery.id, delivery.hook.encode())

    def _finish(
        self, delivery: Delivery, tried: Attempt, state: Literal["delivered", "failed"]
    ) -> Delivery:
        done = delivery.model_copy(update={"attempts": (*delivery.attempts, tried), "state": state})
        self._write(done)
        (self._pending / delivery.id).unlink(missing_ok=True)
        self._forget_old(delivery.hook)
        return done

    def _write(self, delivery: Delivery) -> None:
        path = self._folder / delivery.hook / f"{delivery.id}.json"
        write_private(path, delivery.model_dump_json(indent=2).encode())

    def _forget_old(self, hook: str) -> None:
        """Remove a webhook's oldest deliveries beyond the number that is kept."""
        kept = sorted((self._folder / hook).glob("*.json"), reverse=True)
        for path in kept[self._settings.deliveries_kept :]:
            if not (self._pending / path.stem).exists():
                path.unlink(missing_ok=True)
