"""Pictures as people have them: of any size and mode, turned by a camera, some broken; each an image or a reason."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from contextlib import ExitStack
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")
"""What is tried, whatever a file's name says."""
FITS = ("crop", "pad", "stretch")
LARGEST_FILE = 1 << 28
"""Bytes; larger files are passed over as broken."""
LARGEST = 89_478_485
"""Pixels: Pillow's own limit, beyond which it warns of a decompression bomb. Larger pictures are passed over."""
ALONE = 1 << 23
"""Pictures of more pixels or bytes than this are unpacked one at a time, so that memory stays bounded."""
STRIP = 1 << 21
"""Pixels of a very large picture that are dealt with at a time."""
TURNED = 0x0112
"""EXIF tag of the camera's orientation."""
BITS, MEANING, PLANES, SIGNS = 258, 262, 284, 339
"""TIFF tags: bits a number; 0 where the largest is black; 2 where each colour is stored apart; 2 for signed numbers."""
TIFFS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""What a TIFF begins with."""

PLANNED = (OSError, EOFError, ValueError, SyntaxError, struct.error, zlib.error, RuntimeError)
DAMAGE: tuple[type[Exception], ...] = (*PLANNED, MemoryError, ArithmeticError, LookupError, TypeError, AttributeError)
"""What Pillow raises on broken files: what it means to, and what slips through."""

_alone = RLock()


class Look(NamedTuple):
    """What becomes of a picture."""

    size: int
    """Height and width of the image."""
    fit: str
    """``crop``: the largest square in the middle; ``pad``: all of it, between black bars; ``stretch``: all of it."""
    grey: bool
    """One channel (ITU-R 601 luma) instead of three."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """H, W, C."""
        return self.size, self.size, 1 if self.grey else 3


class _Short(io.BufferedReader):
    """A file of which no more is asked for than there is: Python makes room first, and a broken length may be 4 GB."""

    def __init__(self, raw: io.FileIO, length: int) -> None:
        super().__init__(raw)
        self.length = length

    def read(self, size: int | None = -1) -> bytes:
        """Up to so many bytes; all that are left for a negative number or None."""
        left = max(0, self.length - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


class Broken(Exception):
    """Why a picture cannot be used."""


def image_of(given: Path | bytes, look: Look) -> NDArray[np.uint8]:
    """A picture file, or its bytes, as an image (H, W, C).

    Colours come out as the picture says they are stored (embedded profiles are not applied); 16 bits become 8, palettes
    become colours, transparent parts become white, and a camera's orientation (EXIF) is undone. Shrinking looks at all
    pixels, so nothing is aliased. Of an animation the first frame is taken.

    Raises:
        Broken: no such picture, a damaged one, or one that is too large; in a few words.
    """
    from PIL import Image

    try:
        bytes_ = len(given) if isinstance(given, bytes) else given.stat().st_size
        if bytes_ > LARGEST_FILE:
            raise Broken(f"larger than {LARGEST_FILE >> 20} MiB")
        with ExitStack() as stack:
            if bytes_ > ALONE:
                stack.enter_context(_alone)
            file: Any = io.BytesIO(given) if isinstance(given, bytes) else _Short(io.FileIO(given), bytes_)
            picture = stack.enter_context(Image.open(stack.enter_context(file), formats=FORMATS))
            pixels = picture.width * picture.height
            if pixels > LARGEST:
                raise Broken(f"{picture.width} × {picture.height} pixels; allowed are {LARGEST:,} in all")
            if pixels > ALONE:
                stack.enter_context(_alone)
            return shown(picture, look)
    except Broken:
        raise
    except Image.DecompressionBombError as error:
        raise Broken(_reason(error, given)) from None
    except DAMAGE as error:
        raise Broken(_reason(error, given)) from None


def several(picture: Any) -> bool:
    """Whether an opened file holds more than its first picture. Only the second is looked for: counting all pages of a
    TIFF takes the square of their number."""
    try:
        picture.seek(1)
    except EOFError:
        return False
    picture.seek(0)
    return True


def stacked(path: Path) -> bool:
    """Whether a file holds several pictures, such as the pages of a TIFF; False where that cannot be read."""
    from PIL import Image

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=FORMATS) as picture:
            return several(picture)
    except Image.DecompressionBombError:
        return False
    except DAMAGE:
        return False


def size_of(path: Path) -> tuple[int, int]:
    """Width and height that a picture file claims; nothing is unpacked.

    Raises:
        Broken: no such picture; in a few words.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=FORMATS) as picture:
            return int(picture.width), int(picture.height)
    except Image.DecompressionBombError as error:
        raise Broken(_reason(error, path)) from None
    except DAMAGE as error:
        raise Broken(_reason(error, path)) from None


def shown(picture: Any, look: Look) -> NDArray[np.uint8]:
    """An opened Pillow picture as an image (H, W, C), as ``image_of`` makes it; raises whatever broken files raise."""
    from PIL import Image

    # A JPEG is unpacked at 1/2, 1/4 or 1/8 where four times the pixels that are wanted are left.
    picture.draft(None, (4 * look.size, 4 * look.size))
    picture.load()
    turn = _turn(picture)  # after loading: of TIFFs Pillow has undone, and forgotten, it then
    whole = _plain(picture, look, _negative(picture))
    if turn is not None:
        whole = whole.transpose(turn)
    width, height = whole.size
    side = min(width, height)
    box = (0.0, 0.0, float(width), float(height))
    inner = (look.size, look.size)
    if look.fit == "crop":
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
    elif look.fit == "pad":
        scale = look.size / max(width, height)
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = whole.resize(inner, Image.Resampling.LANCZOS, box=box, reducing_gap=4.0)
    if inner != (look.size, look.size):
        canvas = Image.new(small.mode, (look.size, look.size))
        canvas.paste(small, ((look.size - inner[0]) // 2, (look.size - inner[1]) // 2))
        small = canvas
    return np.array(small, np.uint8).reshape(look.shape)


def _negative(picture: Any) -> bool:
    """Whether large numbers of this picture are dark and Pillow left it at that, as it does in TIFFs of 16 bits.

    Raises:
        Broken: a TIFF that Pillow misreads.
    """
    if picture.format != "TIFF":
        return False
    bits, planes, signs = (picture.tag_v2.get(tag, usual) for tag, usual in ((BITS, (1,)), (PLANES, 1), (SIGNS, (1,))))
    if planes == 2 and max(bits) > 8:
        raise Broken("a TIFF with each colour of 16 bits in a plane of its own; allowed: colours pixel by pixel")
    if 2 in signs and max(bits) <= 8:
        raise Broken("a TIFF of signed numbers of 8 bits; allowed: whole numbers of 8 or 16 bits from 0")
    return picture.tag_v2.get(MEANING) == 0 and picture.mode.startswith("I")


def _plain(picture: Any, look: Look, negative: bool) -> Any:
    """The picture in 8 bits, grey or colour as wanted, without transparency."""
    from PIL import Image

    mode = "L" if look.grey else "RGB"
    width, height = picture.size
    factor = min(width, height) // (8 * look.size)
    if factor < 2:
        return _opaque(picture, mode, negative)
    # Very large pictures are shrunk by a whole factor first, strip by strip, so that no second copy of them is made.
    small = Image.new(mode, (-(-width // factor), -(-height // factor)))
    strip = max(1, STRIP // (width * factor)) * factor
    for top in range(0, height, strip):
        piece = _opaque(picture.crop((0, top, width, min(height, top + strip))), mode, negative)
        small.paste(piece.reduce(factor), (0, top // factor))
    return small


def _opaque(picture: Any, mode: str, negative: bool) -> Any:
    from PIL import Image

    if picture.mode == "F":
        raise Broken("pixels are real numbers, whose range is not known; allowed: whole numbers of 8 or 16 bits")
    if picture.mode.startswith("I"):
        values = np.asarray(picture)
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 0xFFFF:
            raise Broken(f"pixels from {low} to {high}; allowed: whole numbers of 8 or 16 bits")
        bright = 0xFFFF - values.astype(np.uint32) if negative else values.astype(np.uint32)
        return Image.fromarray(((bright + 128) // 257).astype(np.uint8)).convert(mode)
    if picture.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in picture.info:
        clear = picture.convert("RGBA")
        whole = Image.new("RGB", clear.size, (255, 255, 255))
        whole.paste(clear, mask=clear.getchannel("A"))
        return whole.convert(mode)
    return picture if picture.mode == mode else picture.convert("RGB").convert(mode)


def _turn(picture: Any) -> Any:
    """How the camera's orientation is undone; None where there is none, or none that can be read."""
    from PIL import Image

    try:
        number = picture.getexif().get(TURNED)
    except Exception:  # whatever a broken EXIF block makes Pillow raise: the picture itself may be whole
        return None
    turns = Image.Transpose
    return {
        2: turns.FLIP_LEFT_RIGHT,
        3: turns.ROTATE_180,
        4: turns.FLIP_TOP_BOTTOM,
        5: turns.TRANSPOSE,
        6: turns.ROTATE_270,
        7: turns.TRANSVERSE,
        8: turns.ROTATE_90,
    }.get(number)


def _start(given: Path | bytes) -> bytes:
    """The first four bytes."""
    if isinstance(given, bytes):
        return given[:4]
    with given.open("rb") as file:
        return file.read(4)


def _reason(error: BaseException, given: Path | bytes) -> str:
    """A few words without the path, which the reader knows."""
    name = type(error).__name__
    if name == "UnidentifiedImageError":
        if _start(given) in TIFFS:
            return "a TIFF of a kind that is not read; allowed: grey or three colours, of 8 or 16 bits"
        return "no PNG, JPEG, WebP or TIFF picture"
    strerror = getattr(error, "strerror", None)
    told = str(strerror or error)
    if isinstance(given, Path):
        told = told.replace(str(given), given.name)
    words = " ".join(told.split())
    return f"damaged ({words[:120] or name})"
