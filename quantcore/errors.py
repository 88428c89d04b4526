"""Every error that quantcore raises on purpose: one page, each with its remedy.

QuantcoreError
├── GridError               bits or group size that no grid here has
│   └── GroupSizeError      the group size does not divide the input features
├── NonFiniteWeightError    a weight holds NaN or inf before any rounding
├── NonFiniteBlockError     a block gives NaN or inf on the 16-bit model's own activations
├── EmptyCalibrationError   learning was asked for without a single sample
└── PackingError            packed tensors do not fit each other or the grid
"""


class QuantcoreError(Exception):
    """Base class: catch this to catch anything that the engine raises on purpose."""


class GridError(QuantcoreError, ValueError):
    """Bits or a group size that no grid here has."""


class GroupSizeError(GridError):
    """The group size does not divide the number of input features."""

    def __init__(self, *, features_in: int, group_size: int) -> None:
        """Say what did not fit, and what would."""
        fits = [size for size in (32, 64, 128) if features_in % size == 0]
        super().__init__(
            f"group_size={group_size} does not divide in_features={features_in} "
            f"(remainder {features_in % group_size}). "
            f"Sizes that do: {fits or 'none of 32, 64, 128'}; -1 (one group per output channel) "
            "always does."
        )


class NonFiniteWeightError(QuantcoreError, ValueError):
    """A weight holds NaN or inf before any rounding."""

    def __init__(self, *, name: str, count: int, total: int) -> None:
        """Name the weight and count the bad values."""
        super().__init__(
            f"{name} holds {count} values of {total} that are NaN or infinite. "
            "No rounding can mend a broken weight: fetch the model again, or check its shard "
            "against the digest that its publisher gives."
        )


class NonFiniteBlockError(QuantcoreError, ArithmeticError):
    """A block gives NaN or inf on the 16-bit model's own activations."""

    def __init__(self, *, block: int, dtype: str) -> None:
        """Name the block and the precision it ran in."""
        super().__init__(
            f"Block {block} gives NaN or infinite outputs in {dtype} before anything is "
            "quantized, so there is no target to learn from. Run with --dtype float32, or look "
            "for a calibration sample with extreme activations."
        )


class EmptyCalibrationError(QuantcoreError, ValueError):
    """Learning was asked for without a single sample."""

    def __init__(self) -> None:
        """Say what to give."""
        super().__init__(
            "SignRound learns from calibration samples and was given none. "
            "Give at least one (two, to hold one out), or ask for round-to-nearest with iters=0."
        )


class PackingError(QuantcoreError, ValueError):
    """Packed tensors do not fit each other or the grid."""
