"""Measures of codes made of blocks: traversals of whole blocks, and what each tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from unweave.job import Arrays, Measure, Values
from unweave.metrics.information import discretise, entropy, joined, mutual_information, units
from unweave.run import Run
from unweave.studies.measures import TILES
from unweave.types import Codes


@dataclass(frozen=True)
class BlockTraversals(Measure):
    """Images along the diagonal of every block of the code, and what each block tells of every factor.

    Arrays: ``blocks`` (bases, B, V, H, W, C) uint8, ``values`` (V,), ``bases`` (bases, H, W, C) and ``reconstructed``
    likewise; ``told`` (B, F), the share of the entropy of each factor that a block tells, and ``told.NAME`` (B,).

    Args:
        bases: how many images.
        count: images that ``told`` is estimated from.
        reach: from −reach to reach.
        most: blocks, at most: the first ones.
    """

    bases: int = 3
    count: int = 5_000
    reach: float = 3.0
    most: int = 16

    @property
    def label(self) -> str:
        """``traversals of blocks``."""
        return f"traversals of blocks, {self.bases} images to ±{self.reach:g}"

    def __call__(self, run: Run, codes: Codes) -> tuple[Values, Arrays]:
        blocks = units(run.model.blocks, codes.mean.shape[1])[: self.most]
        values = torch.linspace(-self.reach, self.reach, TILES)
        rows = np.random.default_rng(0).choice(run.images.rows, min(self.bases, run.images.rows), replace=False)
        x, again = run.reconstruct(torch.as_tensor(rows))
        with torch.no_grad():
            means = run.model.encode(x).mean
        strips = [[_bytes(run.traverse(block, values.to(base), base)) for block in blocks] for base in means]
        arrays = {
            "blocks": np.stack([np.stack(one) for one in strips]),
            "values": values.numpy(),
            "bases": _bytes(x),
            "reconstructed": _bytes(again),
        }
        told = _told(codes, blocks)
        arrays |= {"told": told} | {f"told.{name}": told[:, k] for k, name in enumerate(codes.names)}
        return {}, arrays


def _told(codes: Codes, blocks: tuple[tuple[int, ...], ...]) -> np.ndarray:
    """(B, F) I / H of blocks; the bias of many bins is taken off."""
    if not codes.names:
        return np.zeros((len(blocks), 0))
    z, levels = codes.mean.double().numpy(), codes.levels.numpy()
    symbols = joined(discretise(z, 10), blocks)[:, : len(blocks)]
    shared, whole = mutual_information(symbols, levels, "miller-madow"), entropy(levels)
    return np.clip(np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0), 0.0, 1.0)


def _bytes(images: torch.Tensor) -> np.ndarray:
    """(N, C, H, W) in [0, 1] -> (N, H, W, C) uint8."""
    return (images.permute(0, 2, 3, 1) * 255).round().clamp(0, 255).byte().cpu().numpy()
