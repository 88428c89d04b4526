"""Large files on their way in: where to send them, the sending, and the proof that they are here.

The addresses that a batch gives are good for one file and carry their own permission; everything
else needs a token that may write.
"""

import secrets
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from infra.local_hub import grants, uploads, xet
from infra.local_hub.asking import (
    Readable,
    SpeaksXet,
    TheHub,
    Unquoted,
    Writable,
    base_url,
    parsed,
    web_prefix,
)
from infra.local_hub.grants import Grant
from infra.local_hub.largefiles import Pointer, check_oid, has_content
from infra.local_hub.refusals import Refusal, no_repository, too_large
from infra.local_hub.repository import Repository
from infra.local_hub.state import Hub

router = APIRouter()
GIT = ("/{namespace}/{name}.git/info/lfs", "/{kind}/{namespace}/{name}.git/info/lfs")
API = "/api/{kind}/{namespace}/{name}"
MOST_OBJECTS = 10_000


class _Object(BaseModel):
    model_config = ConfigDict(extra="ignore")

    oid: str
    size: int = Field(ge=0)


class _Batch(BaseModel):
    model_config = ConfigDict(extra="ignore")

    operation: Literal["upload"]
    hash_algo: Literal["sha256"] = "sha256"
    transfers: tuple[str, ...] = ("basic",)
    objects: tuple[_Object, ...] = Field(max_length=MOST_OBJECTS)


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    number: int = Field(alias="partNumber", gt=0)
    etag: str


class _Completion(BaseModel):
    model_config = ConfigDict(extra="ignore")

    parts: tuple[_Part, ...] = Field(max_length=MOST_OBJECTS)


@router.post(GIT[1] + "/objects/batch")
@router.post(GIT[0] + "/objects/batch")
def batch(
    request: Request,
    hub: TheHub,
    writing: Writable,
    asked: Annotated[_Batch, Depends(parsed(_Batch))],
) -> JSONResponse:
    """Say for each file where to send it; for one that is here, nothing, and it is not sent."""
    base = base_url(request, hub)
    uploads.sweep(hub.root, hub.settings.upload_seconds)
    multipart = "multipart" in asked.transfers
    rows = [
        _row(
            hub,
            writing.repository,
            Pointer(check_oid(one.oid), one.size),
            base,
            multipart=multipart,
        )
        for one in asked.objects
    ]
    return JSONResponse({"transfer": "multipart" if multipart else "basic", "objects": rows})


@router.post(GIT[1] + "/verify")
@router.post(GIT[0] + "/verify")
def verify(
    writing: Writable,
    asked: Annotated[_Object, Depends(parsed(_Object))],
) -> dict[str, Any]:
    """Confirm that a large file is here."""
    if not has_content(writing.repository.folder, Pointer(check_oid(asked.oid), asked.size)):
        raise Refusal(404, f"The object {asked.oid} is not here.")
    return {}


def _grant(hub: TheHub, signed: Unquoted) -> Grant:
    grant = grants.read(signed, hub.key)
    if _repository(hub, grant).about() is None:
        raise no_repository(known_caller=True)
    return grant


Granted = Annotated[Grant, Depends(_grant)]


@router.put("/_lfs/{signed}")
async def put_whole(request: Request, hub: TheHub, grant: Granted) -> Response:
    """Take a large file in one piece."""
    _require_length(request, grant.size)
    folder = uploads.folder_of(hub.root, grant.upload)
    repository = _repository(hub, grant).folder
    etag = await uploads.receive_whole(folder, repository, grant.pointer, request.stream())
    return Response(headers={"ETag": f'"{etag}"'})


@router.put("/_lfs/{signed}/{number}")
async def put_part(
    request: Request, hub: TheHub, grant: Granted, number: Annotated[int, Path(gt=0)]
) -> Response:
    """Take one part of a large file."""
    if number > uploads.parts_of(grant.pointer, grant.part_bytes):
        raise Refusal(400, f"There is no part {number} of this upload.")
    _require_length(request, grant.part_bytes)
    folder = uploads.folder_of(hub.root, grant.upload)
    etag = await uploads.receive_part(
        folder, grant.pointer, number, grant.part_bytes, request.stream()
    )
    return Response(headers={"ETag": f'"{etag}"'})


@router.post("/_lfs/{signed}")
def complete(
    hub: TheHub,
    grant: Granted,
    asked: Annotated[_Completion, Depends(parsed(_Completion))],
) -> dict[str, Any]:
    """Put the parts of a large file together."""
    repository = _repository(hub, grant)
    if has_content(repository.folder, grant.pointer):
        return {}  # the answer to the first completion was lost
    uploads.complete(
        uploads.folder_of(hub.root, grant.upload),
        repository.folder,
        grant.pointer,
        uploads.parts_of(grant.pointer, grant.part_bytes),
        {part.number: part.etag for part in asked.parts},
    )
    return {}


@router.get(API + "/xet-write-token/{revision}")
def xet_write_token(hub: TheHub, _: Writable, speaks_xet: SpeaksXet) -> JSONResponse:
    """Tell a client on this machine where to put chunks."""
    return _xet_token(hub, speaks_xet=speaks_xet)


@router.get(API + "/xet-read-token/{revision}")
def xet_read_token(hub: TheHub, _: Readable, speaks_xet: SpeaksXet) -> JSONResponse:
    """Tell a client on this machine where to find chunks."""
    return _xet_token(hub, speaks_xet=speaks_xet)


def _xet_token(hub: Hub, *, speaks_xet: bool) -> JSONResponse:
    if not speaks_xet:
        raise Refusal(
            404,
            "This Hub takes large files by xet from clients on its own machine alone, if at all. "
            "Set HF_HUB_DISABLE_XET=1 where the client runs, and it sends them the plain way.",
        )
    where = xet.connection(hub.root)
    # hf_xet reads the body, and the client's Python part the headers
    return JSONResponse(
        {"casUrl": where.url, "accessToken": where.token, "exp": where.until},
        headers={
            "X-Xet-Cas-Url": where.url,
            "X-Xet-Access-Token": where.token,
            "X-Xet-Token-Expiration": str(where.until),
        },
    )


def _require_length(request: Request, limit: int) -> None:
    """Refuse a body that says of itself that it is too long before any of it is read."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > limit:
        raise too_large("The upload", limit)


def _row(
    hub: Hub, repository: Repository, pointer: Pointer, base: str, *, multipart: bool
) -> dict[str, Any]:
    row: dict[str, Any] = {"oid": pointer.oid, "size": pointer.size}
    if pointer.size > hub.settings.max_lfs_bytes:
        message = f"It has {pointer.size} bytes; this Hub takes {hub.settings.max_lfs_bytes}."
        return {**row, "error": {"code": 413, "message": message}}
    if has_content(repository.folder, pointer):
        return row
    grant = Grant(
        kind=repository.kind, namespace=repository.namespace, name=repository.name,
        oid=pointer.oid, size=pointer.size, part_bytes=hub.settings.part_bytes,
        upload=secrets.token_hex(16), until=int(time.time()) + hub.settings.upload_seconds,
    )  # fmt: skip
    href = f"{base}/_lfs/{grants.sign(grant, hub.key)}"
    parts = uploads.parts_of(pointer, grant.part_bytes)
    header = {}
    if multipart and parts > 1:
        header = {str(number): f"{href}/{number}" for number in range(1, parts + 1)}
        header["chunk_size"] = str(grant.part_bytes)
    verify_at = f"{base}/{web_prefix(repository.kind)}{repository.id}.git/info/lfs/verify"
    row["actions"] = {"upload": {"href": href, "header": header}, "verify": {"href": verify_at}}
    return row


def _repository(hub: Hub, grant: Grant) -> Repository:
    return Repository(hub.root, grant.kind, grant.namespace, grant.name)
