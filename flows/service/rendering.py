"""From the packaged `prefect.yaml` to that of one service: recipes, workspace and schedule set."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import yaml

import infra
from flows.service.recipes import Served, as_json

PACKAGED = Path(infra.__file__).parent / "deploy" / "prefect.yaml"
QUANTIZE, WATCH = "quantize", "watch-tags"  # slugs of the schedules
Document = dict[str, Any]
SCHEDULED = "flows.scheduled:quantize_scheduled"
ON_DEMAND = "flows.quantize:quantize_model"
ON_TAG = "flows.release:release_tag"
WATCHER = "flows.watch:watch_tags"


class Told(NamedTuple):
    """What a service puts into its deployments."""

    recipes: Sequence[Served]
    workspace: Path
    schedule: str | None


def render(told: Told) -> Document:
    """Return the document that a service's deployments are registered by."""
    packaged = yaml.safe_load(PACKAGED.read_text(encoding="utf-8"))
    document: Document = _filled(packaged, told)
    document.pop("definitions", None)  # only anchors, which are resolved by now
    for deployment in document["deployments"]:
        own = _parameters(deployment["entrypoint"], told)
        if own:
            deployment["parameters"] = deployment["parameters"] | own
        deployment["schedules"] = _schedules(deployment, told)
    return document


def schedules_in(document: Document) -> dict[str, set[str]]:
    """Return the slugs of the schedules that each entrypoint's deployment should have."""
    return {
        each["entrypoint"]: {schedule["slug"] for schedule in each["schedules"]}
        for each in document["deployments"]
    }


def with_activity(document: Document, active: Mapping[str, bool]) -> Document:
    """Return the document with schedules as active as they are now: a pause is a person's.

    Args:
        document: As `render` returns it.
        active: By slug, of the schedules that are registered already.
    """
    deployments = [
        each | {"schedules": [_as_active(schedule, active) for schedule in each["schedules"]]}
        for each in document["deployments"]
    ]
    return document | {"deployments": deployments}


def _as_active(schedule: Document, active: Mapping[str, bool]) -> Document:
    return schedule | {"active": active.get(schedule["slug"], schedule["active"])}


def with_triggers(document: Document, enabled: Mapping[str, bool]) -> Document:
    """Return the document with triggers as enabled as their automations are now, by name."""
    deployments = [
        each
        | {
            "triggers": [
                trigger | {"enabled": enabled.get(trigger["name"], trigger["enabled"])}
                for trigger in each.get("triggers", ())
            ]
        }
        for each in document["deployments"]
    ]
    return document | {"deployments": deployments}


def _filled(value: Any, told: Told) -> Any:
    """Put the variables of the file in, wherever they stand."""
    variables = {
        "{{ $ROUNDHOUSE_VERSION }}": version("roundhouse"),
        "{{ $ROUNDHOUSE_WORKSPACE }}": str(told.workspace),
    }
    if isinstance(value, dict):
        return {key: _filled(each, told) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, told) for each in value]
    return variables.get(value, value) if isinstance(value, str) else value


def _parameters(entrypoint: str, told: Told) -> Document:
    """Return what a service's own recipes make of a deployment's parameters."""
    paths = [str(each.path) for each in told.recipes]
    watched = [str(each.path) for each in told.recipes if each.recipe.watched]
    own: dict[str, Document] = {
        SCHEDULED: {"recipes": paths},
        ON_DEMAND: {"recipe": as_json(told.recipes[0].recipe)},
        ON_TAG: {"recipes": watched},
        WATCHER: {"recipes": watched},
    }
    return own.get(entrypoint, {})


def _schedules(deployment: Document, told: Told) -> list[Document]:
    """Return a deployment's schedules: without recipes to watch, or a cron, there is none."""
    watches = any(each.recipe.watched for each in told.recipes)
    if deployment["entrypoint"] == WATCHER:
        return list(deployment["schedules"]) if watches else []
    if deployment["entrypoint"] == SCHEDULED:
        (schedule,) = deployment["schedules"]
        cron = {"cron": told.schedule, "active": True}
        return [schedule | cron] if told.schedule else []
    return []
