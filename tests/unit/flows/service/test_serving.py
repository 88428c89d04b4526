"""After a server was away, nobody is taken for lost who had no way to be heard."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import asyncio, datetime as dt, uuid
import sqlalchemy as sa
from prefect.server.database import provide_database_interface
from flows.service.serving import put_off

NOW = dt.datetime.now(dt.UTC)
TRIGGER = {"type": "event", "posture": "Proactive", "within": 90}
UNTIL = NOW + dt.timedelta(seconds=120)

async def main():
    database = provide_database_interface()
    assert await put_off(UNTIL) == 0  # there is no table yet
    await database.create_db()
    async with database.session_context(begin_transaction=True) as session:
        automation = database.Automation(
            name="lost", description="", enabled=True, trigger=TRIGGER, actions=[],
            actions_on_trigger=[], actions_on_resolve=[],
        )
        session.add(automation)
        await session.flush()
        for key, seconds in (("past", -60), ("far", 600)):
            session.add(database.AutomationBucket(
                automation_id=automation.id, trigger_id=uuid.uuid4(), bucketing_key=[key],
                start=NOW - dt.timedelta(seconds=90), end=NOW + dt.timedelta(seconds=seconds),
                count=0,
            ))
    print(await put_off(UNTIL))
    async with database.session_context() as session:
        buckets = (await session.execute(sa.select(database.AutomationBucket))).scalars().all()
        for bucket in sorted(buckets, key=lambda each: each.end):
            print(bucket.bucketing_key[0], round((bucket.end - NOW).total_seconds()))

asyncio.run(main())
"""


def test_what_ended_while_the_server_was_away_is_put_off(tmp_path: Path) -> None:
    """In a real database of Prefect's; what ends later anyway stays, and a new database is fine."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'prefect.db'}"
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={
            **os.environ,
            "PREFECT_HOME": str(tmp_path),
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": url,
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-3:] == ["1", "past 120", "far 600"]
