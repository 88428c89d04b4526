"""Webhooks of the caller: make, change, switch, delete; what was delivered, and once more.

A token that only reads sees none of it: whoever knows a webhook's secret can speak in its name.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from infra.local_hub.asking import TheHub, Unquoted, Writer, parsed
from infra.local_hub.outbox import Delivery
from infra.local_hub.webhooks import Webhook, Wish

router = APIRouter()
ALL = "/api/settings/webhooks"
ONE = ALL + "/{hook}"


@router.get(ALL)
def listed(hub: TheHub, caller: Writer) -> list[dict[str, Any]]:
    """List the caller's webhooks."""
    return [_shown(hook) for hook in hub.webhooks.of(caller)]


@router.post(ALL)
def create(
    hub: TheHub,
    caller: Writer,
    wish: Annotated[Wish, Depends(parsed(Wish))],
) -> dict[str, Any]:
    """Make a webhook."""
    return {"webhook": _shown(hub.webhooks.create(caller, wish))}


@router.get(ONE)
def one(hub: TheHub, caller: Writer, hook: Unquoted) -> dict[str, Any]:
    """Tell of one webhook."""
    return {"webhook": _shown(hub.webhooks.find(caller, hook))}


@router.post(ONE)
def change(
    hub: TheHub,
    caller: Writer,
    hook: Unquoted,
    wish: Annotated[Wish, Depends(parsed(Wish))],
) -> dict[str, Any]:
    """Change a webhook."""
    return {"webhook": _shown(hub.webhooks.change(hub.webhooks.find(caller, hook), wish))}


@router.delete(ONE)
def delete(hub: TheHub, caller: Writer, hook: Unquoted) -> dict[str, Any]:
    """Delete a webhook."""
    hub.webhooks.delete(hub.webhooks.find(caller, hook))
    return {}


@router.post(ONE + "/enable")
def enable(hub: TheHub, caller: Writer, hook: Unquoted) -> dict[str, Any]:
    """Let a webhook hear again."""
    return _switch(hub, caller, hook, disabled=False)


@router.post(ONE + "/disable")
def disable(hub: TheHub, caller: Writer, hook: Unquoted) -> dict[str, Any]:
    """Let a webhook hear nothing for now."""
    return _switch(hub, caller, hook, disabled=True)


@router.get(ONE + "/deliveries")
def deliveries(hub: TheHub, caller: Writer, hook: Unquoted) -> list[dict[str, Any]]:
    """List what a webhook was told, newest first; huggingface.co shows this on a page only."""
    return [_told(delivery) for delivery in hub.outbox.of(hub.webhooks.find(caller, hook))]


@router.post(ONE + "/replay/{delivery}")
def replay(hub: TheHub, caller: Writer, hook: Unquoted, delivery: Unquoted) -> dict[str, Any]:
    """Tell a webhook once more what it was told before."""
    return _told(hub.replay(hub.webhooks.find(caller, hook), delivery))


def _switch(hub: TheHub, caller: Writer, hook: str, *, disabled: bool) -> dict[str, Any]:
    found = hub.webhooks.find(caller, hook)
    changed = hub.webhooks.save(found.model_copy(update={"disabled": disabled}))
    return {"webhook": _shown(changed)}


def _shown(hook: Webhook) -> dict[str, Any]:
    return hook.model_dump(mode="json", exclude={"owner"})


def _told(delivery: Delivery) -> dict[str, Any]:
    return delivery.model_dump(mode="json")
