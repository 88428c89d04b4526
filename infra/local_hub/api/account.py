"""Who am I, may I, and is the Hub well."""

import re
from typing import Annotated, Any

import yaml
from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from infra.local_hub.access import EVERYWHERE
from infra.local_hub.asking import Known, Readable, Writable, parsed
from infra.local_hub.refusals import too_large

# Reading YAML is slow, slower still where it is deep, and anybody may ask for it.
LONGEST_METADATA = 64 << 10  # characters
DEEPEST_METADATA = 100  # brackets that are open at once

router = APIRouter()
_CARD = re.compile(r"\s*---[ \t]*\r?\n(.*?)\r?\n---", re.DOTALL)


class _Card(BaseModel):
    content: str
    repoType: str = "model"  # noqa: N815 -- as it is sent


@router.get("/api/health")
def health() -> bool:
    """Say that the Hub is there."""
    return True


@router.get("/api/whoami-v2")
def whoami(caller: Known) -> dict[str, Any]:
    """Tell callers who they are and what their token may do."""
    return {
        "type": "user",
        "id": caller.user,
        "name": caller.user,
        "fullname": caller.user,
        "orgs": [{"type": "org", "name": org} for org in caller.orgs if org != EVERYWHERE],
        "auth": {"type": "access_token", "accessToken": {"role": caller.role}},
    }


@router.get("/api/{kind}/{namespace}/{name}/auth-check")
def may_read(_: Readable) -> dict[str, Any]:
    """Say yes to whoever may see the repository."""
    return {}


@router.get("/api/{kind}/{namespace}/{name}/auth-check/write")
def may_write(_: Writable) -> dict[str, Any]:
    """Say yes to whoever may change the repository."""
    return {}


@router.post("/api/validate-yaml")
def validate_yaml(card: Annotated[_Card, Depends(parsed(_Card))]) -> JSONResponse:
    """Check the metadata at the top of a card; anybody may ask, as on huggingface.co."""
    found = _CARD.match(card.content)
    if found is None:
        warning = "empty or missing yaml metadata in repo card"
        return JSONResponse({"errors": [], "warnings": [{"message": warning}]})
    if len(found[1]) > LONGEST_METADATA:
        raise too_large("The metadata of the card", LONGEST_METADATA)
    if _depth(found[1]) > DEEPEST_METADATA:
        message = f"more than {DEEPEST_METADATA} brackets are open at once"
        return JSONResponse({"errors": [{"message": message}], "warnings": []}, 400)
    try:
        metadata = yaml.safe_load(found[1])
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return JSONResponse({"errors": [{"message": str(error)}], "warnings": []}, 400)
    if metadata is not None and not isinstance(metadata, dict):
        message = f"the metadata is a {type(metadata).__name__}, not keys with values"
        return JSONResponse({"errors": [{"message": message}], "warnings": []}, 400)
    return JSONResponse({"errors": [], "warnings": []})


def _depth(text: str) -> int:
    """Return how many brackets are open at once, at most, wherever they stand."""
    depth = deepest = 0
    for character in re.sub(r"[^\[\]{}]", "", text):
        depth += 1 if character in "[{" else -1
        deepest = max(deepest, depth)
    return deepest
