"""The Hub as one ASGI app: routes, how failures are told, and what runs beside the requests."""

import contextlib
import logging
import re
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from infra.errors import DiskFullError, StorageError
from infra.local_hub.api import (
    account,
    commits,
    downloads,
    hooks,
    large,
    pages,
    references,
    repositories,
    revisions,
)
from infra.local_hub.faults import FaultPlan
from infra.local_hub.refusals import Refusal
from infra.local_hub.settings import HubSettings
from infra.local_hub.state import Hub, open_hub
from infra.local_hub.wire import Wire

LOG = logging.getLogger("roundhouse.hub")
LONGEST_HEADER = 500
_UNPRINTABLE = re.compile(r"[^ -~]")
# What comes first is matched first: fixed words before names that anybody may choose.
ROUTERS = (account, hooks, repositories, references, commits, large, revisions, downloads, pages)


def create_app(settings: HubSettings, faults: FaultPlan | None = None) -> Wire:
    """Return the Hub over ``settings.root``, to be run by an ASGI server.

    Args:
        settings: Where it keeps its data, and how much it takes at once.
        faults: For tests: what goes wrong.  It needs `wire.CuttableProtocol` to cut connections.

    Raises:
        StorageError: The folder cannot be used.
    """
    hub = open_hub(settings)
    app = FastAPI(
        title="Roundhouse Hub", openapi_url=None, redirect_slashes=False, lifespan=_lifespan
    )
    app.state.hub = hub
    for module in ROUTERS:
        # not include_router, which takes the routes apart at the first request that needs them
        app.router.routes.extend(module.router.routes)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(StorageError, _not_stored)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(HTTPException, _not_routed)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unforeseen)
    return Wire(app, faults)


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    hub: Hub = app.state.hub
    hub.courier.start()
    try:
        yield
    finally:
        hub.courier.stop()


def _answer(status: int, message: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return a failure as the client reads it: the message in the body and, as ASCII, a header."""
    line = _UNPRINTABLE.sub("?", " ".join(message.split())[:LONGEST_HEADER])
    told = {"X-Error-Message": line}
    return JSONResponse({"error": message}, status, {**told, **(headers or {})})


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 -- it is registered for these
    code = {"X-Error-Code": error.code} if error.code else {}
    return _answer(error.status, error.message, {**error.headers, **code})


def _not_stored(request: Request, error: Exception) -> Response:
    """Tell of the disk.  Where on it is the operator's to know, not the client's."""
    LOG.error("%s %s: %s", request.method, request.url.path, error)
    if isinstance(error, DiskFullError):
        return _answer(
            507,
            "The Hub has no room left on its disk. Nothing of this request was kept, and what was "
            "there before is whole. Its operator must free space; then send the request again.",
        )
    return _answer(
        500, "The Hub cannot read or write its data; its log says why. Ask its operator."
    )


def _not_understood(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 -- it is registered for these
    first = error.errors()[0]
    where = ".".join(map(str, first.get("loc", ()))) or "the request"
    return _answer(422, f"Invalid request, {where}: {first.get('msg')}")


def _not_routed(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 -- it is registered for these
    return _answer(error.status_code, f"{error.detail}: this Hub has nothing at this address.")


def _gone(_: Request, __: Exception) -> Response:
    """Answer nobody: the client has gone in the middle of its request."""
    return Response(status_code=499)


def _unforeseen(_: Request, __: Exception) -> Response:
    return _answer(500, "Something went wrong in the Hub that nobody foresaw; its log says what.")
