"""The picture behind the sprites of Scream-dSprites: the user's own, or one drawn here."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unweave.types import UserError

BOX = (350, 274)
"""A picture is made smaller, keeping its proportions, until it fits this width and height."""
DRAWN_WIDTH, DRAWN_HEIGHT = 215, 274
"""Of the drawn picture: what a portrait of the painting's proportions shrinks to."""
LARGEST = 50_000_000
"""Pixels of the largest picture that is unpacked."""


def read_picture(path: Path) -> Tensor:
    """(3, H, W) float32 in [0, 1]: a picture of the user's, made smaller until it fits 350 × 274 pixels.

    Raises:
        UserError: no such file, no picture, or one of more than 50 million pixels.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings(), Image.open(path, formats=("PNG", "JPEG", "TIFF", "WEBP", "BMP")) as image:
            warnings.simplefilter("ignore")
            if image.width * image.height > LARGEST:
                raise UserError(
                    f"{path}: a picture of {image.width} × {image.height} pixels; allowed are {LARGEST:,} in all"
                )
            plain = image if image.mode in ("L", "RGB") else image.convert("RGB")
            plain.thumbnail(BOX)
            pixels = np.asarray(plain.convert("RGB"), dtype=np.float32) / 255
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path}: no such picture; allowed: a PNG, JPEG, TIFF, WebP or BMP file") from None
    except UnidentifiedImageError:
        raise UserError(f"{path}: no picture; allowed: a PNG, JPEG, TIFF, WebP or BMP file") from None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: a damaged picture ({' '.join(str(error).split())[:200]})") from None
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def drawn_picture() -> Tensor:
    """(3, 274, 215) float32 in [0, 1]: a burning sky over dark water, in bent bands of colour with some grain.

    It stands in for the painting: as colourful, with structure at all scales from 3 to 100 pixels, and brighter above
    than below, so that crops differ.
    """
    row = np.arange(DRAWN_HEIGHT)[:, None] / DRAWN_WIDTH
    column = np.arange(DRAWN_WIDTH)[None, :] / DRAWN_WIDTH
    bend = 0.11 * np.sin(5.1 * column + 2.3 * row) + 0.05 * np.sin(13.7 * column - 7.9 * row + 1.2)
    height = row + bend
    grain = 0.5 * np.sin(61 * height + 9 * column) + 0.3 * np.sin(97 * height - 31 * column)
    grain = grain + 0.2 * np.sin(173 * column + 59 * np.sin(9 * height))
    band = 0.5 + 0.5 * np.sin(23 * height + 3 * np.sin(4 * column))
    water = 1 / (1 + np.exp(-14 * (height - 0.62)))
    sky = np.stack([0.82 + 0.12 * band, 0.36 + 0.34 * band, 0.14 + 0.16 * band])
    sea = np.stack([0.16 + 0.22 * band, 0.2 + 0.2 * band, 0.32 + 0.22 * band])
    both = sky * (1 - water) + sea * water + 0.16 * grain
    return torch.from_numpy((both.clip(0, 1) * 255).round().astype(np.float32) / 255)
