"""From facts to the card: the template is a file, and everything in it comes from the facts."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2

from infra.card import escape, numbers
from infra.card.caveats import caveats
from infra.card.facts import LoaderFacts, Publication, ReleaseFacts
from infra.card.losses import learned
from infra.card.metadata import front_matter
from infra.evaluation.verdict import Finding

TEMPLATES = Path(__file__).with_name("templates")
TEMPLATE = "card.md.jinja"
LOSSES = "images/losses.png"
LONGEST_ANSWER = 128  # tokens; where no sample answers say another
_ENGINE = ("engine", "version", "dtype", "mode")


def render(facts: ReleaseFacts) -> str:
    """Return the card of a release that has names.

    Args:
        facts: What is told; ``published`` says for which of the two revisions.
    """
    published = _names_of(facts)
    template = _environment().get_template(TEMPLATE)
    return template.render(**_view(facts, published)).rstrip() + "\n"


def title_of(published: Publication) -> str:
    """Return what the card calls the model: its repository without the owner."""
    return published.repo_id.partition("/")[2]


def _names_of(facts: ReleaseFacts) -> Publication:
    if facts.published is None:
        message = f"{facts.name} has no names yet under which a card could say how to load it"
        raise ValueError(message)
    return facts.published


def _view(facts: ReleaseFacts, published: Publication) -> dict[str, Any]:
    """Return the names that the template uses."""
    own = published.format == "auto_gptq"
    told, title = facts.generations, title_of(published)
    samples = () if told is None else told.samples
    return {
        "facts": facts,
        "source": facts.source,
        "method": facts.method,
        "weights": facts.weights,
        "evaluation": facts.evaluation,
        "columns": _columns(facts),
        "generations": told,
        "approval": facts.approval,
        "published": published,
        "title": title,
        "front_matter": front_matter(facts, title),
        "gptq_name": published.gptq_short or published.gptq_tag,
        "own_repo": published.gptq_repo_id if own else published.repo_id,
        "own_revision": published.gptq_tag if own else published.version,
        "requirements": lambda kind: requirements(facts.loader(kind)),
        "samples": samples,
        "sample": samples[0] if samples else None,
        "capped": any(each.int4_capped or each.full_capped for each in samples),
        "longest": LONGEST_ANSWER if told is None else told.max_new_tokens,
        "sets": (*facts.calibration, *([facts.held_out] if facts.held_out else ())),
        "against": _against(facts),
        "learned": bool(learned(facts.blocks)),
        "plot": LOSSES,
        "caveats": caveats(facts),
    }


def requirements(loader: LoaderFacts) -> str:
    """Return the command that installs what reads a format."""
    wanted = (escape.shell(f"{name}>={version}") for name, version in loader.packages.items())
    return f"pip install {' '.join(wanted)}"


def _against(facts: ReleaseFacts) -> tuple[Finding, ...]:
    """Return the findings for which the gate did not let the variant pass."""
    if facts.evaluation is None:
        return ()
    verdict = facts.evaluation.verdict(facts.variant)
    return () if verdict.outcome == "pass" else verdict.decisive


def _columns(facts: ReleaseFacts) -> list[str]:
    """Return the heads of the variants' columns."""
    variants = () if facts.evaluation is None else facts.evaluation.variants
    return [f"{escape.cell(name)} INT{facts.method.bits}" for name in variants]


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    """Return the template's environment; a name that it does not know is an error.

    HTML is not what is written here, so Jinja's own escaping would be wrong in most places.  Each
    value has a filter that knows its place instead, and a test tries what breaks Markdown.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=False,  # noqa: S701 -- see above
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        text=escape.text,
        cell=escape.cell,
        code=escape.code,
        python=escape.python,
        shell=escape.shell,
        count=numbers.count,
        points=numbers.points,
        percent=numbers.percent,
        score=numbers.score,
        flips=numbers.flips,
        size=numbers.size,
        nats=numbers.nats,
        perplexity=numbers.perplexity,
        loss=numbers.loss,
        share=numbers.share,
        engine=_engine,
    )
    return environment


def _engine(told: Mapping[str, str | int]) -> str:
    """Return what answered, in words."""
    return " ".join(str(told[name]) for name in _ENGINE if name in told)
