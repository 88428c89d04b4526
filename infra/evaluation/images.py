"""Pictures of a benchmark: out of the table as they are, and to the model as VLMEvalKit has them.

At 7de2dcb, which the reference card was measured with, VLMEvalKit saved every picture again as JPEG
before a model saw it; that moves answers, so a number that is to stand beside one of those needs
the same.  At e8e78f05 it saves PNG, which loses nothing: `direct` is the same picture.
"""

import base64
import binascii
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

from PIL import Image

from infra.calibration.images import FORMATS
from infra.errors import TableImageError

ImagePath: TypeAlias = Literal["vlmevalkit", "direct"]

_JPEG_MODES = frozenset({"1", "L", "RGB", "CMYK", "YCbCr"})
_MOST_PIXELS = 89_478_485  # a quarter of a gigabyte in memory, where Pillow begins to warn
_UNREADABLE = (
    *(OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError),
    *(Image.DecompressionBombWarning, Image.DecompressionBombError),
)


def decode(text: str, place: str) -> bytes:
    """Return the picture that a cell holds in base64, after a look at all of its pixels.

    Args:
        text: The cell.
        place: Its row, for messages.

    Raises:
        TableImageError: It is no base64, or no whole picture.
    """
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        several = "It looks like a list; only one image a row can be read. " * text.startswith("[")
        raise TableImageError(
            f"{place}: the image, {text[:24]!r}... of {len(text)} characters, is no base64: "
            f"{error}. {several}Write the picture's bytes in base64, without a prefix as in data:, "
            "or the index of a row that has the same image."
        ) from error
    with _opened(data, place) as image:
        image.draft("L", (1, 1))  # JPEG: read every byte, but compute few pixels
        image.load()
    return data


def as_asked(data: bytes, image_path: ImagePath) -> bytes:
    """Return the picture as the model gets it.

    Args:
        data: An encoded picture.
        image_path: `vlmevalkit`: decoded and saved as JPEG with Pillow's default quality (75), as
            at 7de2dcb; a mark of orientation is neither obeyed nor kept. `direct`: the same bytes.

    Raises:
        TableImageError: It is no whole picture.
    """
    if image_path == "direct":
        return data
    file = io.BytesIO()
    with _opened(data, "A picture that is asked about") as image:
        image.info.pop("transparency", None)  # Pillow warns of it, and drops it
        sound = image if image.mode in _JPEG_MODES else image.convert("RGB")
        sound.save(file, "JPEG")
    return file.getvalue()


@contextmanager
def _opened(data: bytes, place: str) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image)
            yield image
    except _UNREADABLE as error:
        raise TableImageError(
            f"{place}: the image ({len(data)} bytes) is no whole picture: {error}. Replace it by a "
            f"sound one ({', '.join(FORMATS)}), or leave the cell empty to leave the row out."
        ) from error


def _check_size(image: Image.Image) -> None:
    """Refuse a decompression bomb before it is decoded."""
    width, height = image.size
    if width * height > _MOST_PIXELS:
        message = f"{width} x {height} pixels are more than {_MOST_PIXELS}"
        raise ValueError(message)
