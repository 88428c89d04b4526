"""What a piece of work came to, on record in the store: how a parent learns it from any worker.

Prefect keeps the states of runs, not their results: those would need a storage of their own, and
live as long as the server's database.  So a worker's last act is to record what it has made under
the key of what decides it, and whoever wants the same finds it there, a later run included.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from infra.errors import CorruptArtifactError, MissingArtifactError
from infra.files import Json
from infra.store import ArtifactRef, Store, fingerprint
from tasks.specs import Spec

ELSEWHERE: Mapping[str, Any] = {"place": True}
"""What every plan says about where work is kept, which decides nothing about its outcome."""


def outcome_key(step: str, plan: Spec, without: Mapping[str, Any]) -> str:
    """Return the key of an outcome.

    Args:
        step: What is done.
        plan: What it is done to, and how.
        without: Fields of the plan that change nothing in the outcome, as pydantic excludes them.
    """
    parts = plan.model_dump(mode="json", exclude={**ELSEWHERE, **without})
    return fingerprint({"step": f"outcome of {step}", "plan": parts})


def find_outcome(store: Store, key: str) -> Json:
    """Return what is on record under ``key``; None: nothing, or what it names is lost or corrupt.

    Raises:
        StoreError: The store cannot be read.
    """
    known = store.find(key)
    if known is None or not all(intact(store, ref) for ref in _named(known)):
        return None
    outcome: Json = known["outcome"]
    return outcome


def put_outcome(store: Store, key: str, outcome: Json) -> None:
    """Record an outcome, the first of its key or in place of one that has lost what it names.

    Raises:
        StoreError: The store cannot be written.
    """
    told = {"outcome": outcome}
    on_record = store.record(key, told)
    if on_record != told and not all(intact(store, ref) for ref in _named(on_record)):
        store.replace(key, told)


def _named(told: Any) -> Iterator[ArtifactRef]:
    """Yield every object that an outcome names, however deep."""
    if isinstance(told, Mapping):
        if told.keys() == ArtifactRef.model_fields.keys():
            yield ArtifactRef.model_validate(told)
        else:
            for inner in told.values():
                yield from _named(inner)
    elif isinstance(told, list):
        for inner in told:
            yield from _named(inner)


def intact(store: Store, ref: ArtifactRef) -> bool:
    """Tell whether the store holds an object, bit for bit."""
    try:
        store.open(ref)
    except (MissingArtifactError, CorruptArtifactError):
        return False
    return True
