"""A worker knows its own engine, and refuses to mix it with another."""

import os
from pathlib import Path

import pytest

from infra.environment import RUN, WORKSPACE
from infra.errors import EngineMismatchError
from infra.store import Place
from tasks.specs import WorkPlan
from tasks.versions import own_engine
from tasks.worker import require_engine, taken


def test_the_same_engine_is_welcome() -> None:
    """Equal versions pass without a word."""
    require_engine("7", own="7")


def test_another_engine_is_told_apart_by_worker_and_versions() -> None:
    """The message names the process, both versions, and what to do."""
    with pytest.raises(EngineMismatchError) as refused:
        require_engine("8", own="7")

    told = str(refused.value)
    assert f"process {os.getpid()} has version 7" in told
    assert "for version 8" in told
    assert "Install the same release" in told


def test_a_plan_is_carried_out_in_the_workspace_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store stays the one that it names; scratch files and caches go where the worker says."""
    place = Place.of(tmp_path / "of the parent", Place(workspace=tmp_path).store)
    plan = WorkPlan(place=place)
    monkeypatch.setenv(WORKSPACE, str(tmp_path / "own"))
    monkeypatch.setenv(RUN, "8f2c")
    here = taken(plan).place

    assert here.workspace == tmp_path / "own"
    assert here.store == place.store


def test_who_carries_out_a_plan_of_its_own_stays_where_it_was_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flag goes before the environment, also for what is done in the same process."""
    plan = WorkPlan(place=Place.of(tmp_path / "named", Place(workspace=tmp_path).store))
    monkeypatch.setenv(WORKSPACE, str(tmp_path / "usual"))
    monkeypatch.delenv(RUN, raising=False)

    assert taken(plan) == plan


def test_a_plan_of_another_engine_is_not_taken(tmp_path: Path) -> None:
    """Whatever it is about."""
    assert WorkPlan(place=Place(workspace=tmp_path)).engine == own_engine()
    with pytest.raises(EngineMismatchError, match="0-other"):
        taken(WorkPlan(place=Place(workspace=tmp_path), engine="0-other"))
