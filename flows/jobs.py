"""A piece of heavy work, and how whoever hands it out knows what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from prefect import Flow
from prefect.client.schemas.objects import State
from pydantic import TypeAdapter

from infra.store import Store, fingerprint
from tasks.outcomes import find_outcome, put_outcome
from tasks.specs import Spec

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Job(Generic[R]):
    """One flow run that may be carried out here or by a worker.

    Attributes:
        flow: What carries it out; its only parameter is ``plan``.
        plan: What is to be done.
        title: What it is called where people read it.
        key: Of its outcome in the store: what decides it, and nothing else.
        result: How an outcome is read back.
        again: Makes of an outcome what a run says of it that only found it.
    """

    flow: Flow[..., R]
    plan: Spec
    title: str
    key: str
    result: TypeAdapter[R]
    again: Callable[[R], R]

    @property
    def parameters(self) -> dict[str, Any]:
        """What a worker is handed."""
        return {"plan": self.plan.model_dump(mode="json")}

    @property
    def run_key(self) -> str:
        """Names a run of it: what is done, and the store in which its outcome is looked for."""
        store: dict[str, Any] = self.plan.model_dump(mode="json", include={"place": {"store"}})
        return fingerprint({"outcome": self.key, **store})

    def here(self) -> R:
        """Carry it out in this process."""
        # of a flow with any parameters, the type checker believes that it takes this one, too
        return result_of(cast("State[R]", self.flow(self.plan, return_state=True)))

    def outcome(self, store: Store) -> R | None:
        """Return what came of it, if it is on record and nothing of it is lost.

        Raises:
            StoreError: The store cannot be read.
        """
        found = find_outcome(store, self.key)
        return None if found is None else self.result.validate_python(found)

    def done(self, store: Store, made: R) -> R:
        """Put what came of it on record.

        Raises:
            StoreError: The store cannot be written.
        """
        put_outcome(store, self.key, self.result.dump_python(made, mode="json"))
        return made


def result_of(state: State[R]) -> R:
    """Return what a flow run inside of another one gave, or raise what it failed of.

    Called without ``return_state``, a flow's result is noted as that run's, by its address in
    memory, and so is whatever comes to lie there later.  The UI shows no step at all of a run where
    one was given such a thing.
    """
    return state.result()
