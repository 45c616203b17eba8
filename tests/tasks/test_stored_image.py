"""Images in every form that data files have them in."""

import base64
import random
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import RowError
from tasks.stored_image import read_image

RED, BLUE = (255, 0, 0), (0, 0, 255)


def picture(color: tuple[int, int, int] = RED) -> PIL.Image.Image:
    image = PIL.Image.new("RGB", (6, 4), color)
    image.putpixel((0, 0), BLUE)
    return image


def encoded(image: PIL.Image.Image, kind: str = "PNG") -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub dir").mkdir()
    (tmp_path / "sub dir" / "a.png").write_bytes(encoded(picture()))
    return tmp_path


def test_every_form_gives_the_same_pixels(folder: Path) -> None:
    data = encoded(picture())
    text = base64.b64encode(data).decode()
    wrapped = "\n".join(text[i : i + 20] for i in range(0, len(text), 20))
    absolute = folder / "sub dir" / "a.png"
    forms: list[object] = [
        "sub dir/a.png",
        str(absolute),
        absolute.as_uri(),
        data,
        bytearray(data),
        text,
        wrapped,
        f"data:image/png;base64,{text}",
        {"bytes": data, "path": None},
        {"bytes": data, "path": "elsewhere.png"},
        {"bytes": None, "path": "sub dir/a.png"},
        picture(),
    ]
    for form in forms:
        image = read_image(form, folder).decode()
        assert image.mode == "RGB"
        assert image.tobytes() == picture().tobytes(), form


def test_equal_bytes_have_equal_digests_wherever_they_stand(folder: Path) -> None:
    assert read_image("sub dir/a.png", folder).digest == read_image(encoded(picture()), folder).digest
    assert read_image(encoded(picture(BLUE)), folder).digest != read_image(encoded(picture()), folder).digest


def test_only_the_path_of_a_file_is_kept(folder: Path) -> None:
    assert read_image("sub dir/a.png", folder).encoded == folder / "sub dir" / "a.png"


def test_transparent_pixels_become_white(folder: Path) -> None:
    image = PIL.Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    image.putpixel((1, 0), (255, 0, 0, 255))
    assert np.asarray(read_image(encoded(image), folder).decode()).tolist() == [[[255, 255, 255], [255, 0, 0]]]


def test_a_palette_with_transparency_becomes_white_where_it_is_transparent(folder: Path) -> None:
    image = PIL.Image.new("P", (2, 1), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.putpixel((1, 0), 1)
    buffer = BytesIO()
    image.save(buffer, "PNG", transparency=0)
    assert np.asarray(read_image(buffer.getvalue(), folder).decode()).tolist() == [[[255, 255, 255], [255, 0, 0]]]


def test_sixteen_bits_keep_their_brightness(folder: Path) -> None:
    image = PIL.Image.fromarray(np.array([[0, 0x8000, 0xFFFF]], dtype=np.uint16))
    assert np.asarray(read_image(encoded(image), folder).decode())[0, :, 0].tolist() == [0, 128, 255]


def test_a_photograph_taken_sideways_is_turned_upright(folder: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    buffer = BytesIO()
    PIL.Image.new("RGB", (8, 4)).save(buffer, "JPEG", exif=exif)
    assert read_image(buffer.getvalue(), folder).decode().size == (4, 8)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("none.png", "no image file .*none.png"),
        ("x/" * 50 + "none.png", "no image file .*none.png"),
        ("https://example.org/a.png", "is on the net: download it, and write its path"),
        ("data:image/svg+xml,<svg/>", "is not base64"),
        ("data:image/png;base64,%%%%", "neither a file nor base64"),
        ("/" + "a b!" * 2000, "neither a file nor base64"),
        ("QUJD" * 40, "image of 120 bytes cannot be decoded"),
        (b"\x89PNG", "image of 4 bytes cannot be decoded"),
        ({"bytes": None, "path": None}, "an image is a path, base64 text, a data URL, bytes or {bytes, path}, not None"),
        (3, "not 3"),
        ("", "not ''"),
        (".", "no image file"),
    ],
)
def test_what_is_no_image_says_why(folder: Path, value: object, reason: str) -> None:
    with pytest.raises(RowError, match=reason):
        read_image(value, folder)


def test_a_drawing_program_is_no_image(folder: Path) -> None:
    with pytest.raises(RowError, match="cannot be decoded"):
        read_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n", folder)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_file_that_was_cut_short_is_refused(folder: Path, kind: str) -> None:
    noise = PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    (folder / "cut").write_bytes(encoded(noise, kind)[:-600])
    with pytest.raises(RowError, match=r"image .*cut cannot be decoded"):
        read_image("cut", folder)


@given(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"]), st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_damaged_bytes_give_an_image_or_a_reason(kind: str, seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(encoded(picture().resize((20, 20)), kind))
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    try:
        mode = read_image(bytes(data), Path()).decode().mode
    except RowError:
        return
    assert mode == "RGB"
