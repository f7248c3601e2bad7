"""Pictures that people hand in: usable ones become what is seen, others are refused with the reason."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unweave.explorer.upload import LARGEST, picture_of
from unweave.types import UserError

GREY, COLOUR = (1, 8, 8), (3, 8, 8)


def file(picture: Image.Image, kind: str = "PNG", **more: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **more)
    return out.getvalue()


def halves(width: int = 16, height: int = 16) -> Image.Image:
    """Black on the left, white on the right."""
    pixels = np.zeros((height, width), np.uint8)
    pixels[:, width // 2 :] = 255
    return Image.fromarray(pixels)


def huge() -> bytes:
    """A PNG that says it has 100,000 × 100,000 pixels, in a few bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def noise(mode: str) -> Image.Image:
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, bands), np.uint8)
    return Image.frombytes(mode, (64, 64), pixels.tobytes())


def animated(kind: str) -> bytes:
    return file(noise("RGB"), kind, save_all=True, append_images=[halves(64, 64).convert("RGB")])


BROKEN = {
    "not an image": (b"hello, this is text and no picture at all", "no picture that can be read"),
    "a script with a picture's name": (b"<svg onload='alert(1)'/>", "no picture that can be read"),
    "empty": (b"", "empty"),
    "huge in pixels": (huge(), "too large"),
    "huge in bytes": (b"\x89PNG" + bytes(LARGEST), "16 MiB"),
    "truncated PNG": (file(noise("RGB"))[:-3000], "truncated"),
    "truncated JPEG": (file(noise("RGB"), "JPEG")[:-800], "truncated"),
    "animated GIF": (animated("GIF"), "holds several pictures"),
    "animated WebP": (animated("WEBP"), "holds several pictures"),
    "animated PNG": (animated("PNG"), "holds several pictures"),
    "CMYK": (file(noise("CMYK"), "JPEG"), "CMYK"),
    "real numbers": (file(Image.fromarray(np.zeros((9, 9), np.float32)), "TIFF"), "real numbers"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_upload_gets_one_clear_line(name: str) -> None:
    data, words = BROKEN[name]
    with pytest.raises(UserError) as caught:
        picture_of(data, GREY)
    text = str(caught.value)
    assert words in text
    assert "\n" not in text and len(text) < 200


def test_a_picture_too_large_by_our_own_measure_is_refused_before_it_is_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = file(noise("L"))
    monkeypatch.setattr("unweave.explorer.upload.PIXELS", 4000)
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(UserError, match="64 × 64 pixels"):
        picture_of(data, GREY)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"])
def test_every_usual_kind_is_read(kind: str) -> None:
    image = picture_of(file(halves(), kind), GREY)
    assert image.shape == (8, 8, 1)
    assert image[4, 1, 0] < 40 and image[4, 6, 0] > 215


def test_the_middle_of_an_oblong_picture_is_taken() -> None:
    image = picture_of(file(halves(48, 16)), GREY)
    assert image[4, 2, 0] < 40 and image[4, 5, 0] > 215


@pytest.mark.parametrize("turned, bright", [(1, "right"), (3, "left"), (6, "bottom"), (8, "top")])
def test_a_cameras_orientation_is_undone(turned: int, bright: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = turned
    image = picture_of(file(halves(), "JPEG", exif=exif, quality=95), GREY)[..., 0].astype(int)
    sides = {"left": image[:, 1], "right": image[:, 6], "top": image[1], "bottom": image[6]}
    assert max(sides, key=lambda side: int(sides[side].sum())) == bright


def test_colours_transparency_and_other_shapes() -> None:
    clear = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    assert picture_of(file(clear), COLOUR)[0, 0].tolist() == [255, 255, 255]
    assert picture_of(file(Image.new("RGB", (16, 16), "red")), COLOUR)[0, 0].tolist() == [255, 0, 0]
    assert picture_of(file(halves()), (1, 4, 8)).shape == (4, 8, 1)
    assert picture_of(file(halves()), (2, 8, 8)).shape == (8, 8, 2)
    deep = Image.fromarray(np.full((16, 16), 65535, np.uint16))
    assert picture_of(file(deep), GREY)[0, 0, 0] == 255


def test_a_photograph_with_a_preview_is_one_picture() -> None:
    photograph = file(halves(), "MPO", save_all=True, append_images=[halves(4, 4)])
    image = picture_of(photograph, GREY)
    assert image[4, 1, 0] < 40 and image[4, 6, 0] > 215


def test_what_is_no_square_is_made_to_fit_as_the_models_own_were() -> None:
    assert picture_of(file(halves(48, 16)), GREY, "pad")[0].max() == 0
    whole = picture_of(file(halves(48, 16)), GREY, "stretch")
    assert whole[4, 2, 0] < 40 and whole[4, 5, 0] > 215
