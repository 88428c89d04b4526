"""Tell Prefect of a tag, so that an automation can start what is to follow.

An automation matches the labels of an event's resource and takes its parameters from the payload.
The event is posted and its acceptance awaited: what was not accepted is told of again.
"""

from datetime import UTC, datetime
from typing import Any

from prefect.client.orchestration import get_client

from infra.triggers.key import TagKey
from infra.triggers.looking import Moved

CREATED = "roundhouse.tag.created"
MOVED = "roundhouse.tag.moved"
RESOURCE = "roundhouse.repository"


def created(key: TagKey) -> dict[str, Any]:
    """Return the event that a tag asks for a release; the same tag gives the same event id."""
    return _event(CREATED, key, key.model_dump())


def moved(tag: Moved) -> dict[str, Any]:
    """Return the event that a tag was moved, and is refused."""
    told = {"first_commit": tag.first_commit, "message": tag.words}
    return _event(MOVED, tag.key, tag.key.model_dump() | told)


def post(event: dict[str, Any]) -> None:
    """Hand one event to Prefect's server.

    Raises:
        PrefectHTTPStatusError: The server refuses it.
        httpx.HTTPError: The server does not answer.
    """
    with get_client(sync_client=True) as client:
        client.request("POST", "/events", json=[event]).raise_for_status()


def _event(name: str, key: TagKey, payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(key.event_id),
        "occurred": datetime.now(UTC).isoformat(),
        "event": name,
        "resource": {
            "prefect.resource.id": f"{RESOURCE}.{key.repo_id.replace('/', '.')}",
            "prefect.resource.name": key.repo_id,
            "roundhouse.tag": key.tag,
        },
        "payload": payload,
    }
