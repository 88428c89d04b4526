"""Picture files: sound ones decode, broken ones are named, none leads out of its folder."""

import hashlib
import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from infra.calibration.images import Picture, read_picture
from infra.errors import (
    BadImageError,
    CorruptImageError,
    EmptyImageError,
    ImagePathError,
    ImageTooLargeError,
    MissingImageError,
)
from tests.support.calibration import picture

LIMIT = 1_000_000


def read(reference: object, *folders: Path) -> Picture:
    """Read a picture of row 3."""
    return read_picture(reference, folders, place="rows.json[3]", max_pixels=LIMIT)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_picture_is_read_as_rgb_and_known_by_its_digest(tmp_path: Path, form: str) -> None:
    """Every known format gives RGB; the digest is that of the file."""
    data = picture((20, 10), form=form)
    (tmp_path / "a").write_bytes(data)

    read_one = read("a", tmp_path)

    assert (read_one.image.mode, read_one.image.size) == ("RGB", (20, 10))
    assert hashlib.sha256(data).hexdigest() == read_one.sha256


def test_a_picture_inside_the_data_set_needs_no_folder() -> None:
    """What `datasets` gives for a stored picture is read as it is."""
    assert read({"bytes": picture(), "path": None}).image.size == (112, 112)


def test_a_picture_is_turned_upright(tmp_path: Path) -> None:
    """A camera's orientation mark is obeyed, as the model's own loader does."""
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.new("RGB", (20, 10)).save(file, "JPEG", exif=exif)
    (tmp_path / "a.jpg").write_bytes(file.getvalue())

    assert read("a.jpg", tmp_path).image.size == (10, 20)


def test_folders_are_searched_in_their_order(tmp_path: Path) -> None:
    """The first folder that has the file wins; the second is looked at after it."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    (two / "a.png").write_bytes(picture((10, 10)))

    assert read("a.png", one, two).image.size == (10, 10)
    (one / "a.png").write_bytes(picture((30, 30)))
    assert read("a.png", one, two).image.size == (30, 30)


def test_a_zero_byte_picture_is_named(tmp_path: Path) -> None:
    """An empty file is not a corrupt one: it says how it came to be."""
    (tmp_path / "a.jpg").touch()

    with pytest.raises(EmptyImageError, match=r"a\.jpg is empty \(0 bytes\).*rows\.json\[3\]"):
        read("a.jpg", tmp_path)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_picture_cut_short_is_corrupt(tmp_path: Path, form: str) -> None:
    """A file that begins well but ends early is refused, not read in part."""
    noise = Image.effect_noise((200, 200), 80).convert("RGB")
    file = io.BytesIO()
    noise.save(file, form)
    (tmp_path / "a").write_bytes(file.getvalue()[: len(file.getvalue()) // 2])

    with pytest.raises(CorruptImageError, match="is no whole picture"):
        read("a", tmp_path)


@pytest.mark.parametrize(
    "data", [b"no picture", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n"]
)
def test_what_is_no_picture_is_corrupt(tmp_path: Path, data: bytes) -> None:
    """Text, a bare signature, and formats that would start an interpreter are refused."""
    (tmp_path / "a.png").write_bytes(data)

    with pytest.raises(CorruptImageError, match=rf"\({len(data)} bytes\) is no whole picture"):
        read("a.png", tmp_path)


def test_a_png_with_a_flipped_byte_is_corrupt(tmp_path: Path) -> None:
    """A checksum that does not hold is an error, although most of the picture is there."""
    data = bytearray(picture())
    data[-20] ^= 0xFF
    (tmp_path / "a.png").write_bytes(data)

    with pytest.raises(CorruptImageError):
        read("a.png", tmp_path)


def bomb(width: int, height: int) -> bytes:
    """Return a tiny PNG whose header claims a size of terabytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        size, checksum = struct.pack(">I", len(body)), struct.pack(">I", zlib.crc32(kind + body))
        return size + kind + body + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(1001, 1000), (10000, 10000), (500000, 500000)])
def test_a_decompression_bomb_is_refused_before_decoding(
    tmp_path: Path, width: int, height: int
) -> None:
    """Just over our limit, over Pillow's first, and over its second: the same error."""
    (tmp_path / "a.png").write_bytes(bomb(width, height))

    with pytest.raises(ImageTooLargeError, match=r"a\.png.*max_image_pixels"):
        read("a.png", tmp_path)


@pytest.mark.parametrize(
    "reference", ["../a.png", "b/../../a.png", "/etc/a.png", "b\\a.png", "a\0"]
)
def test_a_path_out_of_the_folder_is_refused(tmp_path: Path, reference: str) -> None:
    """A row can name pictures of its set, and no other file of this machine."""
    (tmp_path / "a.png").write_bytes(picture())

    with pytest.raises(ImagePathError, match="leads out of the images folder"):
        read(reference, tmp_path / "images")


def test_a_missing_picture_is_named_with_the_folder(tmp_path: Path) -> None:
    """The message says what was named, where it was looked for, and what to do."""
    with pytest.raises(MissingImageError, match=r"'a\.png'.*not in .*images.*skip_bad_rows") as e:
        read("a.png", tmp_path / "images")

    assert str(tmp_path / "images") in str(e.value)


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    """The operating system's refusal comes back as an error about the row."""
    (tmp_path / "a").mkdir()

    with pytest.raises(BadImageError, match="cannot be read: Is a directory"):
        read("a", tmp_path)


@pytest.mark.parametrize("reference", [17, ["a.png"], {"path": None, "bytes": None}])
def test_a_reference_that_is_neither_path_nor_picture_is_refused(reference: object) -> None:
    """A list of pictures, or a number, is not guessed at."""
    with pytest.raises(BadImageError, match="must be the path of a picture"):
        read(reference)
