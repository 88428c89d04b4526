"""How the Hub says no: a status, a sentence, and the code that the client reads.

The client decides by `X-Error-Code` which of its exceptions to raise, and prints `X-Error-Message`.
Where huggingface.co has a fixed sentence, programs may look for it, so it is the same here.
"""

from collections.abc import Mapping
from typing import Literal

Code = Literal["RepoNotFound", "RevisionNotFound", "EntryNotFound"]

STALE_PARENT = "The branch was updated since you opened this page. Please refresh and try again."
BAD_TOKEN = "Invalid credentials in Authorization header"  # noqa: S105 -- a sentence
NO_TOKEN = "Invalid username or password."  # noqa: S105 -- a sentence
READ_TOKEN = "Forbidden: you must use a write token to upload to a repository."  # noqa: S105 -- as above


class Refusal(Exception):  # noqa: N818 -- an answer to a client, and no fault of the Hub
    """An answer other than yes.  It never leaves the server as an exception."""

    def __init__(
        self,
        status: int,
        message: str,
        code: Code | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.headers = dict(headers or {})


def no_repository(*, known_caller: bool) -> Refusal:
    """Return the answer for a repository that is not there, or not for this caller to see."""
    return Refusal(404 if known_caller else 401, "Repository not found", "RepoNotFound")


def no_revision(revision: str) -> Refusal:
    """Return the answer for a revision that names nothing."""
    return Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def no_entry(path: str) -> Refusal:
    """Return the answer for a file or folder that a revision does not have."""
    return Refusal(404, f"Entry not found: {path}", "EntryNotFound")


def malformed(what: str) -> Refusal:
    """Return the answer for a request that says something impossible."""
    return Refusal(400, what)


def too_large(what: str, limit: int) -> Refusal:
    """Return the answer for more bytes than are taken at once."""
    return Refusal(413, f"{what} is larger than the {limit} bytes that this Hub takes.")
