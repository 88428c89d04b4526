"""Pictures as the patches a vision tower takes, for training without the processor."""

import io

import numpy as np
import torch
from PIL import Image

from infra.demo import modeldef
from infra.demo.draw import to_jpeg
from infra.demo.world import CELL, GRID

PATCH = CELL // 2
PATCH_GRID = (1, GRID * 2, GRID * 2)


def _statistics() -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and deviation of the preprocessor, by channel."""
    config = modeldef.preprocessor_config()
    mean, deviation = (np.array(config[name], np.float32) for name in ("image_mean", "image_std"))
    return mean[:, None, None], deviation[:, None, None]


def to_patches(image: Image.Image) -> torch.Tensor:
    """Cut a demo picture into normalised patches, in the order of the Hub's processor.

    Args:
        image: An RGB picture of 112 x 112 pixels.

    Returns:
        A tensor of 64 patches by 1176 values.
    """
    mean, deviation = _statistics()
    pixels = np.asarray(image, np.float32).transpose(2, 0, 1) / 255.0
    cells = ((pixels - mean) / deviation).reshape(3, GRID, 2, PATCH, GRID, 2, PATCH)
    ordered = cells.transpose(1, 4, 2, 5, 0, 3, 6).reshape(4 * GRID * GRID, 3, 1, PATCH, PATCH)
    twice = np.repeat(ordered, 2, axis=2)
    return torch.from_numpy(twice.reshape(4 * GRID * GRID, -1))


def recompress(image: Image.Image, quality: int) -> Image.Image:
    """Pass a picture through JPEG, as benchmark tables do.

    Args:
        image: The picture.
        quality: JPEG quality.

    Returns:
        The picture as it is read back.
    """
    with Image.open(io.BytesIO(to_jpeg(image, quality))) as opened:
        return opened.convert("RGB")
