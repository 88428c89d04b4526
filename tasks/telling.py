"""Tell the page of a run how it goes, as far as the server listens.

What stands there is for people who watch.  A server that is away for a moment costs them an update,
and never costs the run its work.
"""

import logging
import re
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import httpx
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

LOGGER = logging.getLogger(__name__)
QUIET_SECONDS = 30.0  # that a bar is left alone after its server did not answer
TROUBLE = (httpx.HTTPError, OSError, PrefectException)


def artifact_key(*words: str) -> str:
    """Return a key as Prefect wants it: lowercase letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")


class ProgressBar:
    """A bar on the page of the run: each value replaces the one before.

    There is one try a value, since the next comes soon.  The first that is not heard is said in a
    warning, once; the bar appears, or goes on, with the first value that is.
    """

    def __init__(self, key: str, description: str) -> None:
        self._key = key
        self._description = description
        self._id: UUID | None = None
        self._warned = False
        self._quiet_until = 0.0

    def show(self, percent: float, words: str | None = None) -> None:
        """Move the bar to ``percent``, from 0 to 100; ``words`` say below it how far that is."""
        if time.monotonic() < self._quiet_until:
            return
        try:
            with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
                self._id = self._put(percent, words)
        except TROUBLE as error:
            self._quiet_until = time.monotonic() + QUIET_SECONDS
            if not self._warned:
                _warn(self._key, error)
            self._warned = True

    def _put(self, percent: float, words: str | None) -> UUID:
        told = self._description if words is None else f"{self._description}: {words}"
        if self._id is not None:
            put = update_progress_artifact(self._id, progress=percent, description=told)
        else:
            put = create_progress_artifact(progress=percent, key=self._key, description=told)
        assert isinstance(put, UUID)  # noqa: S101 -- a coroutine only where there is an event loop
        return put


def tell_table(rows: Sequence[dict[str, Any]], *, key: str, description: str) -> None:
    """Put a table on the page of the run."""
    _tell(key, lambda: create_table_artifact(list(rows), key=key, description=description))


def tell_markdown(text: str, *, key: str, description: str) -> None:
    """Put a text in Markdown on the page of the run."""
    _tell(key, lambda: create_markdown_artifact(text, key=key, description=description))


def _tell(key: str, telling: Callable[[], object]) -> None:
    """Tell something that is told once, with the client's own patience, which is a minute."""
    try:
        telling()
    except TROUBLE as error:
        _warn(key, error)


def _warn(key: str, error: Exception) -> None:
    reason = str(error) or type(error).__name__
    LOGGER.warning(
        "The page of this run does not show %s: Prefect's server does not answer (%s). "
        "The work goes on; its outcome does not depend on that page.",
        key,
        reason.splitlines()[0],
    )
