"""A run is lost when three heartbeats are missing, and never when it has ended."""

import importlib
import pkgutil

from prefect import Flow
from prefect.events.schemas.events import ResourceSpecification

import flows
from flows.approval import HELD, REFUSED
from flows.release import ALREADY
from flows.service.automations import ENDS, GIVEN_BACK, OURS, TAKEN, lost_runs, stranded_runs
from flows.service.heartbeats import HEARTBEAT_SECONDS, PATIENCE


def test_three_heartbeats_are_waited_for() -> None:
    """One or two may be late on a busy machine; more than two minutes nobody should wait."""
    assert 3 * HEARTBEAT_SECONDS <= PATIENCE.total_seconds() < 120
    assert {trigger.within for trigger in (lost_runs().trigger, stranded_runs().trigger)} == {
        PATIENCE
    }


def test_every_way_to_end_is_heard() -> None:
    """Those that our own flows have names for, too; and that a run waits for its turn again."""
    told = lost_runs().trigger

    assert {HELD, REFUSED, ALREADY} < set(ENDS)
    assert told.expect == {f"prefect.flow-run.{name}" for name in ("heartbeat", *GIVEN_BACK, *ENDS)}


def test_a_run_that_begins_and_is_never_heard_of_is_lost() -> None:
    """Its machine may be gone before the first heartbeat: it is waited for from its beginning."""
    told = lost_runs().trigger

    assert told.after == {"prefect.flow-run.heartbeat", "prefect.flow-run.Running"}


def test_a_run_that_was_taken_and_never_begins_is_lost() -> None:
    """What its worker says on the way is no sign of its life; whatever else is heard will do."""
    told = stranded_runs().trigger

    assert told.after == {f"prefect.flow-run.{name}" for name in TAKEN}
    assert told.expect > lost_runs().trigger.expect | {"prefect.flow-run.Running"}
    assert not told.expect & told.after


def test_only_a_run_itself_is_looked_at_each_on_its_own() -> None:
    """The silence of one run says nothing of another."""
    told = lost_runs().trigger

    assert told.for_each == {"prefect.resource.id"}
    assert told.match.matches({"prefect.resource.id": "prefect.flow-run.0a"})
    assert not told.match.matches({"prefect.resource.id": "prefect.task-run.0a"})


def test_every_flow_of_ours_is_looked_after_and_no_other() -> None:
    """A flow of somebody else on the server may be silent for as long as it likes."""
    modules = [
        importlib.import_module(found.name)
        for found in pkgutil.iter_modules(flows.__path__, "flows.")
    ]
    named = {
        each.name for module in modules for each in vars(module).values() if isinstance(each, Flow)
    }

    assert set(OURS) == named
    for automation in (lost_runs(), stranded_runs()):
        assert automation.trigger.match_related == ResourceSpecification(
            {"prefect.resource.role": "flow", "prefect.resource.name": list(OURS)}
        )
