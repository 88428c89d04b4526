"""Pictures come out of base64 whole or not at all, and reach the model as VLMEvalKit has them."""

import base64
import io
import struct
import zlib

import pytest
from PIL import Image

from infra.errors import TableImageError
from infra.evaluation.images import as_asked, decode
from tests.support.calibration import picture


def cell(data: bytes) -> str:
    """Return a picture as a table has it."""
    return base64.b64encode(data).decode()


def a_picture(mode: str, form: str) -> bytes:
    """Return a picture whose pixels differ."""
    file = io.BytesIO()
    shades = Image.linear_gradient("L").resize((40, 30))
    colours = Image.merge(
        "RGB", (shades, shades.rotate(180), shades.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    )
    colours.convert(mode).save(file, form)
    return file.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_a_picture_is_decoded_to_its_bytes(form: str) -> None:
    """What is kept is the encoded picture, not a byte changed."""
    data = picture(form=form)

    assert data == decode(cell(data), "row 1")


def test_line_breaks_inside_base64_do_not_matter() -> None:
    """Some programs write base64 in lines of 76 characters."""
    data = picture()

    assert data == decode(base64.encodebytes(data).decode(), "row 1")


@pytest.mark.parametrize(
    "text", ["not base64!" * 9, cell(picture())[:-2], "data:image/png;base64," + cell(picture())]
)
def test_what_is_no_base64_is_named(text: str) -> None:
    """Other characters, missing padding, and the prefix of a web page."""
    with pytest.raises(TableImageError, match=r"^row 1: the image, .* is no base64.*Write the"):
        decode(text, "row 1")


def test_a_list_of_pictures_says_so() -> None:
    """VLMEvalKit knows rows of several pictures; these benchmarks have none."""
    with pytest.raises(TableImageError, match="only one image a row can be read"):
        decode(repr([cell(picture()), cell(picture())]), "row 1")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_picture_cut_short_is_refused(form: str) -> None:
    """Every pixel is read once, so that a half picture is found before a model is loaded."""
    file = io.BytesIO()
    Image.effect_noise((120, 120), 80).convert("RGB").save(file, form)
    half = file.getvalue()[: len(file.getvalue()) // 2]

    with pytest.raises(
        TableImageError, match=rf"row 1: the image \({len(half)} bytes\) is no whol"
    ):
        decode(cell(half), "row 1")


@pytest.mark.parametrize("data", [b"no picture", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0"])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    """Text, a bare signature, and formats that would start an interpreter."""
    with pytest.raises(TableImageError, match="no whole picture"):
        decode(cell(data), "row 1")


def claiming(width: int, height: int) -> bytes:
    """Return a PNG of a few bytes whose header claims this size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(header) - 4) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + picture()[33:]


@pytest.mark.parametrize(("width", "height"), [(9460, 9459), (50_000, 50_000)])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_refused_before_decoding(width: int, height: int) -> None:
    """Just over Pillow's first limit, where it only warns, and over its second."""
    with pytest.raises(TableImageError, match=r"is no whole picture.*pixels"):
        decode(cell(claiming(width, height)), "row 1")


def test_direct_is_the_picture_itself() -> None:
    """Nothing is decoded or encoded."""
    data = a_picture("RGB", "PNG")

    assert data == as_asked(data, "direct")


def saved_again(data: bytes) -> bytes:
    """Do what VLMEvalKit does with a picture, in its own words."""
    image: Image.Image = Image.open(io.BytesIO(data))
    if image.mode in ("RGBA", "P", "LA"):
        image = image.convert("RGB")
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        ("RGB", "JPEG"), ("RGB", "PNG"), ("L", "PNG"), ("L", "JPEG"), ("RGBA", "PNG"),
        ("P", "PNG"), ("P", "GIF"), ("LA", "PNG"), ("1", "PNG"), ("CMYK", "JPEG"),
    ],
)  # fmt: skip
def test_vlmevalkit_saves_every_picture_again(mode: str, form: str) -> None:
    """The bytes are those that VLMEvalKit would write, whatever the picture's mode."""
    data = a_picture(mode, form)

    assert saved_again(data) == as_asked(data, "vlmevalkit")


def test_saving_again_loses_something() -> None:
    """Quality 75 moves pixels: that is why it matters."""
    data = a_picture("RGB", "JPEG")

    assert data != as_asked(data, "vlmevalkit")


def test_what_jpeg_cannot_hold_becomes_rgb() -> None:
    """VLMEvalKit would stop at such a picture."""
    file = io.BytesIO()
    Image.new("I;16", (20, 10), 300).save(file, "PNG")

    assert Image.open(io.BytesIO(as_asked(file.getvalue(), "vlmevalkit"))).mode == "RGB"


def test_a_mark_of_orientation_is_neither_obeyed_nor_kept() -> None:
    """VLMEvalKit turns nothing, and its copy has no such mark."""
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.new("RGB", (20, 10)).save(file, "JPEG", exif=exif)

    again = Image.open(io.BytesIO(as_asked(file.getvalue(), "vlmevalkit")))
    assert (again.size, dict(again.getexif())) == ((20, 10), {})


def test_transparency_of_a_palette_does_not_matter() -> None:
    """A transparent palette is common in the wild; its colours are kept."""
    file = io.BytesIO()
    image = Image.new("P", (20, 10), 1)
    image.putpalette([0, 0, 0, 250, 250, 250])
    image.save(file, "PNG", transparency=b"\x00\x80")

    again = Image.open(io.BytesIO(as_asked(file.getvalue(), "vlmevalkit")))
    assert again.getpixel((3, 3)) == (250, 250, 250)
