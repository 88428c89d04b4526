"""Work of a second, which ends as it is told: what pools are tested with."""

import os
import signal
import time
from pathlib import Path

from prefect import flow
from pydantic import TypeAdapter

from flows.jobs import Job
from infra.store import Place, open_store
from tasks.outcomes import outcome_key
from tasks.specs import Spec


class Errand(Spec):
    """What is to be done: leave a line in a file, and end."""

    place: Place
    name: str
    deaths: int = 0  # times that the process kills itself first
    fails: bool = False
    seconds: float = 0.0

    @property
    def diary(self) -> Path:
        """The file with a line for each time that it was begun."""
        return self.place.workspace / f"{self.name}.diary"

    @property
    def begun(self) -> int:
        """How often it was begun."""
        return len(self.diary.read_text().splitlines()) if self.diary.exists() else 0


@flow(name="errand", persist_result=False)
def run_errand(plan: Errand) -> str:
    """Do what ``plan`` says.

    Args:
        plan: How to end.
    """
    with plan.diary.open("a") as diary:
        diary.write("begun\n")
    if plan.begun <= plan.deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    if plan.fails:
        raise ValueError(f"{plan.name} cannot be done")
    time.sleep(plan.seconds)
    return errand_job(plan).done(open_store(plan.place), f"{plan.name} is done")


def errand_job(plan: Errand) -> Job[str]:
    """Return an errand as work that may be handed out."""
    key = outcome_key("errand", plan, {})
    title, result = f"errand {plan.name}", TypeAdapter(str)
    return Job(run_errand, plan, title, key, result, again="{} before".format)
