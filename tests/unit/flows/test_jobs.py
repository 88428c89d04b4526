"""How work is told apart: by what decides it, and by where its outcome belongs."""

from pathlib import Path
from typing import Any

import pytest
from prefect import Flow

from flows.answering import answer_shard, compare_models
from flows.capture import capture_starts
from flows.segment import quantize_segment
from infra.errors import EngineMismatchError
from infra.store import Place, StoreAddress
from tasks.answer import Shard
from tasks.capture import CapturePlan
from tasks.evalspecs import FidelityPlan
from tasks.specs import SegmentPlan, WorkPlan
from tests.support.work import Errand, errand_job


def test_a_run_for_another_store_is_another_run(tmp_path: Path) -> None:
    """Its outcome would never be found here; the outcome itself is the same."""
    here, there = (
        errand_job(Errand(place=Place.of(tmp_path, StoreAddress(uri=uri)), name="told-apart"))
        for uri in ("s3://bucket/here", "s3://bucket/there")
    )

    assert here.key == there.key
    assert here.run_key != there.run_key


def test_a_run_from_another_workspace_is_the_same_run(tmp_path: Path) -> None:
    """Two parents on one store share what is under way, whichever machines they are on."""
    store = StoreAddress(uri="s3://bucket/shared")
    one, other = (
        errand_job(Errand(place=Place.of(tmp_path / name, store), name="shared"))
        for name in ("one", "other")
    )

    assert one.run_key == other.run_key


@pytest.mark.parametrize(
    ("work", "plan"),
    [
        (quantize_segment, SegmentPlan),
        (capture_starts, CapturePlan),
        (answer_shard, Shard),
        (compare_models, FidelityPlan),
    ],
)
def test_no_work_for_another_engine_begins(work: Flow[..., Any], plan: type[WorkPlan]) -> None:
    """It is refused before anything else of the plan is read, so nothing else is in it here."""
    with pytest.raises(
        EngineMismatchError, match=r"process \d+ has version .* for version 0-other"
    ):
        work.fn(plan.model_construct(engine="0-other"))
