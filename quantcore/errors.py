"""Every error that quantcore raises on purpose: one page, each with its remedy.

QuantcoreError
├── GridError               bits or group size that no grid here has
│   └── GroupSizeError      the group size does not divide the input features
├── ScheduleError           a count or a rate with which nothing can be learned
├── NonFiniteWeightError    a weight holds NaN or inf before any rounding
├── WeightRangeError        a weight is so large that no float16 scale reaches it
├── NonFiniteBlockError     a block gives NaN or inf on the 16-bit model's own activations
├── EmptyCalibrationError   learning was asked for without a single sample
├── ScratchSpaceError       the file that activations were to live in cannot be made
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


class ScheduleError(QuantcoreError, ValueError):
    """A count or a rate with which nothing can be learned."""


class NonFiniteWeightError(QuantcoreError, ValueError):
    """A weight holds NaN or inf before any rounding."""

    def __init__(self, *, name: str, count: int, total: int) -> None:
        """Name the weight and count the bad values."""
        super().__init__(
            f"{name} holds {count} values of {total} that are NaN or infinite. "
            "No rounding can mend a broken weight: fetch the model again, or check its shard "
            "against the digest that its publisher gives."
        )


class WeightRangeError(QuantcoreError, ValueError):
    """A weight is so large that no float16 scale reaches it."""

    def __init__(self, *, name: str, largest: float, bits: int) -> None:
        """Name the weight and its largest value."""
        super().__init__(
            f"{name} holds weights up to {largest:g}: at {bits} bits their step is above 65504, "
            "the largest that a float16 scale can be. Weights of this size are all but always "
            "damage: check the shard against the digest that its publisher gives. If they are "
            "meant, use more bits or leave this layer in 16 bit."
        )


class NonFiniteBlockError(QuantcoreError, ArithmeticError):
    """A block gives NaN or inf on the 16-bit model's own activations."""

    def __init__(self, *, block: int, sample: int, dtype: str) -> None:
        """Name the block, the calibration sample and the precision it ran in."""
        super().__init__(
            f"Block {block} gives NaN or infinite outputs for calibration sample {sample} in "
            f"{dtype.removeprefix('torch.')} before anything is quantized, so there is no target "
            "to learn from. Run with --dtype float32, or leave that sample out."
        )


class EmptyCalibrationError(QuantcoreError, ValueError):
    """Learning was asked for without a single sample."""

    def __init__(self) -> None:
        """Say what to give."""
        super().__init__(
            "SignRound learns from calibration samples and was given none. "
            "Give at least one (two, to hold one out), or ask for round-to-nearest with iters=0."
        )


class ScratchSpaceError(QuantcoreError, OSError):
    """The file that activations were to live in cannot be made."""

    def __init__(self, *, path: str, size: int, reason: str) -> None:
        """Name the file, its size and what the system said."""
        super().__init__(
            f"{path} cannot hold {size / 2**30:.2f} GiB of activations: {reason}. Free that much "
            "space there, or raise the memory budget for activations so that no file is needed."
        )


class PackingError(QuantcoreError, ValueError):
    """Packed tensors do not fit each other or the grid."""
