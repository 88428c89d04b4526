"""Picture files, checked before they cost anything: where they lie, how large, whether whole.

A picture is known by the SHA-256 of its file: that is what reports record, and the key under which
anything made from it may be kept.
"""

import hashlib
import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from PIL import Image, ImageOps

from infra.errors import (
    BadImageError,
    CorruptImageError,
    EmptyImageError,
    ImagePathError,
    ImageTooLargeError,
    MissingImageError,
)

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")  # never one that starts an interpreter


class Picture(NamedTuple):
    """A decoded picture."""

    image: Image.Image  # mode RGB, upright
    sha256: str  # of the file's bytes


def read_picture(
    reference: object, folders: Sequence[Path], *, place: str, max_pixels: int
) -> Picture:
    """Read, check and decode the picture that a row refers to.

    Args:
        reference: A path relative to one of ``folders``; or what `datasets` gives for a picture
            inside the data set, a mapping with "bytes" and "path".
        folders: Where to look, in this order.
        place: The row, for messages.
        max_pixels: More are refused before decoding.

    Raises:
        ImagePathError: The path is absolute or leads out of the folders.
        MissingImageError: No such file.
        EmptyImageError: Zero bytes.
        ImageTooLargeError: More than ``max_pixels`` pixels.
        CorruptImageError: Not a picture of a known format, or cut short.
        BadImageError: The reference is neither a path nor a picture.
    """
    data, where = _bytes_of(reference, folders, place)
    if not data:
        raise EmptyImageError(
            f"{where} is empty (0 bytes), the picture of {place}. Fetch the picture again; it was "
            "most likely cut off while it was downloaded."
        )
    image = _decoded(data, where, max_pixels)
    return Picture(image, hashlib.sha256(data).hexdigest())


def _bytes_of(reference: object, folders: Sequence[Path], place: str) -> tuple[bytes, str]:
    if isinstance(reference, Mapping):
        inner = reference.get("bytes")
        if isinstance(inner, bytes):
            return inner, f"The picture inside {place}"
        reference = reference.get("path")
    if not isinstance(reference, str):
        raise BadImageError(
            f"The image of {place} is a {type(reference).__name__}; it must be the path of a "
            "picture below the images folder, or a picture stored in the data set."
        )
    inside = _inside(reference, place)
    for path in (folder / inside for folder in folders):
        try:
            return path.read_bytes(), str(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise BadImageError(
                f"{path}, the picture of {place}, cannot be read: {error.strerror or error}. It "
                "must be a file that this user may read."
            ) from error
    raise MissingImageError(
        f"{place} names the picture {reference!r}, which is not in "
        f"{' or '.join(map(str, folders)) or 'the data set itself'}. Say where the pictures are "
        "with images, or set skip_bad_rows to leave such rows out and count them."
    )


def _inside(reference: str, place: str) -> PurePosixPath:
    path = PurePosixPath(reference)
    if path.is_absolute() or ".." in path.parts or "\0" in reference or "\\" in reference:
        raise ImagePathError(
            f"{place} names the picture {reference!r}, which leads out of the images folder. Only "
            "plain relative paths are read, as in 'train2017/000000000009.jpg'."
        )
    return path


def _decoded(data: bytes, where: str, max_pixels: int) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            width, height = image.size
            if width * height <= max_pixels:
                return ImageOps.exif_transpose(image).convert("RGB")
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ImageTooLargeError(f"{where}: {error} {_SMALLER}") from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError) as error:
        raise CorruptImageError(
            f"{where} ({len(data)} bytes) is no whole picture: {error}. Fetch it again; read are "
            f"{', '.join(FORMATS)}."
        ) from error
    raise ImageTooLargeError(
        f"{where} has {width} x {height} pixels, more than max_image_pixels={max_pixels}. "
        f"{_SMALLER}"
    )


_SMALLER = (
    "Such a file can fill the memory with a few bytes. Scale the picture down, leave it out, or "
    "raise max_image_pixels if it is meant."
)
