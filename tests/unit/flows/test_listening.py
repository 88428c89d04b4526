"""The service that releases by tag: its port, and what it is deployed as."""

import json
import socket
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest

from flows import listening
from flows.deployments import on_tag, release_deployments
from flows.errors import ServerError
from flows.listening import Address
from tasks import events

LOOPBACK = "127.0.0.1"


def test_a_port_that_is_taken_is_named() -> None:
    """Before anything else is started."""
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        port = other.getsockname()[1]
        with (
            pytest.raises(ServerError, match=rf"127\.0\.0\.1:{port}: .* Give another --port"),
            listening.receiving(Address(LOOPBACK, port), "s", {}),
        ):
            pass


def test_the_receiver_answers_while_it_runs_and_not_after() -> None:
    """It takes any free port on request, and leaves nothing behind."""
    with listening.receiving(Address(LOOPBACK, 0), "s", {}) as at:
        health = f"http://{at.host}:{at.port}/health"
        with urllib.request.urlopen(health, timeout=30) as answer:
            assert json.load(answer) == {"ok": True}
    with socket.socket() as probe:
        assert probe.connect_ex((at.host, at.port)) != 0


def test_the_deployments_are_what_operators_look_for(tmp_path: Path) -> None:
    """By their names, with recipes and store as defaults, one release at a time."""
    release, watch = release_deployments(["r.yaml"], tmp_path, every=timedelta(minutes=1))

    assert (release.full_name, watch.full_name) == (
        "release/on-tag",
        "watch-tags/every-5-minutes",
    )
    told = {"recipes": ["r.yaml"], "workspace": str(tmp_path)}
    assert release.parameters == watch.parameters == told
    assert (release.concurrency_limit, watch.concurrency_limit) == (1, 1)
    assert (release.entrypoint, watch.entrypoint) == (
        "flows.release.release_tag",
        "flows.watch.watch_tags",
    )
    (schedule,) = watch.schedules or ()
    assert schedule.slug == "watch-tags"


def test_an_announced_tag_and_nothing_else_starts_a_release() -> None:
    """What a moved tag is told by matches no automation."""
    trigger = on_tag()

    assert trigger.expect == {events.CREATED}
    assert events.MOVED not in trigger.expect
    assert trigger.parameters is not None
    assert set(trigger.parameters) == {"repo_id", "tag", "commit"}
