"""One picture out of a JPEG or PNG file of known size: decoded, cropped, resized; and many, side by side."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unweave.data.cache import Piece
from unweave.types import UserError

LARGEST = 1 << 22
"""Largest picture file of a published set, in bytes."""
AT_ONCE = 512
"""Pictures decoded for one piece of a cache."""


class Rule(NamedTuple):
    """How pictures become images of one size."""

    kind: Literal["JPEG", "PNG"]
    """The only file format that is tried."""
    size: tuple[int, int]
    """Width and height that every picture must have."""
    crop: int | None
    """Side of the square cut out of the middle first; None keeps the whole picture, squashed where it is no square."""
    side: int
    """Height and width of the images."""
    filter: Literal["bilinear", "lanczos"]
    """With which the picture is resized; both look at all pixels, so nothing is aliased."""
    mode: Literal["RGB", "L"]
    """Colours, or grey (ITU-R 601 luma, taken after resizing)."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """H, W, C of the images."""
        return self.side, self.side, 3 if self.mode == "RGB" else 1


def decode(data: bytes, rule: Rule, where: str) -> NDArray[np.uint8]:
    """A picture file as an image (H, W, C).

    Its size is compared with the rule's before any pixel is unpacked.

    Args:
        data: the file.
        rule: what it must be and what becomes of it.
        where: its name, for messages.

    Raises:
        UserError: one line, for another kind or size of picture, or a damaged one.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=(rule.kind,)) as opened:
            if opened.size != rule.size:
                raise UserError(f"{where}: a picture of {_by(opened.size)} pixels; expected {_by(rule.size)}")
            picture = opened.convert("RGB")
        return shrink(picture, rule)
    except UserError:
        raise
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
    ) as error:
        raise _damaged(error, rule, where) from None
    except (Warning, ArithmeticError, LookupError, TypeError, AttributeError) as error:  # of Pillow's, on broken files
        raise _damaged(error, rule, where) from None


def shrink(picture: Any, rule: Rule) -> NDArray[np.uint8]:
    """A Pillow picture cropped, resized and turned grey as the rule says -> (H, W, C)."""
    from PIL import Image

    width, height = picture.size
    if rule.crop is not None:
        # Rounded as torchvision's CenterCrop: an odd margin leaves its larger half on the left and at the top.
        left, top = round((width - rule.crop) / 2), round((height - rule.crop) / 2)
        picture = picture.crop((left, top, left + rule.crop, top + rule.crop))
    filters = {"bilinear": Image.Resampling.BILINEAR, "lanczos": Image.Resampling.LANCZOS}
    picture = picture.resize((rule.side, rule.side), filters[rule.filter])
    return np.asarray(picture.convert(rule.mode), np.uint8).reshape(rule.shape)


def lanczos(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """(H, W) or (H, W, 3) bytes -> (side, side, 1 or 3), by Pillow's Lanczos filter.

    >>> lanczos(np.full((4, 4), 7, np.uint8), 2)[..., 0].tolist()
    [[7, 7], [7, 7]]
    """
    from PIL import Image

    small = Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(small, np.uint8).reshape(side, side, -1)


def pieces(
    names: Sequence[str], read: Callable[[str], bytes], rule: Rule, where: str, start: int = 0
) -> Iterator[Piece]:
    """Pictures from the ``start``-th on, decoded by as many threads as there are processors.

    Args:
        names: of the picture files, in order.
        read: the bytes of one.
        rule: what becomes of them.
        where: folder or archive, for messages.
        start: how many to pass over.
    """

    def one(name: str) -> NDArray[np.uint8]:
        return decode(read(name), rule, f"{where}: {name}")

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), "decode") as pool:
        for first in range(start, len(names), AT_ONCE):
            some = names[first : first + AT_ONCE]
            yield Piece(np.stack(list(pool.map(one, some))), first + len(some))


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} × {size[1]}"


def _damaged(error: Exception, rule: Rule, where: str) -> UserError:
    reason = " ".join(str(error).split())[:120]
    return UserError(f"{where}: no {rule.kind} file, truncated or damaged ({type(error).__name__}: {reason})")
