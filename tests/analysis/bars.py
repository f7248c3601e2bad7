"""A moving bar: the smallest data set with a freezing point, whose closed form can be written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from unweave.data import Dataset, Factors, Images


@dataclass(frozen=True)
class Bars(Dataset):
    """A bar of ``wide`` × 8 pixels at 8 positions, one apart and wrapping around, ``contrast`` bright on black."""

    contrast: float = 1.0
    wide: int = 2

    name: ClassVar[str] = "bars"
    shape: ClassVar[tuple[int, int, int]] = (1, 8, 8)
    licence: ClassVar[str] = "Apache-2.0 (drawn by unweave)"

    @property
    def factors(self) -> Factors:
        """position."""
        return Factors(("position",), (8,))

    @property
    def rows(self) -> int:
        """8."""
        return 8

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """The images, drawn."""
        return BarsImages(self)


class BarsImages(Images):
    def __init__(self, bars: Bars) -> None:
        self.factors, self.rows, self.source = bars.factors, 8, "drawn"
        place = torch.arange(8)
        inside = (place[None] - place[:, None]) % 8 < bars.wide
        self.table = bars.contrast * inside.float()[:, None, None, :].expand(8, 1, 8, 8)

    def batch(self, rows: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        return self.table[rows].clone()

    def levels(self, rows: Tensor) -> Tensor:
        return rows[:, None]
