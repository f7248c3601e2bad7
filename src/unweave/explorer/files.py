"""Pictures to take away: a sheet as PNG, a traversal as an animated GIF."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from unweave.report.pictures import png

TILE = 192
"""Pixels that an image is enlarged to, at least, by a whole factor."""
SHEET = 4096
"""Pixels that a sheet is never wider than by enlarging."""
PACE = 80
"""Milliseconds a picture of an animation stays."""


def sheet(images: NDArray[np.uint8], columns: int) -> bytes:
    """(N, H, W, C) images in rows of ``columns`` -> a PNG, enlarged with hard pixels; missing ones are white.

    >>> sheet(np.zeros((3, 4, 4, 1), np.uint8), 2)[:4]
    b'\\x89PNG'
    """
    count, height, width, channels = images.shape
    columns = max(1, min(columns, count))
    rows = -(-count // columns)
    whole = np.full((rows * columns, height, width, channels), 255, np.uint8)
    whole[:count] = images
    joined = whole.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    joined = joined.reshape(rows * height, columns * width, channels)
    scale = max(1, min(_scale(height, width), SHEET // max(joined.shape[:2])))
    return png(joined.repeat(scale, 0).repeat(scale, 1))


def gif(images: NDArray[np.uint8]) -> bytes:
    """(N, H, W, C) images -> an endless animation that runs there and back.

    >>> gif(np.arange(48, dtype=np.uint8).reshape(3, 4, 4, 1))[:6]
    b'GIF89a'
    """
    from PIL import Image

    scale = _scale(*images.shape[1:3])
    there = [image.repeat(scale, 0).repeat(scale, 1) for image in images]
    frames = [Image.fromarray(one[..., 0] if one.shape[2] == 1 else one) for one in [*there, *there[-2:0:-1]]]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=PACE, loop=0, disposal=1)
    return out.getvalue()


def _scale(height: int, width: int) -> int:
    return max(1, -(-TILE // max(height, width)))
