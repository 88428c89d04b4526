"""Whether the process that holds a lease is known to be dead."""

import os
import subprocess
import sys

import pytest

from infra.store.process import is_dead, this_process


def test_this_process_is_alive() -> None:
    """And is named by its number and its machine."""
    process = this_process()

    assert not is_dead(process)
    assert process.words == f"process {os.getpid()} on {os.uname().nodename}"


@pytest.mark.parametrize("buried", [False, True])
def test_a_process_that_ended_is_dead(*, buried: bool) -> None:
    """Also while its parent has not looked after it."""
    told = (
        "from infra.store.process import this_process; "
        "print(this_process().model_dump_json(), flush=True); input()"
    )
    asked = subprocess.Popen(
        [sys.executable, "-c", told], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert asked.stdout is not None
    process = this_process().model_validate_json(asked.stdout.readline())
    before = is_dead(process)
    asked.kill()
    if buried:
        asked.wait()
    else:
        os.waitid(os.P_PID, asked.pid, os.WEXITED | os.WNOWAIT)

    assert (before, is_dead(process)) == (False, True)
    asked.communicate()


@pytest.mark.parametrize("field", ["system", "started"])
def test_of_other_machines_nothing_is_known(field: str) -> None:
    """A number means nothing there, nor where the system does not tell enough."""
    gone = this_process().model_copy(update={"pid": 2**22 + 1})
    assert is_dead(gone)
    assert not is_dead(gone.model_copy(update={field: None}))
    assert not is_dead(gone.model_copy(update={"system": "another start of another machine"}))


def test_a_number_that_was_given_again_is_another_process() -> None:
    """It was started at another moment."""
    process = this_process()

    assert process.started is not None
    earlier = process.model_copy(update={"started": process.started - 1})
    assert is_dead(earlier)
