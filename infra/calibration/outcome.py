"""What becomes of a row: samples, or a reason why not."""

from typing import NamedTuple

from infra.calibration.sample import Sample


class Drawn(NamedTuple):
    """A sample and what it was made of."""

    sample: Sample
    row_id: str
    image_sha256: str | None  # of the picture's file


class Skipped(NamedTuple):
    """A sound row that gives no sample."""

    reason: str
    length: int  # tokens it has, or would need
