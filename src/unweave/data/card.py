"""Images that are drawn or read in the main memory, kept on a card as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from pathlib import Path

import torch
from torch import Tensor

from unweave.data.base import Dataset, Images
from unweave.data.stored import fits
from unweave.data.variants import VariantImages

PIECE = 1024
"""Images asked for at a time while the table is filled."""


class CardImages(Images):
    """All images of an opened set, (N, C, H, W) bytes, and their levels, in tensors on one device."""

    def __init__(self, images: Images, table: Tensor, levels: Tensor) -> None:
        self.factors, self.rows, self.source = images.factors, images.rows, images.source
        self.table, self.known = table, levels

    @property
    def resident(self) -> bool:
        """Always."""
        return True

    def batch(self, rows: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        """(N,) row numbers -> (N, C, H, W) float32, whole levels of 255; ``draws`` is not used."""
        return pixels(self.table.index_select(0, rows.to(self.table.device)))

    def levels(self, rows: Tensor) -> Tensor:
        """(N,) row numbers -> (N, F) levels."""
        return self.known.to(rows.device).index_select(0, rows)


def on_card(images: Images, device: torch.device) -> Images:
    """The images as a table on the device, so that steps which run there by themselves can look them up; as they are
    where they do that already, have nuisance noise, are no whole levels of 255, or do not fit. Of images that are
    painted anew at every access, the shapes are kept."""
    if isinstance(images, VariantImages):
        painted = copy(images)
        painted.shapes = on_card(images.shapes, device)
        painted.streams = painted.shapes.streams
        return painted
    if images.resident or images.noise(1):
        return images
    first = images.batch(torch.arange(1), {})
    if not fits(first.numel() * images.rows, device):
        return images
    table = torch.empty(images.rows, *first.shape[1:], dtype=torch.uint8, device=device)
    levels = []
    for rows in torch.arange(images.rows).split(PIECE):
        found = images.batch(rows, {}).to(device)
        some = (found * 255).round().to(torch.uint8)
        if not torch.equal(pixels(some), found):
            return images
        table[int(rows[0]) : int(rows[0]) + len(rows)] = some
        levels.append(images.levels(rows).to(device))
    return CardImages(images, table, torch.cat(levels))


def opened(data: Dataset, root: Path | None, home: torch.device) -> Images:
    """A data set's images, opened to train on: on a card as a table where they can be."""
    found = data.open(root, home)
    return on_card(found, home) if home.type == "cuda" else found


def pixels(levels: Tensor) -> Tensor:
    """Bytes as float32 in [0, 1]."""
    return levels.to(torch.float32).div_(255)
