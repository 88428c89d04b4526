"""Register a service's deployments, by `prefect deploy`, without undoing what a person has done.

    workspace/service/prefect.yaml       what was registered last
    workspace/service/registered         its digest

Registering again would activate a schedule that somebody has paused, and enable an automation, so
what is there is looked at first.  Where nothing has changed nothing is registered.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.responses import DeploymentResponse
from prefect.settings import get_current_settings

from flows.errors import DeployError
from flows.service import rendering
from flows.service.rendering import Document, Told
from flows.service.settings import folder
from flows.service.workers import CLIENT_ENVIRONMENT, inherited
from infra.files import canonical_json, write_atomically

PATIENCE_SECONDS = 600.0  # for half a minute's work: a machine may be busy
LINES_TOLD = 6


def register(told: Told, client: SyncPrefectClient) -> bool:
    """Register a service's deployments; return whether anything had to be.

    Raises:
        DeployError: The server refuses one.
        StorageError: The workspace cannot be written.
    """
    document = rendering.render(told)
    digest = hashlib.sha256(canonical_json(document)).hexdigest()
    known = client.read_deployments(limit=200)
    if _is_registered(document, digest, known, told.workspace):
        return False
    document = rendering.with_activity(document, _activity(known))
    document = rendering.with_triggers(
        document, {each.name: each.enabled for each in client.read_automations()}
    )
    path = folder(told.workspace) / "prefect.yaml"
    write_atomically(path, yaml.safe_dump(document, sort_keys=False).encode())
    _deploy(path)
    _drop_other_schedules(document, client)
    write_atomically(_registered(told.workspace), digest.encode())
    return True


def _registered(workspace: Path) -> Path:
    return folder(workspace) / "registered"


def _is_registered(
    document: Document, digest: str, known: list[DeploymentResponse], workspace: Path
) -> bool:
    """Whether this very document was registered last, and all of it is still there."""
    try:
        last = _registered(workspace).read_text(encoding="ascii")
    except OSError:
        return False
    there = {each.entrypoint for each in known}
    return last == digest and all(each["entrypoint"] in there for each in document["deployments"])


def _activity(known: list[DeploymentResponse]) -> dict[str, bool]:
    """Return by slug whether the schedules that are there are active."""
    return {
        schedule.slug: schedule.active
        for deployment in known
        for schedule in deployment.schedules
        if schedule.slug is not None
    }


def _deploy(path: Path) -> None:
    """Run Prefect's own command on a document."""
    settings = get_current_settings().to_environment_variables(
        exclude_unset=True, include_secrets=True
    )
    try:
        ended = subprocess.run(
            [
                sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all",
                "--prefect-file", str(path),
            ],
            cwd=path.parent,  # far from a pyproject.toml or a repository, which it would look into
            env=inherited(os.environ) | settings | CLIENT_ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise DeployError(
            f"`prefect deploy` was not done with {path} after {error.timeout:.0f} s. See whether "
            "this machine or the server is overloaded, and give `roundhouse up` again."
        ) from error
    if ended.returncode:
        lines = (ended.stdout + ended.stderr).strip().splitlines()
        raise DeployError(
            f"`prefect deploy` could not register {path}, and ended with {ended.returncode}: "
            f"{' | '.join(line.strip() for line in lines[-LINES_TOLD:])}. Look into the server's "
            "log, mend it, and give `roundhouse up` again."
        )


def _drop_other_schedules(document: Document, client: SyncPrefectClient) -> None:
    """Delete schedules that are no longer asked for: registering only adds and changes."""
    wanted = rendering.schedules_in(document)
    for deployment in client.read_deployments(limit=200):
        kept = wanted.get(deployment.entrypoint or "")
        for schedule in deployment.schedules if kept is not None else ():
            if schedule.slug is not None and schedule.slug not in (kept or ()):
                client.delete_deployment_schedule(deployment.id, schedule.id)
