"""Histogram and versions of the report."""

from infra.calibration.report import histogram, versions


def test_the_histogram_counts_every_sample_in_its_bin() -> None:
    """Bins are inclusive on both ends, and empty ones are left out."""
    assert histogram([64, 1, 8, 9, 57], seqlen=64) == {"1-8": 2, "9-16": 1, "57-64": 2}


def test_the_last_bin_ends_at_seqlen() -> None:
    """Lengths that eight bins do not divide are still named truly."""
    assert histogram([10, 2], seqlen=10) == {"1-2": 1, "9-10": 1}


def test_picture_packages_are_named_for_pictures_alone() -> None:
    """A text set does not change with the version of an image library."""
    extra = versions("image_text").keys() - versions("text").keys()

    assert {"pillow", "torchvision"} == extra
