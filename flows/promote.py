"""Promote a candidate: what was tagged in a staging repository is released as it is.

Nothing is quantized again.  The candidate is taken apart to the very files that were exported,
verified, examined beside the 16-bit model that it was made from, judged, and published.  Answers
that this store holds of the same files are not given again.
"""

from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from flows import approval
from flows.errors import VerificationError
from flows.evaluate import BASELINE, draw_material, evaluate
from flows.facts import promoted_facts
from flows.publishing import look_before_publishing, publish_facts, sample_answers
from flows.recipe import PublishSpec, Recipe
from flows.results import Candidates, Evaluation
from infra.errors import CandidateError
from infra.models.source import ModelSource
from infra.store import Place
from tasks.candidate import (
    CandidateRequest,
    FetchedCandidate,
    fetch_candidate,
    verify_candidate,
)
from tasks.evalspecs import EvaluationPlan, Subject
from tasks.progress import say
from tasks.resolve import resolve_model


class Promotion(Candidates):
    """What became of a candidate."""

    repo_id: str = Field(description="The staging repository.")
    commit: str = Field(description="The tagged commit.")
    source: ModelSource = Field(description="The 16-bit model that it was made from.")


@flow(name="promote", flow_run_name="{recipe.publish.tag} from {repo_id}", persist_result=False)
def promote_candidate(
    recipe: Recipe, repo_id: str, commit: str, workspace: Path, *, approve_hold: bool = False
) -> Promotion | State[Promotion]:
    """Verify, judge and publish the candidate at a commit of a staging repository.

    Args:
        recipe: By what it is judged, and where it is published.
        repo_id: The staging repository, on the Hub that is published to.
        commit: The 40 digits of the tagged commit.
        workspace: Folder of this machine for the store, caches and servers.
        approve_hold: Go on where the gate is not sure.

    Raises:
        CandidateError: What is tagged is no sound candidate, or nothing would judge it.
        VerificationError: A checkpoint of it is not sound.
        InfraError: The Hub, the model, the data or the disk refuses.
    """
    publish, place = _target(recipe), recipe.at(workspace)
    look_before_publishing(recipe)
    candidate = fetch_candidate(
        CandidateRequest(
            endpoint=publish.endpoint,
            repo_id=repo_id,
            commit=commit,
            token=publish.token,
            folder=place.local / "candidates",
        )
    )
    _require_sound(verify_candidate(candidate.content), repo_id, commit)
    source = _source(recipe, candidate, place)
    evaluation = _judged(recipe, candidate, source, place)
    found = Promotion(repo_id=repo_id, commit=commit, source=source, evaluation=evaluation)
    settled = approval.settle(found, recipe.gate, approve_hold=approve_hold)
    if not isinstance(settled, Promotion):
        return settled
    name, examined = candidate.facts.variant, candidate.content.auto_round
    answers = sample_answers(recipe, name, examined, source, evaluation, place)
    facts = promoted_facts(candidate.facts, recipe, evaluation, settled.approval).model_copy(
        update={"generations": None if answers is None else answers.facts}
    )
    published = publish_facts(recipe, candidate.content, facts, answers, place)
    return settled.model_copy(update={"published": published})


def _target(recipe: Recipe) -> PublishSpec:
    if recipe.publish is None or recipe.benchmarks is None:
        raise CandidateError(
            f"The recipe {recipe.name} cannot promote a candidate: it needs a publish section, "
            "which says where to, and a benchmarks section, by which the candidate is judged."
        )
    return recipe.publish


def _require_sound(problems: tuple[str, ...], repo_id: str, commit: str) -> None:
    if problems:
        raise VerificationError(
            f"The candidate {repo_id} at {commit[:7]} failed its verification: "
            f"{'; '.join(problems)}. Nothing was published."
        )


def _source(recipe: Recipe, candidate: FetchedCandidate, place: Place) -> ModelSource:
    """Return the 16-bit model, which must be the very one that the candidate was made from."""
    told = candidate.facts.source
    location = told.repo_id or recipe.model.location
    revision = told.commit if told.repo_id else recipe.model.revision
    source = resolve_model(location, revision, place)
    if source.digest != told.digest:
        raise CandidateError(
            f"The candidate was made from another 16-bit model than {location}: digest "
            f"{told.digest[:12]} and not {source.digest[:12]}. Name the model that it was made "
            "from in model.source of the recipe."
        )
    return source


def _judged(
    recipe: Recipe, candidate: FetchedCandidate, source: ModelSource, place: Place
) -> Evaluation:
    """Examine the candidate beside its 16-bit model, by the recipe's benchmarks and gate."""
    name, facts = candidate.facts.variant, candidate.facts
    say(f"{name}: judging the candidate")
    material = draw_material(recipe.benchmarks, recipe.evaluation.text, source, place)
    subject = Subject(
        name=name, source=resolve_model(str(candidate.content.auto_round), None, place)
    )
    return evaluate(
        EvaluationPlan(
            name=f"{recipe.name} {facts.variant}",
            baseline=Subject(name=BASELINE, source=source),
            candidates=(subject,),
            round_to_nearest=frozenset({name} if facts.method.iters == 0 else ()),
            asked=recipe.benchmarks,
            tables=material.tables,
            text=material.text,
            gate=recipe.gate,
            compute=recipe.compute,
            workers=recipe.workers,
            place=place,
        )
    )
