"""What the Hub's client raises, turned into errors that say what to do: one place, one table.

The client raises its own classes where the Hub answered, httpx2's where it did not, bare
`ConnectionError`s and `RuntimeError`s around a failed upload, and a `ValueError` over a card.  Its
errors carry the request, and with it the token, so they are told here and never chained.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx2
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from infra.errors import (
    CardRefusedError,
    HubFullError,
    HubRefusedError,
    HubUnreachableError,
    InfraError,
    NotAllowedError,
    RejectedTokenError,
    StaleParentError,
    TooLargeForHubError,
    UnknownRepositoryError,
    UnknownRevisionError,
)
from infra.files import storage_error
from infra.publishing.token import HubToken

CLIENT_ERRORS = (OSError, RuntimeError, ValueError, httpx2.HTTPError)
BAD_CARD = "Invalid metadata in README.md."
_BAD_BATCH = "LFS batch API returned errors"
_LONGEST = 300  # letters of what the Hub said that are passed on
_TRY_AGAIN = frozenset({408, 425, 429})
_ITS_OWN_TROUBLE = 500


class Attempt(NamedTuple):
    """What was being done when something failed."""

    endpoint: str
    repo_id: str
    doing: str  # a participle, as in "committing to main of owner/name"
    token: HubToken | None

    @property
    def bearer(self) -> str:
        """Who asked, to begin a sentence."""
        return f"The token from {self.token.origin}" if self.token else "A caller without a token"

    def quote(self, message: str) -> str:
        """Return what somebody said on one line, short, and without the token."""
        line = " ".join((self.token.hide(message) if self.token else message).split())
        return f"{line[:_LONGEST]} ..." if len(line) > _LONGEST else line


def told(error: Exception, attempt: Attempt) -> InfraError | None:  # noqa: PLR0911 -- a table
    """Return the error of ours for what the client raised; None for a fault of the program."""
    for link in _chain(error):
        match link:
            case ValueError() if str(link).startswith(BAD_CARD):
                return _bad_card(str(link), attempt)
            case HfHubHTTPError():
                return _answered(link, attempt)
            case OfflineModeIsEnabled():
                return _offline(attempt)
            case HFValidationError():
                return _unknown("That is no name of a repository", attempt)
            case ValueError() if str(link).startswith(_BAD_BATCH):
                return _refused(str(link), attempt)
            case httpx2.HTTPError() | ConnectionError() | TimeoutError():
                return _silent(link, attempt)
            case OSError(filename=str(name)):
                return storage_error(link, Path(name), attempt.doing)
    return _silent(error, attempt) if isinstance(error, RuntimeError | OSError) else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what led to it: a failed upload is wrapped in a bare RuntimeError."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _answered(error: HfHubHTTPError, attempt: Attempt) -> InfraError:  # noqa: PLR0911 -- a table
    """Tell an answer by its status, the same whatever class the client chose for it."""
    status = error.response.status_code
    said = error.server_message or error.response.reason_phrase or f"status {status}"
    if isinstance(error, GatedRepoError):
        return _not_allowed(said, attempt)
    if isinstance(error, RevisionNotFoundError):
        return _no_revision(said, attempt)
    if isinstance(error, RepositoryNotFoundError):
        return _unknown(said, attempt)
    if status in _TRY_AGAIN:
        return _in_trouble(status, said, attempt)
    known = {
        401: _rejected,
        403: _not_allowed,
        404: _unknown,
        412: _stale,
        413: _too_large,
        507: _full,
    }.get(status)
    if known is not None:
        return known(said, attempt)
    if status >= _ITS_OWN_TROUBLE:
        return _in_trouble(status, said, attempt)
    return _refused(f"{status}, {said}", attempt)


def _rejected(said: str, attempt: Attempt) -> InfraError:
    return RejectedTokenError(
        f"The Hub at {attempt.endpoint} does not know who asks: {attempt.quote(said)} "
        f"({attempt.bearer} was {attempt.doing}). Make a token at {attempt.endpoint}"
        f"/settings/tokens that may write to {attempt.repo_id}, and put it where this one came "
        "from."
    )


def _not_allowed(said: str, attempt: Attempt) -> InfraError:
    owner = attempt.repo_id.partition("/")[0]
    return NotAllowedError(
        f"{attempt.bearer} may not do this at {attempt.endpoint}: {attempt.doing} was forbidden, "
        f"{attempt.quote(said)} Use a token with the right to write, of {owner} or of a member, "
        f"and check that {owner} is spelled right."
    )


def _unknown(said: str, attempt: Attempt) -> InfraError:
    return UnknownRepositoryError(
        f"The Hub at {attempt.endpoint} knows no {attempt.repo_id} that it would show: "
        f"{attempt.quote(said)} (while {attempt.doing}). Check the spelling, the endpoint, and "
        "that the token may see it if it is private."
    )


def _no_revision(said: str, attempt: Attempt) -> InfraError:
    return UnknownRevisionError(
        f"{attempt.repo_id} at {attempt.endpoint} has no such branch, tag or commit: "
        f"{attempt.quote(said)} (while {attempt.doing}). {attempt.endpoint}/{attempt.repo_id}"
        "/tree/main lists those that it has."
    )


def _stale(said: str, attempt: Attempt) -> InfraError:
    return StaleParentError(
        f"{attempt.repo_id} at {attempt.endpoint} was written to by somebody else: "
        f"{attempt.quote(said)} (while {attempt.doing}). Nothing was changed by this."
    )


def _too_large(said: str, attempt: Attempt) -> InfraError:
    return TooLargeForHubError(
        f"The Hub at {attempt.endpoint} takes no file or commit as large as this: "
        f"{attempt.quote(said)} (while {attempt.doing}). Nothing was changed. Export with smaller "
        "shards (max_shard_gib), or raise the limit of a Hub of your own."
    )


def _full(said: str, attempt: Attempt) -> InfraError:
    return HubFullError(
        f"The Hub at {attempt.endpoint} has no room left: {attempt.quote(said)} (while "
        f"{attempt.doing}). Nothing was changed. Free space or raise the quota there and publish "
        "again; what was uploaded is not uploaded twice."
    )


def _bad_card(said: str, attempt: Attempt) -> InfraError:
    return CardRefusedError(
        f"The Hub at {attempt.endpoint} does not take the metadata at the top of README.md for "
        f"{attempt.repo_id}: {attempt.quote(said.removeprefix(BAD_CARD))} Nothing was uploaded. "
        "Mend what the card says between its two lines of ---."
    )


def _refused(said: str, attempt: Attempt) -> InfraError:
    return HubRefusedError(
        f"The Hub at {attempt.endpoint} refused {attempt.doing}: {attempt.quote(said)}. Nothing "
        "was changed by it."
    )


def _in_trouble(status: int, said: str, attempt: Attempt) -> InfraError:
    return HubUnreachableError(
        f"The Hub at {attempt.endpoint} answered {status} while {attempt.doing}: "
        f"{attempt.quote(said)}. Try again later; what was uploaded is not uploaded twice, and "
        "nothing half-done can be seen."
    )


def _offline(attempt: Attempt) -> InfraError:
    return HubUnreachableError(
        f"HF_HUB_OFFLINE forbids {attempt.doing} at {attempt.endpoint}. Unset it to publish."
    )


def _silent(error: BaseException, attempt: Attempt) -> InfraError:
    cause = attempt.quote(str(error) or type(error).__name__)
    xet = (
        " It seems to know no xet, the client's way to upload: set HF_HUB_DISABLE_XET=1."
        if "xet" in cause
        else ""
    )
    return HubUnreachableError(
        f"The Hub at {attempt.endpoint} did not answer while {attempt.doing} ({cause}).{xet} Check "
        "the network and HF_ENDPOINT and try again; what was uploaded is not uploaded twice, and "
        "nothing half-done can be seen."
    )
