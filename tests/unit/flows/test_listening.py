"""The service that releases by tag: its secret, its port, and what it is deployed as."""

import json
import socket
import stat
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


def test_a_secret_is_made_up_once_for_this_user_alone(tmp_path: Path) -> None:
    """Long, the same after a restart, and in a file that nobody else reads."""
    first = listening.webhook_secret(tmp_path, {})

    assert listening.webhook_secret(tmp_path, {}) == first
    assert len(first) >= 40
    assert stat.S_IMODE(listening.secret_file(tmp_path).stat().st_mode) == 0o600
    assert listening.webhook_secret(tmp_path / "other", {}) != first


def test_the_environments_secret_wins(tmp_path: Path) -> None:
    """Then nothing is written."""
    given = {listening.SECRET: "given"}

    assert listening.webhook_secret(tmp_path, given) == "given"
    assert not listening.secret_file(tmp_path).exists()


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
