"""Let those who write into the server's SQLite wait for each other, instead of failing.

Prefect begins a transaction as a reader and turns it into a writer later.  If somebody else has
written in between, SQLite refuses that at once ("database is locked"), however long one would have
waited.  It also makes the server stand still: what is left of a refused statement is thrown away by
Python's garbage collector in the thread of the event loop, which SQLite makes wait for whoever
uses the same connection; that one waits for the writer; and the writer waits for the event loop.
After 60 s somebody gives up.  Heartbeats that come meanwhile are lost, and with them healthy runs.

A transaction that is a writer from its beginning waits for its turn, in a thread of its own.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

READER, WRITER = "BEGIN DEFERRED", "BEGIN IMMEDIATE"


def begin_as_writer(
    _connection: Connection,
    _cursor: Any,
    statement: str,
    parameters: Any,
    _context: Any,
    _executemany: bool,  # noqa: FBT001 -- SQLAlchemy's signature
) -> tuple[str, Any]:
    """Return the statement that is sent instead: SQLAlchemy's `before_cursor_execute`."""
    return (WRITER if statement == READER else statement), parameters


def let_writers_wait() -> None:
    """Have all transactions of this process begin as writers; other databases know no such word."""
    sa.event.listen(Engine, "before_cursor_execute", begin_as_writer, retval=True)
