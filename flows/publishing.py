"""Publish what the gate let through: sample answers, the card, both formats, and links to them."""

from collections.abc import Callable
from pathlib import Path

from flows.evaluate import BASELINE
from flows.facts import release_facts
from flows.recipe import PublishSpec, Recipe
from flows.results import Evaluation, RunResult
from infra.card.facts import ReleaseFacts
from infra.models.source import ModelSource
from infra.publishing.published import Content, Published
from infra.store import Place
from tasks.evalspecs import Subject
from tasks.generations import GenerationRequest, Generations, sample_generations
from tasks.progress import say
from tasks.push import PushRequest, look_at_target, push_release
from tasks.specs import CalibrationRef
from tasks.telling import artifact_key, tell_markdown


def look_before_publishing(recipe: Recipe) -> None:
    """Refuse in the first seconds a release that could not be published at the end.

    Raises:
        PublishError: There is no token, or the Hub does not let it write.
        HubUnreachableError: The Hub does not answer.
    """
    publish = recipe.publish
    if publish is not None:
        look_at_target(publish.target(publish.endpoint), publish.token, publish.signing_key)


def publish_chosen(
    recipe: Recipe,
    result: RunResult,
    text: CalibrationRef | None,
    place: Place,
    *,
    confirm: Callable[[], None],
) -> Published:
    """Publish the variant that a run chose, with a card that tells what was measured.

    Args:
        recipe: What was asked for; its Hub has an address.
        result: What the run gave, let through by the gate or by a person.
        text: The held-out text, for the commit that it was drawn at.
        place: Where work is kept, and found again.
        confirm: Refuses where another process has taken this run over; asked last of all.

    Raises:
        PublishError: The Hub refuses; the message says what is there now.
        LeaseLostError: Another process has taken this run over.
        InfraError: An export, a table or the disk refuses.
    """
    variant = result.chosen
    folders = variant.export.folders
    content = Content(auto_round=folders["auto_round"], auto_gptq=folders["auto_gptq"])
    answers = sample_answers(
        recipe, variant.name, variant.examined, result.source, result.evaluation, place
    )
    facts = release_facts(recipe, result, answers, text=text)
    confirm()
    return publish_facts(recipe, content, facts, answers, place)


def sample_answers(
    recipe: Recipe,
    name: str,
    examined: Path,
    source: ModelSource,
    evaluation: Evaluation | None,
    place: Place,
) -> Generations | None:
    """Let both models answer a few questions for the card; None: there are no tables to ask from.

    Args:
        recipe: How questions are asked.
        name: The variant.
        examined: Its folder that was evaluated, whose digest is known from there.
        source: The 16-bit model.
        evaluation: What was shown of both.
        place: Where work is kept, and found again.

    Raises:
        InfraError: A model or a table refuses.
    """
    if recipe.benchmarks is None or evaluation is None or not evaluation.tables:
        return None
    say(f"{name}: answering a few questions for the card")
    digest = next(model.digest for model in evaluation.models if model.name == name)
    return sample_generations(
        GenerationRequest(
            baseline=Subject(name=BASELINE, source=source),
            candidate=Subject(name=name, source=ModelSource(path=examined, digest=digest)),
            tables=evaluation.tables,
            asked=recipe.benchmarks,
            compute=recipe.own_compute,
            place=place,
        )
    )


def publish_facts(
    recipe: Recipe,
    content: Content,
    facts: ReleaseFacts,
    answers: Generations | None,
    place: Place,
) -> Published:
    """Publish both exports with the card of ``facts``, and put the links on the page of the run.

    Raises:
        PublishError: The Hub refuses; the message says what is there now.
        InfraError: An export or the disk refuses.
    """
    publish = recipe.publish
    assert publish is not None  # noqa: S101 -- the caller has looked
    say(f"{facts.variant}: publishing {publish.tag} to {publish.repo_id}")
    published = push_release(
        PushRequest(
            target=publish.target(publish.endpoint),
            content=content,
            facts=facts,
            pictures={} if answers is None else answers.pictures,
            signing_key=publish.signing_key,
            token=publish.token,
            place=place,
        )
    )
    tell_markdown(
        links(published, publish),
        key=artifact_key("release", recipe.name),
        description=f"{recipe.name}: {published.version}, as it was published",
    )
    say(f"{facts.variant}: published as {published.repo_id}@{published.main.short}")
    return published


def links(published: Published, publish: PublishSpec) -> str:
    """Return the page with the pinned revisions, each a link to the Hub."""
    main, gptq = published.main, published.gptq
    rows = (
        ("auto_round", main.repo_id, publish.branch, main.tag, main.commit),
        ("auto_gptq", gptq.repo_id, publish.target(None).gptq_place[1], gptq.tag, gptq.commit),
    )
    card = f"{published.endpoint}/{main.repo_id}/blob/{main.commit}/README.md"
    places = (
        f"- {kind}: [{commit}]({published.endpoint}/{repo_id}/tree/{commit}), tag `{tag}` on the "
        f"branch `{branch}` of {repo_id}"
        for kind, repo_id, branch, tag, commit in rows
    )
    head = f"# {published.repo_id} {published.version}\n\n[The model card]({card})"
    return "\n".join([head, "", "Pinned revisions:", "", *places]) + "\n"
