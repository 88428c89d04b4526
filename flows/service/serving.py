"""Start a process of Prefect's server, after having given every run a new start, too.

    python -m flows.service.serving server start --port 4200      instead of  prefect server start …

The automation that finds lost runs waits for the next heartbeat of each run until a moment that is
on record in the database.  While the server is away nobody's heartbeats arrive, and at its return
most of those moments have passed, so it would at once crash runs that are healthy.  Therefore each
moment is put off by a full window before the server starts.  A run that was lost meanwhile is found
that much later.
"""

import asyncio
import datetime as dt
import runpy
import sys

import sqlalchemy as sa
from prefect.server.database import provide_database_interface

from flows.service.heartbeats import PATIENCE
from flows.service.sqlite import let_writers_wait

START = dt.timedelta(seconds=30)  # until the server listens and its clients are back


async def put_off(until: dt.datetime) -> int:
    """Let no run be taken for lost before ``until``; returns of how many that had to be said.

    A database without tables has no runs, and is left to the server to set up.
    """
    database = provide_database_interface()
    engine = await database.engine()
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
    if "automation_bucket" not in names:
        return 0
    bucket = database.AutomationBucket
    async with database.session_context(begin_transaction=True) as session:
        put = await session.execute(sa.update(bucket).where(bucket.end < until).values(end=until))
    return int(put.rowcount)


def main() -> None:
    """Put off, and become Prefect's own command."""
    let_writers_wait()
    until = dt.datetime.now(dt.UTC) + START + PATIENCE
    asyncio.run(put_off(until))
    sys.argv[0] = "prefect"
    runpy.run_module("prefect", run_name="__main__")


if __name__ == "__main__":
    main()
