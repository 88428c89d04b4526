"""What a running Hub has at hand for every request."""

from pathlib import Path
from typing import NamedTuple

from infra.local_hub.courier import Courier
from infra.local_hub.events import Event
from infra.local_hub.grants import signing_key
from infra.local_hub.outbox import Delivery, Outbox
from infra.local_hub.repository import prepare
from infra.local_hub.settings import HubSettings
from infra.local_hub.uploads import sweep
from infra.local_hub.webhooks import Webhook, Webhooks


class Hub(NamedTuple):
    """A Hub that is running."""

    settings: HubSettings
    key: bytes  # signs upload addresses
    webhooks: Webhooks
    outbox: Outbox
    courier: Courier

    @property
    def root(self) -> Path:
        """The folder of everything."""
        return self.settings.root

    def tell(self, event: Event) -> None:
        """Tell an event to the webhooks that want it, in the background."""
        if self.outbox.post(event):
            self.courier.wake()

    def replay(self, hook: Webhook, delivery_id: str) -> Delivery:
        """Deliver once more what was delivered before, in the background.

        Raises:
            Refusal: There is no such delivery.
            StorageError: It cannot be written.
        """
        delivery = self.outbox.replay(hook, delivery_id)
        self.courier.wake()
        return delivery


def open_hub(settings: HubSettings) -> Hub:
    """Make the folder of a Hub ready, sweep what killed servers left in it, and open it.

    Raises:
        StorageError: The folder cannot be used.
    """
    absolute = settings.model_copy(update={"root": settings.root.absolute()})
    prepare(absolute.root)
    sweep(absolute.root, absolute.upload_seconds)
    webhooks = Webhooks(absolute.root)
    outbox = Outbox(absolute, webhooks)
    return Hub(absolute, signing_key(absolute.root), webhooks, outbox, Courier(absolute, outbox))
