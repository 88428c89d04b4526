"""SQLite without a word, or PostgreSQL and Redis with every setting that they need."""

from pathlib import Path

import pytest

from flows.errors import ServerError
from flows.service.backing import DATABASE, REDIS, Backing, backing_of

POSTGRES = "postgresql://me:word@db.example:5433/prefect"
HOME = Path("/home")


def test_without_a_word_the_data_are_in_the_workspace() -> None:
    """One process may serve them."""
    backing = backing_of({})

    assert not backing.is_shared
    assert backing.settings(HOME) == {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": "sqlite+aiosqlite:////home/prefect.db"
    }


def test_postgresql_gets_the_driver_that_prefect_has() -> None:
    """Whatever a provider's console shows."""
    for given in (POSTGRES, POSTGRES.replace("postgresql", "postgres")):
        assert backing_of({DATABASE: given}).database_url == (
            "postgresql+asyncpg://me:word@db.example:5433/prefect"
        )


def test_redis_is_told_to_every_part_that_needs_it() -> None:
    """One that is forgotten keeps its state in one process, and the others do things twice."""
    backing = backing_of({DATABASE: POSTGRES, REDIS: "rediss://who:pass%40word@cache:6390/2"})
    settings = backing.settings(HOME)

    assert backing.is_shared
    assert settings["PREFECT_SERVER_EVENTS_MESSAGING_BROKER"] == "prefect_redis.messaging"
    assert settings["PREFECT_SERVER_EVENTS_MESSAGING_CACHE"] == "prefect_redis.messaging"
    assert settings["PREFECT_SERVER_EVENTS_CAUSAL_ORDERING"] == "prefect_redis.ordering"
    assert settings["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"] == "prefect_redis.lease_storage"
    assert settings["PREFECT_SERVER_DOCKET_URL"] == "rediss://who:pass%40word@cache:6390/3"
    assert settings["PREFECT_REDIS_MESSAGING_HOST"] == "cache"
    assert settings["PREFECT_REDIS_MESSAGING_PORT"] == "6390"
    assert settings["PREFECT_REDIS_MESSAGING_DB"] == "2"
    assert settings["PREFECT_REDIS_MESSAGING_USERNAME"] == "who"
    assert settings["PREFECT_REDIS_MESSAGING_PASSWORD"] == "pass@word"  # noqa: S105 -- none
    assert settings["PREFECT_REDIS_MESSAGING_SSL"] == "true"


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({DATABASE: "mysql://me:word@host/db"}, "begins with mysql"),
        ({DATABASE: "me:word@host"}, "begins with no scheme"),
        ({REDIS: "redis://cache:6379"}, f"{DATABASE} is not"),
        ({DATABASE: POSTGRES, REDIS: "http://cache"}, "no address of a Redis"),
        ({DATABASE: POSTGRES, REDIS: "redis://cache/events"}, "names the database 'events'"),
    ],
)
def test_what_cannot_be_used_is_told_without_its_password(
    environment: dict[str, str], told: str
) -> None:
    """Before anything is started."""
    with pytest.raises(ServerError, match=told) as caught:
        backing_of(environment)

    assert "word" not in str(caught.value).replace("USER:PASSWORD", "")


def test_a_database_alone_is_not_shared() -> None:
    """Events would stay in one process."""
    assert not Backing("postgresql+asyncpg://host/db", None).is_shared
