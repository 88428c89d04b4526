"""Give a workspace a Hub of its own, also where nobody set one up.

It is the Hub of `infra.local_hub` as a process of its own on loopback, started by the first command
that needs it and found again by later ones, as `flows.server` does with Prefect's server.

    workspace/hub/              everything that it keeps
    workspace/hub/owner.token   a token that may write everywhere in it; for this user alone to read
    workspace/hub.json          which process it is
"""

import os
import sys
from pathlib import Path

from flows import embedded, processes
from flows.embedded import HOST
from flows.errors import HubStartError
from flows.kept import Kept, ListeningRecord
from infra.files import explaining, write_private
from infra.local_hub.access import EVERYWHERE, issue_token
from infra.local_hub.serving import USUAL_PORT
from infra.ports import reserving_socket

OWNER = "owner"
START_SECONDS = 240.0  # seconds, but minutes where the machine is very busy
LOG_NAME = "hub.log"


class HubRecord(ListeningRecord):
    """Which Hub was started for a workspace: what `hub.json` holds."""

    @property
    def endpoint(self) -> str:
        """Its address, as `HF_ENDPOINT` has it."""
        return self.address


def ensure(workspace: Path) -> tuple[HubRecord, str]:
    """Return the workspace's Hub, started if none is alive, and "started" or "re-used".

    Two commands at once start one: the second waits for the first.

    Raises:
        HubStartError: It does not start; the message ends with the last lines of its log.
        StorageError: The workspace cannot be written.
    """
    return _KEPT.ensure(workspace)


def stop(workspace: Path) -> bool:
    """Stop the Hub of a workspace if it is alive; return whether it was.  Its data stay."""
    return _KEPT.stop(workspace)


def read_record(workspace: Path) -> HubRecord | None:
    """Return what is written down about the workspace's Hub; None if nothing readable is."""
    return _KEPT.read(workspace)


def is_alive(record: HubRecord) -> bool:
    """Whether the process on record still runs, is that very process, and answers."""
    return _KEPT.is_alive(record)


def folder(workspace: Path) -> Path:
    """Return where the workspace's Hub keeps its data."""
    return workspace / "hub"


def token_file(workspace: Path) -> Path:
    """Return the file that holds the owner's token."""
    return folder(workspace) / "owner.token"


def _healthy(endpoint: str) -> bool:
    return embedded.healthy(f"{endpoint}/api/health")


def _give_owner_a_token(workspace: Path) -> None:
    """Issue the owner's token once.  Whose workspace it is may use every namespace of its Hub."""
    path = token_file(workspace)
    with explaining(path, "reading"):
        if path.exists():
            return
    token = issue_token(folder(workspace), OWNER, orgs=[EVERYWHERE])
    write_private(path, f"{token}\n".encode())


def _start(workspace: Path, before: HubRecord | None) -> HubRecord:
    """Start a Hub, where it was before if it can be, and wait until it answers."""
    _give_owner_a_token(workspace)
    try:
        reservation = reserving_socket(HOST, before.port if before else USUAL_PORT, 0)
    except OSError as error:
        raise HubStartError(
            f"No port is free on {HOST}, so the workspace's Hub cannot be started: {error}."
        ) from error
    with reservation:
        return _start_at(reservation.getsockname()[1], workspace)


def _start_at(port: int, workspace: Path) -> HubRecord:
    root, log = folder(workspace).resolve(), workspace / LOG_NAME
    command = [
        sys.executable, "-m", "infra.local_hub", "--root", str(root), "--host", HOST,
        "--port", str(port),
    ]  # fmt: skip
    pid = processes.start_detached(
        command,
        environment=embedded.without_secrets(os.environ) | processes.mark(workspace, "hub"),
        log=log,
    )
    try:
        _require_answer(f"http://{HOST}:{port}", pid, log)
    except BaseException:  # an interrupt too must leave no process behind
        processes.stop(pid)
        raise
    return HubRecord(pid=pid, port=port, identity=processes.identity(pid) or "")


def _require_answer(endpoint: str, pid: int, log: Path) -> None:
    why = embedded.why_not_ready(lambda: _healthy(endpoint), pid, patience_seconds=START_SECONDS)
    if why is not None:
        raise HubStartError(
            f"The workspace's Hub {why}. Its log is {log}, and ends: {embedded.last_lines(log)}. "
            "Set publish.endpoint in the recipe, or HF_ENDPOINT, to use a Hub that runs elsewhere."
        )


_KEPT = Kept("hub", HubRecord, _start, lambda record: _healthy(record.endpoint))
