"""How blocks were learned is drawn out of what they left in the store."""

import logging
from pathlib import Path

import pytest
import torch

from flows.loss_report import curve, page, publish_losses
from infra.card.facts import BlockFacts
from infra.pictures.curves import Curve
from infra.store import FolderStore
from quantcore.block import Losses, QuantizedBlock
from quantcore.grid import QuantizedWeight
from tasks.codes import read_story, write_codes
from tasks.progress import LOGGER_NAME
from tasks.specs import BlockRecord
from tests.support.evaluations import NOWHERE

LOSSES = Losses(
    nearest=0.5, chosen=0.25, signal=2.0, training=(0.5, float("nan")), checks=((0, 0.5), (2, 0.25))
)
FACTS = BlockFacts(block=1, loss_before=0.5, loss_after=0.25, chosen_iteration=2, fallback=None)
RECORD = BlockRecord(
    block=1,
    ref=NOWHERE,
    loss_before=0.5,
    loss_after=0.25,
    chosen_iteration=2,
    fallback=None,
    sqnr_db=9.0,
    seconds=1.0,
    peak_bytes=1,
    reused=False,
)


def codes_in(folder: Path, losses: Losses | None) -> Path:
    """Return the codes of a block that was learned with these losses."""
    weight = QuantizedWeight(*(torch.zeros(1, dtype=torch.uint8) for _ in QuantizedWeight._fields))
    kept = 0 if losses is None else 2
    block = QuantizedBlock(
        weights={"w": weight}, losses=losses, chosen_iteration=kept, fallback=None
    )
    write_codes(folder / "codes.safetensors", block, {"block": 1})
    return folder / "codes.safetensors"


def test_a_curve_is_what_the_block_left_behind(tmp_path: Path) -> None:
    """A loss that was not finite has no place on it."""
    assert curve(1, read_story(codes_in(tmp_path, LOSSES))) == Curve(
        block=1, nearest=0.5, training=(0.5, None), checks=((0, 0.5), (2, 0.25)), chosen=2
    )


def test_a_block_that_was_only_rounded_has_an_empty_curve(tmp_path: Path) -> None:
    """Nothing was measured."""
    assert curve(1, read_story(codes_in(tmp_path, None))) == Curve(1, None, (), (), 0)


def test_the_page_holds_both_pictures_and_stays_small(tmp_path: Path) -> None:
    """The error by block, and the curves; a database holds every page of every run."""
    drawn = curve(1, read_story(codes_in(tmp_path, LOSSES)))
    told = page("pile", [FACTS] * 28, [drawn] * 28)

    assert told.startswith("# pile: error by block\n\n![pile: error of each block](data:image/png")
    assert "![pile: losses of each block by steps](data:image/svg+xml;base64," in told
    assert len(told) < 100_000


def test_a_block_that_is_gone_costs_the_pictures_and_not_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A line says which and why."""
    with caplog.at_level(logging.INFO, LOGGER_NAME):
        publish_losses("pile", [RECORD], FolderStore(tmp_path))

    assert caplog.messages[0].startswith("pile: the losses are not drawn: ")


def test_nothing_is_drawn_where_nothing_was_learned(tmp_path: Path) -> None:
    """Round-to-nearest leaves no losses; the store is not even asked."""
    nearest = RECORD.model_copy(update={"loss_before": None, "loss_after": None})
    publish_losses("rtn", [nearest], FolderStore(tmp_path / "nowhere"))
