"""What the Hub reads of a card: the YAML at its head."""

from huggingface_hub import ModelCardData

from infra.card import escape
from infra.card.facts import ReleaseFacts
from infra.card.results import TASK, model_index

LIBRARY = "transformers"
_METHOD_TAGS = ("auto-round", "gptq")
_BITS = {2: "2-bit", 3: "3-bit", 4: "4-bit", 8: "8-bit"}


def front_matter(facts: ReleaseFacts, title: str) -> str:
    """Return the YAML of the card, without the lines of dashes around it.

    Args:
        facts: What is told.
        title: The name of the model, which its results are listed under.
    """
    results = model_index(facts)
    source = facts.source
    data = ModelCardData(
        base_model=source.repo_id,
        base_model_relation="quantized" if source.repo_id else None,
        datasets=_datasets(facts) or None,
        eval_results=results or None,
        language=[escape.plain(each) for each in source.languages] or None,
        library_name=LIBRARY,
        license=_word(source.license),
        license_name=_word(source.license_name),
        license_link=_word(source.license_link),
        model_name=title if results else None,
        pipeline_tag=TASK,
        tags=_tags(facts),
    )
    return data.to_yaml().strip()


def _word(value: str | None) -> str | None:
    """Return what another card says so that YAML can hold it, which not every line end can."""
    return None if value is None else escape.plain(value)


def _datasets(facts: ReleaseFacts) -> list[str]:
    """Return the calibration set of the released variant, if it is on the Hub."""
    learned = facts.calibrated_on
    return [] if learned is None or learned.repo_id is None else [learned.repo_id]


def _tags(facts: ReleaseFacts) -> list[str]:
    bits = facts.method.bits
    return [
        *_METHOD_TAGS,
        f"int{bits}",
        _BITS.get(bits, f"{bits}-bit"),
        "signround",
        facts.tool.name,
    ]
