"""A data set small enough to train on in a test: 32 images of 8 × 8 pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from unweave.data import Dataset, Factors, Images
from unweave.types import Draw

SIDE = 8


@dataclass(frozen=True)
class Dots(Dataset):
    """A white square of side 2 or 3 on black, at 4 × 4 places; not in ``DATASETS``, for tests only.

    Args:
        haze: how bright the nuisance noise is that is added to every pixel, 0 to 1.

    >>> images = Dots().open()
    >>> images.batch(torch.tensor([0]), {}).sum().item(), images.levels(torch.tensor([31])).tolist()
    (4.0, [[1, 3, 3]])
    """

    haze: float = 0.0

    name: ClassVar[str] = "dots"
    shape: ClassVar[tuple[int, int, int]] = (1, SIDE, SIDE)
    licence: ClassVar[str] = "Apache-2.0 (drawn by unweave)"

    @property
    def factors(self) -> Factors:
        """size, row and column."""
        return Factors(("size", "row", "column"), (2, 4, 4))

    @property
    def rows(self) -> int:
        """32."""
        return self.factors.count

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """The images, drawn; there are no files."""
        return DotsImages(self, torch.device(device))


class DotsImages(Images):
    """All 32 images on the device."""

    def __init__(self, dots: Dots, device: torch.device) -> None:
        self.factors, self.rows, self.source, self.haze = dots.factors, dots.rows, "drawn", dots.haze
        self.known = dots.factors.levels(torch.arange(dots.rows, device=device))
        size, top, left = (1 + self.known[:, :, None, None]).unbind(1)
        row, column = torch.arange(SIDE, device=device)[:, None], torch.arange(SIDE, device=device)
        inside = (row >= top) & (row < top + size + 1) & (column >= left) & (column < left + size + 1)
        self.table = inside.to(torch.float32)[:, None]

    @property
    def resident(self) -> bool:
        """Always: they are a table on the device."""
        return True

    def batch(self, rows: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        """(N, 1, 8, 8); ``draws["haze"]`` (N, 8, 8) uniform numbers where there is haze."""
        sharp = self.table[rows]
        return torch.clamp(sharp + self.haze * draws["haze"][:, None], max=1.0) if self.haze else sharp

    def levels(self, rows: Tensor) -> Tensor:
        """(N, 3) levels."""
        return self.known[rows]

    def noise(self, rows: int) -> Mapping[str, Draw]:
        """``haze``, a number a pixel, where there is haze."""
        return {"haze": Draw((rows, SIDE, SIDE), "uniform")} if self.haze else {}
