"""Muon, for the matrices of the model: it needs far fewer steps than AdamW on so small a budget.

PyTorch's own Muon iterates in bf16, which is slow on processors without bf16 arithmetic.
"""

from collections.abc import Iterable

import torch

from infra.demo.together import share_out

_STEPS = 5
_A, _B, _C = 3.4445, -4.7750, 2.0315
_RMS = 0.2


def orthogonalize(matrices: torch.Tensor) -> torch.Tensor:
    """Move the singular values of matrices close to one, by Newton-Schulz iteration.

    Every iterate is a polynomial of the Gram matrix times the matrix, so the iteration runs on
    the small Gram matrices alone, and the long side is multiplied only at the end.

    Args:
        matrices: Matrices of one shape, (count, rows, columns).

    Returns:
        Matrices with the same singular vectors.
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonalize(matrices.mT).mT
    scaled = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    gram = scaled @ scaled.mT
    identity = torch.eye(gram.shape[1])
    whole = _factor(gram, identity)
    factor = whole
    for _ in range(_STEPS - 1):
        gram = factor @ gram @ factor
        factor = _factor(gram, identity)
        whole = factor @ whole
    return torch.as_tensor(whole @ scaled)


def _factor(gram: torch.Tensor, identity: torch.Tensor) -> torch.Tensor:
    """Return what one iteration multiplies a matrix of this Gram matrix by."""
    return torch.as_tensor(_A * identity + _B * gram + _C * (gram @ gram))


def _by_shape(parameters: Iterable[torch.Tensor]) -> list[list[torch.Tensor]]:
    """Group parameters that have a gradient by their shape."""
    groups: dict[torch.Size, list[torch.Tensor]] = {}
    for parameter in parameters:
        if parameter.grad is not None:
            groups.setdefault(parameter.shape, []).append(parameter)
    return list(groups.values())


class Muon(torch.optim.Optimizer):
    """Momentum whose direction is made orthogonal, scaled to the step sizes of AdamW."""

    def __init__(self, params: Iterable[torch.nn.Parameter], lr: float, decay: float) -> None:
        """Prepare the optimizer.

        Args:
            params: Matrices to train.
            lr: Learning rate, comparable to AdamW's.
            decay: Decoupled weight decay.
        """
        super().__init__(params, {"lr": lr, "momentum": 0.95, "decay": decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Update every matrix that has a gradient.

        Args:
            closure: Not supported.
        """
        for group in self.param_groups:
            for alike in _by_shape(group["params"]):
                momenta = self._momenta(alike, group["momentum"])
                directions = share_out(orthogonalize, momenta)
                scale = _RMS * max(alike[0].shape) ** 0.5
                for parameter, direction in zip(alike, directions, strict=True):
                    parameter.mul_(1 - group["lr"] * group["decay"])
                    parameter.add_(direction, alpha=-group["lr"] * scale)

    def _momenta(self, parameters: list[torch.Tensor], momentum: float) -> torch.Tensor:
        """Update the running means of gradients; returns Nesterov's look ahead, stacked."""
        ahead = []
        for parameter in parameters:
            average = self.state[parameter].setdefault("average", torch.zeros_like(parameter))
            gradient = torch.as_tensor(parameter.grad)
            average.lerp_(gradient, 1 - momentum)
            ahead.append(gradient.lerp(average, momentum))
        return torch.stack(ahead)
