"""One release of a tag at a time."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.errors import ReleaseUnderWayError
from infra.store import FolderStore
from infra.triggers.claim import claimed
from infra.triggers.key import TagKey

KEY = TagKey(repo_id="acme/model", tag="release/v1", commit="1" * 40)
TERM = 3.0
HOLDER = """
import sys, time
from pathlib import Path
from infra.store import FolderStore
from infra.triggers.claim import claimed
from infra.triggers.key import TagKey
with claimed(FolderStore(Path(sys.argv[1])), TagKey.model_validate_json(sys.argv[2]), term=3):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_release_of_a_tag_waits_its_turn(tmp_path: Path) -> None:
    """Two deliveries at once are one release; the message says who is at it and what to do."""
    store = FolderStore(tmp_path)
    told = r"release/v1 of acme/model at 1111111 is being released by process \d+ on .*\. Wait"

    with (
        claimed(store, KEY, term=TERM) as lease,
        pytest.raises(ReleaseUnderWayError, match=told),
        claimed(store, KEY, term=TERM),
    ):
        pass

    assert lease.epoch == 1


def test_other_tags_are_released_meanwhile(tmp_path: Path) -> None:
    """A claim is on one tag at one commit."""
    store, other = FolderStore(tmp_path), KEY.model_copy(update={"tag": "release/v2"})

    with claimed(store, KEY) as first, claimed(store, other) as second:
        first.require_held()
        second.require_held()


def test_whoever_is_killed_holds_nothing(tmp_path: Path) -> None:
    """After kill -9 the same release can be started again at once."""
    store = FolderStore(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), KEY.model_dump_json()],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    with holder.stdout as told:
        assert told.readline() == "held\n"
        with pytest.raises(ReleaseUnderWayError, match=rf"process {holder.pid} on"):
            claimed(store, KEY).__enter__()
        holder.send_signal(signal.SIGKILL)
        holder.wait()

    with claimed(store, KEY) as lease:
        assert lease.epoch == 2
