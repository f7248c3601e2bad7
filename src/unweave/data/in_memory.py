"""The user's own images: an array in memory, of NumPy, of PyTorch or of anything that NumPy reads."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unweave.data.base import Dataset, Images
from unweave.data.factors import Factors
from unweave.data.formats.arrays import pixels
from unweave.data.stored import StoredImages, Table, dark
from unweave.types import UserError

CHANNELS = (1, 3)
BLOCK = 1 << 24
"""Numbers that are turned into bytes at a time."""

_held: WeakValueDictionary[str, Table] = WeakValueDictionary()
"""What is in memory, by its fingerprint, for as long as a data set that describes it is."""


@dataclass(frozen=True)
class InMemory(Dataset):
    """Images that a program holds in memory; made by ``InMemory.of``.

    The description has only their fingerprint, so a run that was trained on them can be loaded, encode and decode
    anywhere, and opens its images only where a program holds the very same ones.

    Args:
        digest: SHA-256 of the bytes.
        count: N.
        height: of an image, in pixels.
        width: of an image, in pixels.
        channels: 1 or 3.

    Raises:
        UserError: from ``open``, where no such images are in memory.

    >>> data = InMemory.of(np.full((5, 32, 32), 255, np.uint8))
    >>> data.rows, data.shape, float(data.open().batch(torch.tensor([4]), {}).mean())
    (5, (1, 32, 32), 1.0)
    """

    digest: str
    count: int
    height: int
    width: int
    channels: int

    name: ClassVar[str] = "memory"
    likelihood: ClassVar[str] = "squared"
    licence: ClassVar[str] = "the user's own images"
    loose: ClassVar[bool] = True

    def __post_init__(self) -> None:
        # Every copy holds on to the images, so that they stay as long as anything can ask for them.
        object.__setattr__(self, "_table", _held.get(self.digest))

    @classmethod
    def of(cls, images: NDArray[Any] | Tensor, low: float = 0.0, high: float = 1.0) -> InMemory:
        """A data set of images of any kind that ``as_bytes`` takes."""
        table = Table(as_bytes(images, low, high))
        count, height, width, channels = table.pixels.shape
        found = hashlib.sha256(f"{table.pixels.shape} ".encode())
        found.update(table.pixels.data.cast("B"))
        digest = found.hexdigest()
        _held[digest] = table = _held.get(digest) or table
        return cls(digest, count, height, width, channels)

    @property
    def shape(self) -> tuple[int, int, int]:  # type: ignore[override]
        """C, H, W."""
        return self.channels, self.height, self.width

    @property
    def factors(self) -> Factors | None:
        """None: nothing but pixels is known."""
        return None

    @property
    def rows(self) -> int:
        """N."""
        return self.count

    def present(self, root: Path | None = None) -> bool:
        """Whether a program holds these images: this one."""
        return self._kept() is not None

    def remarks(self, root: Path | None = None) -> dict[str, Any]:
        """``doubts``: that all is nearly black."""
        table = self._kept()
        return {"doubts": [] if table is None else dark(table.pixels)}

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """The images; ``root`` is not used."""
        table = self._kept()
        if table is None:
            raise UserError(
                f"these {self.count:,} images were in the memory of the program that trained on them, and are kept "
                "nowhere; allowed: encoding and decoding other images, or training on a folder or a file"
            )
        return StoredImages(table, None, f"{self.count:,} images in memory", torch.device(device))

    def _kept(self) -> Table | None:
        found: Table | None = getattr(self, "_table", None) or _held.get(self.digest)
        return found

    def __getstate__(self) -> dict[str, Any]:
        """The description alone: images do not travel with it."""
        return {name: value for name, value in self.__dict__.items() if name != "_table"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()


def as_bytes(images: NDArray[Any] | Tensor, low: float = 0.0, high: float = 1.0) -> NDArray[np.uint8]:
    """Images as (N, H, W, C) bytes.

    Bytes are taken as they are, other whole numbers of 0 to 255 likewise, 16 bits (uint16) are divided by 257, and
    black and white (bool) becomes 0 and 255. Real numbers run from ``low`` to ``high``; with other ends than 0 and 1,
    numbers of any kind do, and those beyond the ends are cut off.

    Args:
        images: (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1 or 3; a shape that can be read both ways has its
            channels last in an array, first in a tensor.
        low: what becomes black.
        high: what becomes white.

    Raises:
        UserError: another shape, no images, or numbers that are not finite or out of range.

    >>> as_bytes(np.zeros((2, 3, 8, 8))).shape, as_bytes(torch.tensor([[[-1.0, 0.0, 3.0]]]), -1, 1).flatten().tolist()
    ((2, 8, 8, 3), [0, 128, 255])
    """
    first = isinstance(images, Tensor)
    array = as_array(images) if isinstance(images, Tensor) else np.asarray(images)
    axis = channel_axis(array.shape, first)
    array = array[..., None] if axis is None else np.moveaxis(array, axis, -1)
    if not low < high:
        raise UserError(f"a range of pixels from {low:g} to {high:g}; allowed: a lower end below the upper one")
    found = np.empty(array.shape, np.uint8)
    step = max(1, BLOCK // max(1, array[0].size))
    for start in range(0, len(array), step):
        some = slice(start, start + step)
        found[some] = _bytes(array[some], low, high)
    return found


def as_array(images: Tensor) -> NDArray[Any]:
    """A tensor as an array; NumPy has no bfloat16."""
    here = images.detach().cpu()
    return (here.float() if here.dtype == torch.bfloat16 else here).numpy()


def channel_axis(shape: tuple[int, ...], first: bool = False) -> int | None:
    """Which axis of an array of images holds the channels; None where there is none, as in (N, H, W).

    Raises:
        UserError: no shape of images.

    >>> channel_axis((9, 64, 64)), channel_axis((9, 64, 64, 3)), channel_axis((9, 1, 64, 64))
    (None, 3, 1)
    """
    fits = [axis for axis in ((1, 3) if first else (3, 1)) if len(shape) == 4 and shape[axis] in CHANNELS]
    if 0 in shape or (len(shape) != 3 and not fits):
        raise UserError(
            f"images of shape {tuple(shape)}; allowed: (N, H, W), (N, H, W, C) or (N, C, H, W), C = 1 or 3, none of "
            "them 0"
        )
    return fits[0] if fits else None


def _bytes(block: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    if block.dtype.kind not in "buif":
        raise UserError(f"images of {block.dtype.name}; allowed: whole numbers of 0 to 255, or real ones of 0 to 1")
    if (low, high) == (0.0, 1.0):
        if block.dtype.kind in "iu" and block.dtype not in (np.uint8, np.uint16):
            if block.min() < 0 or block.max() > 255:
                raise UserError(f"whole numbers from {block.min()} to {block.max()}; allowed: 0 to 255")
            block = block.astype(np.uint8)
        return pixels("images", block)
    if not np.isfinite(block).all():
        raise UserError("images hold numbers that are not finite (NaN or inf); allowed: finite ones")
    share = (block.astype(np.float64) - low) / (high - low)
    return np.floor(share.clip(0, 1) * 255 + 0.5).astype(np.uint8)
