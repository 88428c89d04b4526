"""Whoever writes into the server's SQLite waits for the others, and is refused nothing."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from flows.service.sqlite import begin_as_writer, let_writers_wait

WRITERS, TIMES = 6, 5


@pytest.fixture
def waiting() -> Iterator[None]:
    """Have transactions begin as the server's do, for the time of a test."""
    let_writers_wait()
    yield
    sa.event.remove(Engine, "before_cursor_execute", begin_as_writer)


async def count_up(path: Path) -> int:
    """Have several add one to a number, each after reading it, as Prefect's server does."""
    database = AioSqliteConfiguration(f"sqlite+aiosqlite:///{path}")
    engine = await database.engine()
    async with engine.begin() as connection:
        await connection.execute(sa.text("CREATE TABLE numbers (number INTEGER)"))
        await connection.execute(sa.text("INSERT INTO numbers VALUES (0)"))

    async def add() -> None:
        for _ in range(TIMES):
            session = await database.session(engine)
            async with session, database.begin_transaction(session):
                number = await session.scalar(sa.text("SELECT number FROM numbers"))
                await asyncio.sleep(0.001)  # long enough for the others to read the same
                await session.execute(sa.text(f"UPDATE numbers SET number = {number} + 1"))  # noqa: S608 -- of our own numbers

    await asyncio.gather(*(add() for _ in range(WRITERS)))
    async with engine.connect() as connection:
        counted = await connection.scalar(sa.text("SELECT number FROM numbers"))
    await engine.dispose()
    return int(counted)


@pytest.mark.usefixtures("waiting")
def test_writers_wait_for_each_other(tmp_path: Path) -> None:
    """None is refused, and none writes what it made of an older state."""
    assert asyncio.run(count_up(tmp_path / "numbers.db")) == WRITERS * TIMES


def test_without_it_one_is_refused_at_once(tmp_path: Path) -> None:
    """Which is why it is there: when this fails, Prefect has come to do it by itself."""
    with pytest.raises(OperationalError, match="database is locked"):
        asyncio.run(count_up(tmp_path / "numbers.db"))


def test_other_statements_are_sent_as_they_are() -> None:
    """Another database's too."""
    for statement in ("BEGIN", "SELECT 1", "BEGIN IMMEDIATE"):
        assert begin_as_writer(None, None, statement, (), None, False) == (statement, ())  # type: ignore[arg-type]
