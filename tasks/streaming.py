"""Run a model block by block, so that its size does not matter: memory holds one at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from torch import Tensor

from infra.calibration.sample import Sample
from quantcore.activations import Budget
from quantcore.block import advance
from quantcore.grid import QuantizedWeight
from tasks.engine import OpenModel

CodesOf = Callable[[int], Mapping[str, QuantizedWeight]]
BATCH = 8  # samples that pass through a block together


def as_it_is(_block: int) -> Mapping[str, QuantizedWeight]:
    """Exchange nothing: the model as its tensors are."""
    return {}


def stream_logits(
    model: OpenModel, samples: Sequence[Sample], codes_of: CodesOf, budget: Budget
) -> Iterator[Tensor]:
    """Yield the logits ``[T, V]`` of each sample, with the weights that ``codes_of`` gives.

    Args:
        model: Where tensors come from, and where they run.
        samples: What to run.
        codes_of: Codes by source weight name for a block; nothing for a block as it is.
        budget: Where the activations may live.
    """
    chain = model.chain(samples, name="logits", budget=budget)
    for index in range(model.family.blocks):
        advance(model.block(index), chain, codes_of(index), BATCH)
    head = model.family.head(model.tensors, model.place)
    for number in range(len(chain)):
        yield head(chain.get(number))
