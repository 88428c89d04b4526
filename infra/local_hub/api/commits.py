"""Commits: which files go which way, and the commit itself."""

import base64
import binascii
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from infra.local_hub import contents
from infra.local_hub.announcing import Announce
from infra.local_hub.asking import (
    SpeaksXet,
    TheHub,
    Unquoted,
    Writable,
    parsed,
    read_body,
    web_prefix,
)
from infra.local_hub.attributes import attributes_of, is_large
from infra.local_hub.commits import land, read_proposal
from infra.local_hub.listing import Listing
from infra.local_hub.names import check_path
from infra.local_hub.refusals import Refusal, malformed
from infra.local_hub.revisions import resolve
from infra.local_hub.trees import read_tree

router = APIRouter()
REPOSITORY = "/api/{kind}/{namespace}/{name}"


class _Announced(BaseModel):
    model_config = ConfigDict(extra="ignore")

    path: str
    size: int = Field(ge=0)
    sample: str = Field(default="", max_length=4096)


class _Preupload(BaseModel):
    model_config = ConfigDict(extra="ignore")

    files: tuple[_Announced, ...]


def _refuse_pull_request(request: Request) -> None:
    if request.query_params.get("create_pr", "").lower() in ("1", "true"):
        raise Refusal(501, "This Hub has no pull requests; commit to a branch instead.")


@router.post(REPOSITORY + "/preupload/{revision}", dependencies=[Depends(_refuse_pull_request)])
def preupload(
    hub: TheHub,
    writing: Writable,
    revision: Unquoted,
    asked: Annotated[_Preupload, Depends(parsed(_Preupload))],
) -> dict[str, Any]:
    """Say of each file whether it is large, and what the revision has under its name."""
    repository = writing.repository
    with repository.objects() as objects:
        sha = resolve(revision, objects, repository.references())
        tree = read_tree(objects, objects.commit(sha).tree.decode())
        rules = tree.files.get(".gitattributes")
        attributes = attributes_of(objects.blob(rules.sha) if rules else b"")
        listing = Listing(repository, objects, tree, speaks_xet=False)
        rows = []
        for file in asked.files:
            large = is_large(
                check_path(file.path),
                size=file.size,
                sample=_sample(file),
                attributes=attributes,
                threshold=hub.settings.lfs_threshold,
            )
            mode = "lfs" if large else "regular"
            row = {"path": file.path, "uploadMode": mode, "shouldIgnore": False}
            if file.path in tree.files:
                there = listing.file(file.path)
                if ("lfs" in there) == large:  # else the client would compare unlike digests
                    row["oid"] = there.get("lfs", there)["oid"]
            rows.append(row)
    return {"files": rows, "commitOid": sha}


async def _body(request: Request, hub: TheHub) -> bytes:
    return await read_body(request, hub.settings.max_commit_bytes, "The commit")


@router.post(REPOSITORY + "/commit/{revision}", dependencies=[Depends(_refuse_pull_request)])
def commit(
    hub: TheHub,
    writing: Writable,
    announce: Announce,
    speaks_xet: SpeaksXet,
    revision: Unquoted,
    body: Annotated[bytes, Depends(_body)],
) -> JSONResponse:
    """Make one commit on a branch, which moves as the last thing, if it has not moved meanwhile."""
    repository, branch = writing.repository, revision.removeprefix("refs/heads/")
    proposal = read_proposal(body, hub.settings.max_files)
    if speaks_xet:
        contents.gather(hub, repository, proposal)
    with repository.locked():
        landed = land(
            repository,
            branch,
            proposal,
            writing.caller.user,
            lambda file: contents.size_of(repository, file),
        )
    announce.moved(writing, landed.change)
    where = f"{announce.base_url}/{web_prefix(repository.kind)}{repository.id}"
    return JSONResponse(
        {
            "success": True,
            "commitOid": landed.sha,
            "commitUrl": f"{where}/commit/{landed.sha}",
            "pullRequestUrl": None,
            "hookOutput": "",
        }
    )


def _sample(file: _Announced) -> bytes:
    try:
        return base64.b64decode(file.sample, validate=True)
    except (binascii.Error, ValueError) as error:
        raise malformed(f"The sample of {file.path} is no base64: {error}") from error
