"""Any process may be killed at any moment: what comes out is what would have come out, to the byte.

The moments are random, of a seed; ROUNDHOUSE_KILL_SEED gives other ones.
"""

import os
import random
from collections import Counter
from typing import Any

import pytest

from tests.support import table
from tests.support.campaign import Campaign, Outcome, plan
from tests.support.cluster import Cluster

pytestmark = pytest.mark.timeout(2400)  # a campaign is one fixture
SEED = int(os.environ.get("ROUNDHOUSE_KILL_SEED", "5"))
KINDS = Counter({
    "run on a GPU worker": 3,
    "run with a block in hand": 4,
    "main flow": 3,
    "GPU worker": 3,
    "CPU worker": 2,
    "API process": 2,
    "both API processes": 1,
    "server's services": 2,
    "S3 server": 2,
    "Redis": 1,
    "PostgreSQL": 1,
})  # fmt: skip
RUNS = 3
SHORTEST, LONGEST = 0.03, 0.2  # time between two kills, as a share of an undisturbed run's


@pytest.fixture(scope="module")
def campaign(
    cluster: Cluster,
    recipe: dict[str, Any],
    undisturbed: Outcome,
) -> Campaign:
    """Return runs that were disturbed until all kills had happened; keep what came of them."""
    chance = random.Random(SEED)
    pauses = (SHORTEST * undisturbed.seconds, LONGEST * undisturbed.seconds)
    kills = plan(sorted(KINDS.elements()), chance, *pauses)
    running = Campaign(cluster, recipe, kills, chance)
    at_most = -(-len(kills) // RUNS)
    number = 0
    try:
        while kills:
            number += 1
            running.run(f"run-{number}", at_most)
    finally:
        table.keep(table.of(undisturbed, running.outcomes))
    return running


def test_undisturbed_no_block_is_computed_twice(undisturbed: Outcome) -> None:
    """Six blocks are begun once each, by the workers of three segments."""
    assert [len(block.begun) for block in undisturbed.blocks] == [1] * 6
    assert undisturbed.commands == 1


def test_every_kind_of_process_was_killed(campaign: Campaign) -> None:
    """At least twenty kills, of all kinds, each of a process that was alive."""
    killed = [kill.kind for outcome in campaign.outcomes for kill in outcome.killed]
    assert Counter(killed) == KINDS
    assert len(killed) >= 20


def test_exports_are_those_of_an_undisturbed_run(campaign: Campaign, undisturbed: Outcome) -> None:
    """Every file of both formats has the same SHA-256."""
    for outcome in campaign.outcomes:
        assert outcome.sums == undisturbed.sums


def test_no_finished_block_is_computed_again(campaign: Campaign) -> None:
    """What is on record is found, whoever asks and whatever has died since."""
    late = [block for outcome in campaign.outcomes for block in outcome.blocks]
    assert sum(block.after_finished for block in late) == 0


def test_a_kill_costs_at_most_the_block_in_hand(campaign: Campaign) -> None:
    """A block is begun again only where the very process was killed that had it in hand."""
    for outcome in campaign.outcomes:
        killed = {pid for kill in outcome.killed for pid in kill.pids}
        abandoned = [pid for block in outcome.blocks for pid in block.lost]
        assert set(abandoned) <= killed
        assert len(abandoned) == len(set(abandoned))


def test_only_the_main_flow_needs_the_command_again(campaign: Campaign) -> None:
    """A run comes through by itself, unless its process was killed, or ended with its worker."""
    for outcome in campaign.outcomes:
        kinds = Counter(kill.kind for kill in outcome.killed)
        least, most = kinds["main flow"], kinds["main flow"] + kinds["CPU worker"]
        assert 1 + least <= outcome.commands <= 1 + most
