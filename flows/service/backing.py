"""What stands behind a server: SQLite in the workspace, or PostgreSQL and Redis.

With PostgreSQL and Redis several processes may serve the API, because events, leases and the
server's own schedules then live outside of them.  Each of these has a setting of its own in
Prefect; one that is forgotten works until there is a second process, and then does things twice.
"""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from flows.errors import ServerError

DATABASE = "ROUNDHOUSE_DATABASE_URL"
REDIS = "ROUNDHOUSE_REDIS_URL"
DRIVER = "postgresql+asyncpg"
SCHEMES = ("postgres", "postgresql", DRIVER)


class Backing(NamedTuple):
    """Where a server keeps its data and its events; None: in the workspace, and in memory."""

    database_url: str | None
    redis_url: str | None

    @property
    def is_shared(self) -> bool:
        """Whether several processes may serve the API."""
        return self.database_url is not None and self.redis_url is not None

    def settings(self, home: Path) -> dict[str, str]:
        """Return the environment of a server whose folder is ``home``."""
        database = self.database_url or f"sqlite+aiosqlite:///{home / 'prefect.db'}"
        told = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database}
        return told if self.redis_url is None else told | _redis(urlsplit(self.redis_url))


def backing_of(environment: Mapping[str, str] = os.environ) -> Backing:
    """Return what the environment asks for.

    Raises:
        ServerError: An address is none, one is given without the other, or the package that
            speaks to Redis is missing.
    """
    database, redis = environment.get(DATABASE), environment.get(REDIS)
    if redis and not database:
        raise ServerError(
            f"{REDIS} is set, and {DATABASE} is not: Redis carries the events of several server "
            "processes, which cannot share an SQLite file. Set both, or neither."
        )
    if redis:
        _require_redis(redis)
    return Backing(_with_driver(database) if database else None, redis or None)


def _with_driver(url: str) -> str:
    """Return a PostgreSQL address as Prefect wants it, with the driver that it has."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise ServerError(
            f"{DATABASE} begins with {scheme if separator else 'no scheme'}: give "
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or unset it to use SQLite."
        )
    return f"{DRIVER}://{rest}"


def _require_redis(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ServerError(
            f"{REDIS} is no address of a Redis: give redis://HOST:PORT/0, or rediss:// with TLS."
        )
    if not parts.path.strip("/").isdecimal() and parts.path.strip("/"):
        raise ServerError(
            f"{REDIS} names the database {parts.path.strip('/')!r}; Redis numbers them: give "
            "redis://HOST:PORT/0."
        )
    if find_spec("prefect_redis") is None:
        raise ServerError(
            f"{REDIS} is set, and prefect-redis is not installed: "
            "pip install 'roundhouse[service]', or unset it."
        )


def _redis(parts: SplitResult) -> dict[str, str]:
    """Return all settings that a server on Redis needs; the docket gets a database of its own."""
    number = int(parts.path.strip("/") or 0)
    messaging = {
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or 6379),
        "DB": str(number),
        "USERNAME": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "SSL": "true" if parts.scheme == "rediss" else "",
    }
    return {
        "PREFECT_SERVER_EVENTS_MESSAGING_BROKER": "prefect_redis.messaging",
        "PREFECT_SERVER_EVENTS_MESSAGING_CACHE": "prefect_redis.messaging",
        "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect_redis.ordering",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
        "PREFECT_SERVER_DOCKET_URL": urlunsplit(parts._replace(path=f"/{number + 1}")),
        **{f"PREFECT_REDIS_MESSAGING_{name}": value for name, value in messaging.items() if value},
    }
