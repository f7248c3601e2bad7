"""A picture that somebody hands in: looked at before it is unpacked, and refused with the reason."""

from __future__ import annotations

import io
import warnings
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from unweave.data.formats.anyfile import DAMAGE, Broken, Look, several, shown
from unweave.types import UserError

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP")
LARGEST = 16 << 20
"""Bytes of a file."""
PIXELS = 40_000_000
"""Pixels of a picture: what a telephone's camera makes, and no more."""
PREVIEWED = "MPO"
"""A JPEG as many cameras write it: after the picture come smaller copies of it."""
_alone = Lock()
ALLOWED = "allowed: one picture (PNG, JPEG, WebP, TIFF, GIF or BMP)"


def picture_of(data: bytes, shape: tuple[int, int, int], fit: str = "crop") -> NDArray[np.uint8]:
    """A picture file as an image (H, W, C) of a model's size, shrunk or enlarged.

    A camera's orientation (EXIF) is undone, palettes become colours, 16 bits become 8, transparent parts white. Its
    size is looked at before any pixel is unpacked.

    Args:
        data: the file.
        shape: C, H, W of the model's images; of more than three channels, grey is repeated.
        fit: what becomes of a picture that is no square: ``crop`` for its middle, ``pad`` or ``stretch`` for all of it.

    Raises:
        UserError: one line that says why it cannot be used.

    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.new("RGB", (30, 20), "red").save(file, "PNG")
    >>> picture_of(file.getvalue(), (3, 8, 8))[0, 0].tolist()
    [255, 0, 0]
    """
    from PIL import Image, UnidentifiedImageError

    if not data:
        raise UserError(f"the upload is empty; {ALLOWED}")
    if len(data) > LARGEST:
        raise UserError(f"the upload has {len(data) / 1e6:.0f} MB; allowed: {LARGEST >> 20} MiB")
    channels, height, width = shape
    try:
        # Unpacked pictures are large: one at a time, whoever asks.
        with _alone, warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            if picture.width * picture.height > PIXELS:
                size = f"{picture.width:,} × {picture.height:,} pixels"
                raise UserError(f"the picture has {size}; allowed: {PIXELS // 1_000_000} million in all; shrink it")
            if picture.format != PREVIEWED and several(picture):
                raise UserError(f"the upload holds several pictures; {ALLOWED}, not several in one")
            if picture.mode in ("CMYK", "YCCK"):
                raise UserError("the picture is in printing colours (CMYK); allowed: RGB or grey; convert it first")
            image = shown(picture, Look(max(height, width), fit, channels != 3))
    except UserError:
        raise
    except UnidentifiedImageError:
        raise UserError(f"the upload is no picture that can be read; {ALLOWED}") from None
    except Image.DecompressionBombError:
        raise UserError(f"the picture is too large; allowed: {PIXELS // 1_000_000} million pixels in all") from None
    except Broken as why:
        raise UserError(f"the picture cannot be used: {why}") from None
    except DAMAGE as error:
        words = " ".join(str(error).split())[:100]
        raise UserError(f"the picture is truncated or damaged ({words or type(error).__name__})") from None
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    cut = image[top : top + height, left : left + width]
    return cut if channels in (1, 3) else cut.repeat(channels, axis=2)
