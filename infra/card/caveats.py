"""What a user should know of this release in particular; the template says what holds of all."""

from collections.abc import Iterator

from infra.card.facts import ReleaseFacts


def caveats(facts: ReleaseFacts) -> tuple[str, ...]:
    """Return the sentences that apply to a release, the weightiest first."""
    return tuple(_caveats(facts))


def _caveats(facts: ReleaseFacts) -> Iterator[str]:
    told = facts.evaluation
    if told is None:
        yield "No benchmark was asked of this model before it was published."
    elif told.outcome(facts.variant) != "pass":
        yield (
            f"The release gate says {told.outcome(facts.variant)}, not pass: look at its findings "
            "before you use this model."
        )
    left = [block for block in facts.blocks if block.fallback is not None]
    if left:
        names = ", ".join(str(block.block + 1) for block in left)
        yield f"Blocks that could not be learned and are rounded to nearest: {names}."
    if told is not None:
        yield from (f"{each.name}: {note}" for each in told.benchmarks for note in each.notes)
    packages = {name for each in facts.loaders for name in each.packages}
    yield (
        f"Roundhouse's tests load these layouts with {', '.join(sorted(packages))}, a small model "
        "on a CPU. Other software (vLLM, SGLang) reads them too, and was not tried."
    )
