"""What routes ask of a request, in the order in which they ask: who, what, and only then the body.

Access is decided before one byte of a body is read, and a body is never read beyond its limit.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, NamedTuple, TypeVar
from urllib.parse import unquote

from fastapi import Depends, Request
from pydantic import AfterValidator, BaseModel, ValidationError

from infra.local_hub import access, xet
from infra.local_hub.access import Caller
from infra.local_hub.names import check_kind, check_repository
from infra.local_hub.refusals import NO_TOKEN, Refusal, malformed, no_repository, too_large
from infra.local_hub.repository import About, Repository
from infra.local_hub.state import Hub

Asked = TypeVar("Asked", bound=BaseModel)
_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")

Unquoted = Annotated[str, AfterValidator(unquote)]
"""Part of an address, with what is percent-encoded in it decoded."""


def _hub(request: Request) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


TheHub = Annotated[Hub, Depends(_hub)]


def _caller(request: Request, hub: TheHub) -> Caller | None:
    return access.caller_of(hub.root, request.headers.get("authorization"))


MaybeCaller = Annotated[Caller | None, Depends(_caller)]


def _writer(caller: MaybeCaller) -> Caller:
    return access.require_writer(caller)


def _known(caller: MaybeCaller) -> Caller:
    if caller is None:
        raise Refusal(401, NO_TOKEN)
    return caller


Writer = Annotated[Caller, Depends(_writer)]
Known = Annotated[Caller, Depends(_known)]


class Reading(NamedTuple):
    """A repository that the caller may see."""

    repository: Repository
    about: About
    caller: Caller | None


class Writing(NamedTuple):
    """A repository that the caller may change."""

    repository: Repository
    about: About
    caller: Caller


def _reading(request: Request, hub: TheHub, caller: MaybeCaller) -> Reading:
    parts = request.path_params
    namespace, name = unquote(parts["namespace"]), unquote(parts["name"])
    return look_up(hub, unquote(parts.get("kind", "models")), f"{namespace}/{name}", caller)


def look_up(hub: Hub, kind: str, repo_id: str, caller: Caller | None) -> Reading:
    """Return a repository that ``caller`` may see.

    Raises:
        Refusal: There is none; a private one of others looks just like that.
    """
    check_kind(kind)
    namespace, slash, name = repo_id.partition("/")
    if not slash:  # the Hub's own models of old; there are none here
        raise no_repository(known_caller=caller is not None)
    check_repository(namespace, name)
    repository = Repository(hub.root, kind, namespace, name)
    about = repository.about()
    hidden = about is None or (
        about.private and not (caller is not None and caller.belongs_to(namespace))
    )
    if about is None or hidden:
        raise no_repository(known_caller=caller is not None)
    return Reading(repository, about, caller)


Readable = Annotated[Reading, Depends(_reading)]


def _writing(reading: Readable) -> Writing:
    caller = access.require_writer(reading.caller, reading.repository.namespace)
    return Writing(reading.repository, reading.about, caller)


Writable = Annotated[Writing, Depends(_writing)]


def _speaks_xet(request: Request, hub: TheHub) -> bool:
    host = request.client.host if request.client else None
    return hub.settings.xet and xet.is_this_machine(host)


SpeaksXet = Annotated[bool, Depends(_speaks_xet)]
"""Whether the client can read and write the folder of chunks: it is on this machine."""


async def read_body(request: Request, limit: int, what: str) -> bytes:
    """Return the body of a request.

    Raises:
        Refusal: It is larger than ``limit``, by its own account or by what comes.
    """
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > limit:
        raise too_large(what, limit)
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise too_large(what, limit)
    return bytes(body)


def parsed(model: type[Asked]) -> Callable[[Request, Hub], Awaitable[Asked]]:
    """Return a dependency that reads a JSON body as ``model``; none at all is an empty object."""

    async def read(request: Request, hub: TheHub) -> Asked:
        body = await read_body(request, hub.settings.max_json_bytes, "The request")
        return parse(model, body or b"{}")

    return read


def parse(model: type[Asked], body: bytes) -> Asked:
    """Return a JSON body as ``model``.

    Raises:
        Refusal: It is no JSON, or does not say what it must.
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the request"
        raise malformed(f"Invalid request, {where}: {first['msg']}") from error


def base_url(request: Request, hub: Hub) -> str:
    """Return what this client calls the Hub.

    Raises:
        Refusal: It calls it something that is no host's name.
    """
    if hub.settings.public_url is not None:
        return hub.settings.public_url
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        raise malformed("The Host header of the request names no host.")
    return f"{request.url.scheme}://{host}"


def web_prefix(kind: str) -> str:
    """Return what addresses of files begin with: nothing for models, as on huggingface.co."""
    return "" if kind == "models" else f"{kind}/"
