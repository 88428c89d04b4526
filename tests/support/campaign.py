"""Runs of one recipe whose processes are killed, and what came of each."""

import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from infra.files import sha256_of
from tests.support.cluster import BUCKET, Cluster
from tests.support.evidence import Block, blocks_in, results_in
from tests.support.kills import KINDS, strike

COMMANDS = 6  # times that the same command is given, at most
AGAIN_SECONDS = 2.0  # until a person has seen that the main flow died, and gives the command again
PATIENCE_SECONDS = 900.0
POLL_SECONDS = 0.2
DEPLOYMENT = "quantize/on-demand"


class Planned(NamedTuple):
    """A kill that is to come."""

    kind: str
    pause: float  # seconds since the kill before it, or since the run began


class Killed(NamedTuple):
    """A kill that has happened."""

    kind: str
    target: str
    pids: tuple[int, ...]  # with those that may have ended with it
    at: float  # seconds since the run began
    moment: float  # seconds since the epoch


class Outcome(NamedTuple):
    """How a run ended, with however many commands."""

    seconds: float
    commands: int
    killed: tuple[Killed, ...]
    sums: dict[str, str]  # SHA-256 of each file of each export
    blocks: tuple[Block, ...]
    results: tuple[float, ...]  # when each was put on record, in seconds since the epoch


@dataclass
class Campaign:
    """The recipe, and the kills that are still to come."""

    cluster: Cluster
    recipe: dict[str, Any]
    planned: deque[Planned]
    random: random.Random
    outcomes: list[Outcome] = field(default_factory=list)

    def run(self, name: str, kills: int) -> Outcome:
        """Carry out the recipe in a store and a folder of this name, and kill meanwhile."""
        outcome = _Run(self, name, kills).carried_out()
        self.outcomes.append(outcome)
        return outcome


class _Run:
    """One run under way."""

    def __init__(self, campaign: Campaign, name: str, kills: int) -> None:
        self._campaign = campaign
        self._name = name
        self._recipe = placed(campaign.recipe, campaign.cluster, name)
        self._kills = kills
        self._killed: list[Killed] = []
        self._commands = 0
        self._began = time.monotonic()
        self._due = self._next_due()

    def carried_out(self) -> Outcome:
        """Give the command, as often as it takes."""
        while not self._ends_well(self._command()):
            assert self._commands < COMMANDS, self._killed
        cluster = self._campaign.cluster
        return Outcome(
            seconds=time.monotonic() - self._began,
            commands=self._commands,
            killed=tuple(self._killed),
            sums=export_sums(Path(self._recipe["export"]["output_dir"])),
            blocks=blocks_in(cluster.journal, f"{BUCKET}/{self._name}"),
            results=results_in(cluster.journal, f"{BUCKET}/{self._name}"),
        )

    def _command(self) -> UUID:
        self._commands += 1
        cluster = self._campaign.cluster
        parameters = {"recipe": self._recipe, "workspace": str(cluster.workspace_of("cpu"))}
        return cluster.submit(DEPLOYMENT, parameters, self._name).id

    def _ends_well(self, run: UUID) -> bool:
        """Wait for the end of a run, kill what is due, and return whether it completed."""
        while True:
            state = self._campaign.cluster.run(run).state
            assert state is not None
            if state.is_final():
                return state.is_completed()
            assert time.monotonic() - self._began < PATIENCE_SECONDS, (state, self._killed)
            if time.monotonic() >= self._due and self._kill(run):
                time.sleep(AGAIN_SECONDS)
                return False
            time.sleep(POLL_SECONDS)

    def _kill(self, run: UUID) -> bool:
        """Kill what is next, if it is there; return whether that was the main flow."""
        campaign = self._campaign
        kind = campaign.planned[0].kind
        target = KINDS[kind](campaign.cluster, run, campaign.random)
        if target is None:
            return False
        strike(target)
        at = time.monotonic() - self._began
        pids = target.pids + target.takes
        self._killed.append(Killed(kind, target.name, pids, at, time.time()))
        campaign.planned.popleft()
        self._due = self._next_due()
        return kind == "main flow"

    def _next_due(self) -> float:
        planned = self._campaign.planned
        if len(self._killed) == self._kills or not planned:
            return float("inf")
        return time.monotonic() + planned[0].pause


def placed(recipe: dict[str, Any], cluster: Cluster, name: str) -> dict[str, Any]:
    """Return a recipe with a store and an output folder of this name, and no other change."""
    store = {"uri": f"s3://{BUCKET}/{name}", "endpoint": cluster.endpoint}
    export = recipe["export"] | {"output_dir": str(cluster.folder / "exports" / name)}
    return recipe | {"store": store, "export": export}


def export_sums(output: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of each export, by its path."""
    files = [path for path in sorted(output.glob("auto_*/**/*")) if path.is_file()]
    assert files, f"{output} holds no export"
    return {str(path.relative_to(output)): sha256_of(path) for path in files}


def plan(
    kinds: Sequence[str], chance: random.Random, shortest: float, longest: float
) -> deque[Planned]:
    """Return kills of all ``kinds`` in a random order at random moments."""
    order = chance.sample(kinds, len(kinds))
    return deque(Planned(kind, chance.uniform(shortest, longest)) for kind in order)
