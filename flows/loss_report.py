"""Show on the page of a run how each block of a variant was learned, in two pictures."""

from collections.abc import Sequence
from typing import Any

from infra.card.facts import BlockFacts
from infra.card.losses import draw_losses, learned
from infra.errors import StoreError
from infra.pictures.curves import Curve, draw_curves
from infra.pictures.inline import PNG, SVG, inline
from infra.store import Store
from tasks.codes import read_story
from tasks.progress import say
from tasks.specs import BlockRecord
from tasks.telling import artifact_key, tell_markdown

NOTE = (
    "Mean squared error of each block's output against the 16-bit block's, by steps of sign "
    "descent. What is kept is chosen on the held-out samples, and is never worse on them than "
    "round-to-nearest."
)


def publish_losses(variant: str, records: Sequence[BlockRecord], store: Store) -> None:
    """Draw the losses of a variant's blocks, which are in the store beside their codes.

    Nothing is drawn where nothing was learned.  A picture is no reason to lose a run: where the
    store does not give a block any more, a line says so.

    Args:
        variant: What is drawn.
        records: One a block; their codes are on this machine if an export has just read them.
        store: Where the codes are.
    """
    blocks = [_facts(record) for record in records]
    if not learned(blocks):
        return
    try:
        curves = [_curve(record, store) for record in records]
    except StoreError as error:
        say(f"{variant}: the losses are not drawn: {error}")
        return
    tell_markdown(
        page(variant, blocks, curves),
        key=artifact_key("losses", variant),
        description=f"{variant}: error of each block, and how it was learned",
    )


def page(variant: str, blocks: Sequence[BlockFacts], curves: Sequence[Curve]) -> str:
    """Return the page with both pictures."""
    errors = inline(draw_losses(blocks), PNG, f"{variant}: error of each block")
    steps = inline(draw_curves(curves), SVG, f"{variant}: losses of each block by steps")
    return f"# {variant}: error by block\n\n{errors}\n\n## Loss curves\n\n{NOTE}\n\n{steps}\n"


def curve(block: int, story: dict[str, Any]) -> Curve:
    """Return the curve in the story of a block."""
    losses = story["losses"] or {}
    return Curve(
        block=block,
        nearest=losses.get("nearest"),
        training=tuple(losses.get("training", ())),
        checks=tuple((steps, loss) for steps, loss in losses.get("checks", ())),
        chosen=story["chosen_iteration"],
    )


def _curve(record: BlockRecord, store: Store) -> Curve:
    return curve(record.block, read_story(store.open(record.ref)))


def _facts(record: BlockRecord) -> BlockFacts:
    told = set(BlockFacts.model_fields)
    return BlockFacts.model_validate(record.model_dump(include=told))
