"""The training plan: how many steps of which lesson, and the learning rate of each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Lengths of the lessons in steps, and the sizes of their batches."""

    text_steps: int = 100
    look_steps: int = 400
    joint_steps: int = 1400
    decay_share: float = 0.3
    early_share: float = 0.35
    text_every: int = 7
    rows: int = 12
    length: int = 288
    look_rows: int = 48
    peak: float = 3e-3
    warmup: int = 40
    seed: int = 20

    @property
    def total(self) -> int:
        """Number of steps of all lessons."""
        return self.text_steps + self.look_steps + self.joint_steps


def lesson(plan: Plan, step: int) -> str:
    """Name the lesson of a step.

    Args:
        plan: The plan.
        step: Step, from 0.

    Returns:
        "text", "look", or for the joint lesson "early" (plain questions) or "late" (options).
    """
    if step < plan.text_steps:
        return "text"
    joint = step - plan.text_steps - plan.look_steps
    if joint < 0:
        return "look"
    if joint % plan.text_every == plan.text_every - 1:
        return "text"
    return "early" if joint < plan.early_share * plan.joint_steps else "late"


def rate(plan: Plan, step: int) -> float:
    """Give the learning rate of a step: warm-up, a plateau, then a line down to zero.

    A plateau lets the end be moved while training runs; the line down does most of the settling.

    Args:
        plan: The plan.
        step: Step, from 0.

    Returns:
        The learning rate.
    """
    bounds = (0, plan.text_steps, plan.text_steps + plan.look_steps)
    since = step - max(bound for bound in bounds if bound <= step)
    rise = min(1.0, (since + 1) / plan.warmup)
    fall = (plan.total - step) / (plan.decay_share * plan.joint_steps)
    return plan.peak * min(rise, fall, 1.0)
