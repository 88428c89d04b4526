"""Between uvicorn and the app: addresses as they were sent, and the faults of tests.

Revisions may have slashes, and the client quotes them: ``/revision/release%2Fv1/...``.  ASGI gives
the app the unquoted path, where that is lost, so the quoted one takes its place, and each part is
unquoted after the app has taken the path apart.
"""

import asyncio
import logging
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from infra.local_hub.faults import Fault, FaultPlan

LOG = logging.getLogger("roundhouse.hub")
ACCESS = logging.getLogger("roundhouse.hub.access")
UPLOADS = "/_lfs/"
_TRANSPORT = "roundhouse.transport"


class Wire:
    """The app as uvicorn sees it."""

    def __init__(self, app: ASGIApp, faults: FaultPlan | None = None) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it go wrong as planned."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._answer(scope, receive, send)
        except Exception:  # the client has its answer, and its connection is sound
            LOG.exception("Nobody foresaw this, at %s %s.", scope["method"], scope["path"])

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["raw_path"].decode("ascii", errors="replace")
        scope, send = {**scope, "path": path}, _logged(scope["method"], path, send)
        fault = self._faults.befalls(f"{scope['method']} {path}") if self._faults else None
        if fault is None:
            await self._app(scope, receive, send)
        elif fault.mode == "status":
            refusal = JSONResponse({"error": "planned"}, fault.status, fault.headers)
            await refusal(scope, receive, send)
        else:
            cut = _Cut(fault, scope["state"][_TRANSPORT], receive, send)
            await self._app(scope, cut.receive, cut.send)


def _logged(method: str, path: str, send: Send) -> Send:
    """Log how a request was answered.  Upload addresses are permissions, so they are cut short."""
    if not ACCESS.isEnabledFor(logging.INFO):
        return send

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            shown = f"{UPLOADS}..." if path.startswith(UPLOADS) else path
            ACCESS.info("%s %s %d", method, shown, message["status"])
        await send(message)

    return sending


class CuttableProtocol(H11Protocol):
    """uvicorn's own protocol, which lends each request the connection that it came by."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        """Put the connection where requests can find it."""
        self.app_state: dict[str, Any] = {**self.app_state, _TRANSPORT: transport}
        super().connection_made(transport)


class _Cut:
    """A connection that breaks at a byte."""

    def __init__(
        self, fault: Fault, transport: asyncio.Transport, receive: Receive, send: Send
    ) -> None:
        self._fault = fault
        self._transport = transport
        self._receive = receive
        self._send = send
        self._bytes = 0

    async def receive(self) -> Message:
        """Give the app what came, until enough has come."""
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        if self._fault.mode == "drop_upload" and self._bytes >= self._fault.after:
            self._transport.abort()
            return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        """Give the client what the app says, until enough has gone."""
        if self._fault.mode == "lose_response":
            self._transport.abort()
            return
        if self._fault.mode == "drop_download" and message["type"] == "http.response.body":
            body, left = message["body"], self._fault.after - self._bytes
            self._bytes += len(body)
            if len(body) >= left:
                await self._send({**message, "body": body[:left], "more_body": True})
                self._transport.close()  # what was written leaves first
                return
        await self._send(message)
