"""A tag was set: release what it names, once.

On a source repository the tagged commit is quantized by the recipe, from the beginning.  On a
staging repository the tagged candidate itself is verified, judged and published; nothing is
quantized again.  Either way the version is in the tag, and the key, which is repository, tag and
commit, makes it happen once, however often and by whichever way it is told.
"""

from pathlib import Path
from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import Field

from flows.approval import HELD, REFUSED
from flows.promote import Promotion, promote_candidate
from flows.quantize import quantize_model
from flows.recipe import Recipe
from flows.results import Evaluation, RunResult
from flows.watched import Answer, answer_to
from infra.publishing.published import Published
from infra.store import open_store
from infra.triggers.claim import claimed
from infra.triggers.key import TagKey
from infra.triggers.ledger import Ledger, Outcome
from infra.triggers.pattern import TagPattern
from tasks.progress import say
from tasks.specs import Spec
from tasks.tags import confirm_tag, scope_of

ALREADY = "AlreadyReleased"
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]


class ReleaseResult(Spec):
    """What became of a tag."""

    key: TagKey = Field(description="The tag.")
    version: str = Field(description="The version that it asks for.")
    outcome: Outcome = Field(description="Whether it was published, or what the gate said.")
    revision: str | None = Field(description="What it was published as: repository@commit.")
    published: Published | None = Field(
        description="All that was published; None: nothing, or by an earlier run."
    )
    evaluation: Evaluation | None = Field(description="By what it was judged, in this run.")


@flow(name="release", flow_run_name="{tag} of {repo_id}", persist_result=False)
def release_tag(
    repo_id: str,
    tag: str,
    commit: Commit,
    recipes: tuple[str, ...],
    workspace: Path,
    *,
    approve_hold: bool = False,
) -> ReleaseResult | State[ReleaseResult]:
    """Release what a tag names, unless that was done before.

    Args:
        repo_id: The repository that the tag is set in.
        tag: The tag, as in release/v1.2.0.
        commit: The 40 digits of the commit that it names.
        recipes: Recipe files, or names of packaged recipes; one of them watches the repository.
        workspace: Folder of this machine for the store, caches and servers.
        approve_hold: Go on where the gate is not sure, also after an earlier run was held.

    Returns:
        What became of it; the run ends in a state that says so.

    Raises:
        NotWatchedError: No recipe watches the repository.
        TriggerMovedError: The tag is not where it was.
        TagPatternError: The tag asks for no version.
        ReleaseUnderWayError: Another process is releasing it.
        InfraError: The model, the data, the Hub or the disk refuses.
    """
    key = TagKey(repo_id=repo_id, tag=tag, commit=commit)
    answer = answer_to(repo_id, recipes, workspace)
    version = TagPattern.parse(answer.watched.pattern).required(tag)
    store = open_store(answer.place)
    with claimed(store, key):
        ledger = Ledger(store, scope_of(answer.watched))
        earlier = _earlier(ledger, key, version, approve_hold=approve_hold)
        if earlier is not None:
            return earlier
        confirm_tag(answer.watched, key, answer.place)
        say(f"{key.words}: releasing {version} by the recipe {answer.recipe.name}")
        result = _release(answer, key, version, workspace, approve_hold=approve_hold)
        _put_on_record(ledger, result)
    return _state(result)


def _earlier(
    ledger: Ledger, key: TagKey, version: str, *, approve_hold: bool
) -> State[ReleaseResult] | None:
    """Return the outcome of an earlier run that settled this tag, if one did."""
    revision, judged = ledger.was_published(key), ledger.was_judged(key)
    if revision is None and (judged is None or approve_hold):
        return None
    message = (
        f"{key.words} was released before, as {revision}."
        if revision is not None
        else f"{key.words} was {judged} by the gate before. Approve it with `roundhouse release "
        "--approve-hold` if it was held, or set a new tag on a better commit."
    )
    result = ReleaseResult(
        key=key,
        version=version,
        outcome="published" if revision is not None else _outcome(judged),
        revision=revision,
        published=None,
        evaluation=None,
    )
    say(message)
    return Completed(name=ALREADY, message=message, data=result)


def _outcome(judged: str | None) -> Outcome:
    return "held" if judged == "held" else "refused"


def _release(
    answer: Answer, key: TagKey, version: str, workspace: Path, *, approve_hold: bool
) -> ReleaseResult:
    """Quantize what is tagged, or promote it."""
    recipe = released(answer.recipe, version)
    if answer.watched.kind == "staging":
        made = promote_candidate(
            recipe, key.repo_id, key.commit, workspace, approve_hold=approve_hold
        )
        assert isinstance(made, Promotion)  # noqa: S101 -- a state's data is what a call returns
        return _result(key, version, made.published, made.evaluation)
    run = quantize_model(pinned(recipe, key), workspace, approve_hold=approve_hold)
    assert isinstance(run, RunResult)  # noqa: S101 -- a state's data is what a call returns
    return _result(key, version, run.published, run.evaluation)


def released(recipe: Recipe, version: str) -> Recipe:
    """Return ``recipe`` with the version that is released; its folders are of that version."""
    assert recipe.publish is not None  # noqa: S101 -- a recipe without it watches nothing
    export = recipe.export.model_copy(update={"output_dir": recipe.export.output_dir / version})
    publish = recipe.publish.model_copy(update={"tag": version})
    return recipe.model_copy(update={"publish": publish, "export": export})


def pinned(recipe: Recipe, key: TagKey) -> Recipe:
    """Return ``recipe`` with its model at the tagged commit."""
    model = recipe.model.model_copy(update={"source": key.repo_id, "revision": key.commit})
    return recipe.model_copy(update={"model": model})


def _result(
    key: TagKey, version: str, published: Published | None, evaluation: Evaluation | None
) -> ReleaseResult:
    best = None if evaluation is None else evaluation.best
    outcome: Outcome = "refused" if best == "fail" else "held"
    return ReleaseResult(
        key=key,
        version=version,
        outcome=outcome if published is None else "published",
        revision=None if published is None else f"{published.repo_id}@{published.main.commit}",
        published=published,
        evaluation=evaluation,
    )


def _put_on_record(ledger: Ledger, result: ReleaseResult) -> None:
    if result.revision is not None:
        ledger.published(result.key, result.revision)
    else:
        ledger.judged(result.key, result.outcome)


def _state(result: ReleaseResult) -> ReleaseResult | State[ReleaseResult]:
    """Name the run's end after the outcome, as the main flow does."""
    if result.outcome == "published":
        return result
    name = HELD if result.outcome == "held" else REFUSED
    return Completed(name=name, message=f"{result.key.words}: {result.outcome}", data=result)
