"""The publisher is killed (SIGKILL) at twenty moments, spread by chance over all that it does."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.local_hub import LocalHub
from tests.support.publisher import Publisher, publisher
from tests.support.publishing import Release, copy_repository, hub_of, make_release, torn

KILLS = 20
REQUESTS = 44  # that publishing version 2 makes, about
MOST_MILLISECONDS = 8.0  # after the request was seen: about as long as one takes
MAIN = ["v2.0.0: auto_round and the card", "v1.0.0: auto_round and the card", "initial commit"]
SIDE = ["v2.0.0: auto_gptq", "v1.0.0: auto_gptq", "initial commit"]


def kill_after(
    server: LocalHub, process: Publisher, release: Release, requests: int, pause: float
) -> int:
    """Kill a publisher when the Hub has had so many requests of it; return its exit code."""
    since = len(server.requests)
    pid = process.start(server, release)
    alive = Path(f"/proc/{pid}")
    while len(server.requests) - since < requests and alive.exists():
        time.sleep(0.0005)
    time.sleep(pause)
    with contextlib.suppress(ProcessLookupError):  # it was done before
        os.kill(pid, signal.SIGKILL)
    return process.ended()


def test_killed_at_random_moments(
    server: LocalHub, tmp_path: Path, count: Callable[[str], None]
) -> None:
    """Whatever a reader may name is whole after each kill, and after the run that follows it."""
    hub, chance = hub_of(server), random.Random(20261126)
    releases = {f"v{n}.0.0": make_release(tmp_path, "acme/killed", n) for n in (1, 2)}
    releases["v1.0.0"].publish_to(hub)
    killed = 0
    with publisher() as process:
        for number in range(KILLS):
            repo_id = f"acme/killed-{number}"
            copy_repository(server, "acme/killed", repo_id)
            moved = {version: each.moved_to(repo_id) for version, each in releases.items()}
            requests = chance.randrange(REQUESTS)
            pause = chance.uniform(0, MOST_MILLISECONDS) / 1000

            code = kill_after(server, process, moved["v2.0.0"], requests, pause)

            killed += code == -signal.SIGKILL
            assert code in (0, -signal.SIGKILL)
            where = f"kill {number}, after {requests} requests and {pause * 1000:.1f} ms"
            assert torn(hub, repo_id, moved) == [], where
            moved["v2.0.0"].publish_to(hub)
            assert torn(hub, repo_id, moved) == [], where
            for branch, titles in (("main", MAIN), ("auto_gptq", SIDE)):
                found = server.api().list_repo_commits(repo_id, revision=branch)
                assert [commit.title for commit in found] == titles, where
    assert killed > 0
    count(
        f"kill -9 of the publisher at {KILLS} moments: {killed} died of it; all whole, none twice"
    )
