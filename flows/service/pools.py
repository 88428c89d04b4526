"""The two work pools of a service."""

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists
from prefect.workers.process import ProcessWorker

from flows.service.workers import PARENTS, WORKERS

DESCRIPTIONS = {
    PARENTS: "Runs that hand out work, wait for it, and put its outcome together.",
    WORKERS: "Segments, answers and comparisons: one run at a time on each worker's GPU.",
}


def ensure_pools(client: SyncPrefectClient) -> None:
    """Create the pools that are missing; one that is there, paused or not, stays as it is."""
    for name, description in DESCRIPTIONS.items():
        pool = WorkPoolCreate(
            name=name,
            description=description,
            type=ProcessWorker.type,
            base_job_template=ProcessWorker.get_default_base_job_template(),
        )
        try:
            client.create_work_pool(pool)
        except ObjectAlreadyExists:
            continue
