"""The address that a Hub's webhook calls: one route that checks the secret and looks at the Hub.

The Hub echoes a shared secret in a header and signs nothing, so the secret is compared in constant
time before anything else is read, the size of a body is bounded, and what it says is a hint (see
`infra.triggers.notice`).  Put TLS in front where it leaves this machine.
"""

import hmac
from collections.abc import Awaitable, Callable, Collection

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from infra.errors import InfraError, NoticeError
from infra.triggers.notice import Notice, read_notice

ROUTE = "/webhooks/hub"
SECRET_HEADER = "X-Webhook-Secret"  # noqa: S105 -- the header's name
MAX_BODY_BYTES = 256 * 1024  # a notice is about 1 kB; one of a push with many refs, some 10 kB

Look = Callable[[str], Awaitable[int]]
"""Look at a repository's tags, announce what is new, and return how many were."""


class _RefusedError(Exception):
    """A request that is not looked at any further."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def create_receiver(secret: str, watched: Collection[str], look: Look) -> FastAPI:
    """Return the application that takes a Hub's notices.

    Args:
        secret: What the Hub sends in ``X-Webhook-Secret``.
        watched: The repositories whose notices count.
        look: What a notice makes us do.

    Raises:
        ValueError: The secret is empty, which anybody could send.
    """
    if not secret:
        raise ValueError("the webhook's secret is empty; anybody could start a release")
    app = FastAPI(title="Roundhouse: notices of the Hub", openapi_url=None)

    @app.get("/health")
    async def health() -> dict[str, bool]:
        return {"ok": True}

    @app.post(ROUTE, status_code=202)
    async def notice(request: Request) -> dict[str, int]:
        _require_secret(request, secret)
        told = _notice(await _body(request))
        if told.repo.name not in watched:
            raise _RefusedError(404, f"{told.repo.name} is not watched here.")
        return {"announced": await _looked(look, told.repo.name) if told.tells_of_tags else 0}

    @app.exception_handler(_RefusedError)
    async def refused(_request: Request, error: _RefusedError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, error.status)

    return app


def _require_secret(request: Request, secret: str) -> None:
    given = request.headers.get(SECRET_HEADER)
    if given is None:
        raise _RefusedError(401, f"The header {SECRET_HEADER} is missing.")
    if not hmac.compare_digest(given.encode(), secret.encode()):
        raise _RefusedError(403, f"The {SECRET_HEADER} is not the one that was agreed on.")


def _notice(body: bytes) -> Notice:
    try:
        return read_notice(body)
    except NoticeError as error:
        raise _RefusedError(422, str(error)) from error


async def _looked(look: Look, repo_id: str) -> int:
    """Look, and answer so that the Hub tries again where looking failed."""
    try:
        return await look(repo_id)
    except (InfraError, OSError) as error:
        raise _RefusedError(503, f"{repo_id} could not be looked at now: {error}") from error


async def _body(request: Request) -> bytes:
    """Read a request's body, and no more of it than a notice may have."""
    declared = request.headers.get("content-length", "0")
    too_large = _RefusedError(413, f"A notice has at most {MAX_BODY_BYTES} bytes.")
    if not declared.isdecimal() or int(declared) > MAX_BODY_BYTES:
        raise too_large
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise too_large
    return bytes(body)
