"""Images as strips: several pictures side by side in one PNG, shown with hard pixels."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence

import numpy as np

from unweave.report.markup import Html, tag
from unweave.report.numbers import number, trimmed

WIDTH = 1040
"""The widest strip in CSS pixels that fits a desktop page without scrolling."""
PHONE = 340
TILE = 128


def png(strip: np.ndarray) -> bytes:
    """(H, W, C) uint8 -> the bytes of a PNG; one channel where the image is grey."""
    from PIL import Image

    grey = strip.shape[2] == 1 or bool((strip == strip[..., :1]).all())
    out = io.BytesIO()
    Image.fromarray(strip[..., 0] if grey else strip).save(out, format="PNG", optimize=True)
    return out.getvalue()


def beside(images: np.ndarray) -> np.ndarray:
    """(N, H, W, C) -> (H, N·W, C): the images side by side.

    >>> beside(np.arange(8, dtype=np.uint8).reshape(2, 2, 2, 1))[..., 0].tolist()
    [[0, 1, 4, 5], [2, 3, 6, 7]]
    """
    n, h, w, c = images.shape
    return images.transpose(1, 0, 2, 3).reshape(h, n * w, c)


def scales(images: np.ndarray) -> tuple[int, int]:
    """Whole-number magnifications for a desktop and for a phone, so that every pixel stays a square of one size."""
    n, h, w, _ = images.shape

    def fitting(width: int, tile: int) -> int:
        return max(1, min(width // (n * w), tile // max(h, w)))

    return fitting(WIDTH, TILE), max(fitting(PHONE, TILE), -(-48 // max(h, w)))


def strip(*rows: tuple[str, np.ndarray], below: Sequence[str] = (), columns: int = 0) -> Html:
    """Rows of images with the same number of columns, in a box that scrolls by itself.

    Args:
        rows: (alternative text, (N, H, W, C) uint8), top to bottom.
        below: N captions under the columns.
        columns: of the longest strip that this one is to share its magnification with; N when 0.
    """
    n, h, w, c = rows[0][1].shape
    desk, phone = scales(rows[0][1] if not columns else np.empty((columns, h, w, c), np.uint8))
    pictures = [tag("span", _img(alt, images), class_="film") for alt, images in rows]
    ticks = tag("span", *(tag("span", text) for text in below), class_="ticks", aria_hidden="true") if below else None
    inner = tag("div", *pictures, ticks, class_="strip", style=f"--n:{n};--w:{n * w};--d:{desk};--p:{phone}")
    return tag("div", inner, class_="scroll", tabindex="0", role="group", aria_label=rows[0][0])


def tick(value: float) -> str:
    """A traversal's value under its image, in at most two decimals.

    >>> tick(-1.333), tick(2.0), tick(0.004)
    ('−1.33', '2', '0.004')
    """
    if not math.isfinite(value) or 0 < abs(value) < 0.01:
        return number(value, 1)
    return trimmed(f"{value:.2f}").replace("-", "−")


def values_text(values: Sequence[float]) -> str:
    """The range of a traversal in words.

    >>> values_text([-2.0, 0.0, 2.0])
    '−2 to 2 in 3 steps'
    """
    if len(values) < 2:
        return f"at {tick(values[0])}" if values else ""
    return f"{tick(values[0])} to {tick(values[-1])} in {len(values)} steps"


def _img(alt: str, images: np.ndarray) -> Html:
    joined = beside(images)
    data = base64.b64encode(png(joined)).decode("ascii")
    return tag("img", src=f"data:image/png;base64,{data}", alt=alt, width=joined.shape[1], height=joined.shape[0])
