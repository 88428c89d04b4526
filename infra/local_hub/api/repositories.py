"""Repositories as a whole: make, list, hide, remove."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict

from infra.local_hub import access, repository
from infra.local_hub.announcing import Announce
from infra.local_hub.asking import (
    MaybeCaller,
    TheHub,
    Unquoted,
    Writable,
    Writer,
    Writing,
    base_url,
    look_up,
    parsed,
    web_prefix,
)
from infra.local_hub.names import check_kind, check_repository
from infra.local_hub.refusals import malformed
from infra.local_hub.repository import Repository

router = APIRouter()


class _Named(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str
    organization: str | None = None
    type: Literal["model", "dataset", "space"] = "model"


class _Creation(_Named):
    private: bool = False
    visibility: Literal["public", "private"] | None = None


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    private: bool | None = None
    visibility: Literal["public", "private"] | None = None
    gated: Literal[False] | None = None


@router.post("/api/repos/create")
def create(
    request: Request,
    hub: TheHub,
    caller: Writer,
    announce: Announce,
    asked: Annotated[_Creation, Depends(parsed(_Creation))],
) -> JSONResponse:
    """Make a repository in the caller's namespace or in one of their organizations."""
    namespace = asked.organization or caller.user
    check_repository(namespace, asked.name)
    access.require_writer(caller, namespace)
    made = Repository(hub.root, f"{asked.type}s", namespace, asked.name)
    url = f"{base_url(request, hub)}/{web_prefix(made.kind)}{made.id}"
    private = asked.private if asked.visibility is None else asked.visibility == "private"
    if not repository.create(made, caller, private=private):
        error = f"You already created this {asked.type} repo"
        # the client reads `url` from here, too, when it does not mind that there is one
        return JSONResponse({"error": error, "url": url}, 409, {"X-Error-Message": error})
    found = look_up(hub, made.kind, made.id, caller)
    announce.became(Writing(made, found.about, caller), "create", "repo")
    return JSONResponse({"url": url, "name": made.id, "id": found.about.id})


@router.delete("/api/repos/delete")
def delete(
    hub: TheHub,
    caller: Writer,
    announce: Announce,
    asked: Annotated[_Named, Depends(parsed(_Named))],
) -> dict[str, Any]:
    """Remove a repository for good."""
    namespace = asked.organization or caller.user
    found = look_up(hub, f"{asked.type}s", f"{namespace}/{asked.name}", caller)
    access.require_writer(caller, namespace)
    repository.remove(found.repository)
    announce.became(Writing(found.repository, found.about, caller), "delete", "repo")
    return {}


@router.put("/api/{kind}/{namespace}/{name}/settings")
def settings(
    writing: Writable,
    announce: Announce,
    asked: Annotated[_Settings, Depends(parsed(_Settings))],
) -> dict[str, Any]:
    """Show a repository to everybody, or hide it."""
    private = asked.private if asked.visibility is None else asked.visibility == "private"
    if private is None:
        raise malformed("Of a repository's settings, its visibility can be changed here.")
    with writing.repository.locked():
        about = writing.about.model_copy(update={"private": private})
        writing.repository.describe(about)
    announce.became(writing._replace(about=about), "update", "repo.config")
    return {"private": private}


@router.get("/api/{kind}")
def listed(
    hub: TheHub,
    caller: MaybeCaller,
    kind: Unquoted,
    author: str | None = None,
    search: str | None = None,
    limit: Annotated[int, Query(gt=0, le=1000)] = 1000,
) -> list[dict[str, Any]]:
    """List the repositories that the caller may see, by name."""
    rows: list[dict[str, Any]] = []
    for found in repository.repositories(hub.root, check_kind(kind)):
        about = found.about()
        if about is None or (about.private and not (caller and caller.belongs_to(found.namespace))):
            continue
        wanted = author in (None, found.namespace) and (search or "").lower() in found.id.lower()
        if wanted and len(rows) < limit:
            rows.append({"_id": about.id, "id": found.id, "private": about.private, "tags": []})
    return rows


@router.get("/api/{kind}/{name}")
def without_namespace(hub: TheHub, caller: MaybeCaller, kind: Unquoted, name: Unquoted) -> Response:
    """Refuse names without a namespace, which only huggingface.co has."""
    look_up(hub, kind, name, caller)
    raise malformed(f"{name!r} has no namespace.")
