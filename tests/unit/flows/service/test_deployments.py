"""Every deployment can be imported, takes the parameters that it is given, and is limited."""

import inspect
import shlex
from importlib import import_module
from typing import Any

import pytest
import yaml
from prefect import Flow

from flows.service import beginning
from flows.service.rendering import PACKAGED

DOCUMENT: dict[str, Any] = yaml.safe_load(PACKAGED.read_text(encoding="utf-8"))
DEPLOYMENTS: list[dict[str, Any]] = DOCUMENT["deployments"]
NAMES = [
    "quantize/scheduled", "quantize/on-demand", "evaluate/on-demand", "release/on-tag",
    "watch-tags/every-5-minutes", "quantize-segment/gpu", "capture-starts/gpu",
    "answer-benchmarks/gpu", "compare-predictions/gpu",
]  # fmt: skip


def flow_of(deployment: dict[str, Any]) -> Flow[..., Any]:
    """Return the flow that an entrypoint names."""
    module, name = deployment["entrypoint"].split(":")
    found = getattr(import_module(module), name)
    assert isinstance(found, Flow)
    return found


def test_all_that_a_service_offers_is_there() -> None:
    """Once, by the names that people and parents start it by."""
    found = [f"{flow_of(each).name}/{each['name']}" for each in DEPLOYMENTS]

    assert sorted(found) == sorted(NAMES)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda each: each["entrypoint"])
def test_a_deployment_gives_its_flow_only_what_it_takes(deployment: dict[str, Any]) -> None:
    """A misspelled parameter would be found when it is too late."""
    taken = inspect.signature(flow_of(deployment).fn).parameters

    assert set(deployment.get("parameters", {})) <= set(taken)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda each: each["entrypoint"])
def test_parents_and_children_have_pools_of_their_own(deployment: dict[str, Any]) -> None:
    """In one pool of one-run workers a parent would wait for a child that waits for its slot."""
    takes_a_plan = "plan" in inspect.signature(flow_of(deployment).fn).parameters

    assert deployment["work_pool"]["name"] == ("gpu" if takes_a_plan else "cpu")
    assert ("concurrency_limit" in deployment) != takes_a_plan  # a worker's own limit is enough


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda each: each["entrypoint"])
def test_every_run_is_heard_of_from_the_beginning_of_its_process(
    deployment: dict[str, Any],
) -> None:
    """Prefect's own command says nothing before the flow is imported."""
    command = deployment["work_pool"]["job_variables"]["command"]

    assert shlex.split(shlex.split(command)[-1])[-2:] == ["-m", beginning.__name__]


def test_nothing_is_lost_but_a_second_look() -> None:
    """Runs of people and schedules wait for their turn; only a look at tags may be dropped."""
    dropped = [
        each["entrypoint"]
        for each in DEPLOYMENTS
        if each.get("concurrency_limit", {}).get("collision_strategy") == "CANCEL_NEW"
    ]
    assert dropped == ["flows.watch:watch_tags"]


def test_schedules_can_be_told_apart_and_say_whether_they_are_active() -> None:
    """Without both, registering again doubles them, or activates what a person has paused."""
    schedules = [schedule for each in DEPLOYMENTS for schedule in each.get("schedules", ())]

    assert len(schedules) == 2
    assert all({"slug", "active"} <= schedule.keys() for schedule in schedules)


def test_nothing_is_pulled() -> None:
    """Workers have the package; a default step would look for a git repository."""
    assert DOCUMENT["pull"] == []


def test_a_look_that_hangs_ends_before_the_next_one() -> None:
    """It would hold the only slot, and every later look would be dropped."""
    watcher = next(each for each in DEPLOYMENTS if each["name"] == "every-5-minutes")

    limit = flow_of(watcher).timeout_seconds
    assert limit is not None
    assert limit < watcher["schedules"][0]["interval"]
