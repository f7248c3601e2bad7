"""Measures of codes made of blocks: traversals of whole blocks, and what each tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from unweave.analysis.attributes import attribute_along, block_accuracy, block_scatter, code_classifier
from unweave.job import Arrays, Measure, Values
from unweave.metrics.information import discretise, entropy, joined, mutual_information, units
from unweave.run import Run
from unweave.studies.measures import TILES, as_bytes
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
        strips = [[as_bytes(run.traverse(block, values.to(base), base)) for block in blocks] for base in means]
        arrays = {
            "blocks": np.stack([np.stack(one) for one in strips]),
            "values": values.numpy(),
            "bases": as_bytes(x),
            "reconstructed": as_bytes(again),
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


@dataclass(frozen=True)
class PriorScatter(Measure):
    """The first three blocks of two latents against the Gaussian that they should follow.

    Values: ``inside.i.r``, the share of codes of block i within Mahalanobis distance r = 1, 2, 3 of the prior.
    Arrays: ``scatter.i`` (P, 2), ``scatter.i.level`` (P,) and ``scatter.i.contours`` (3, L, 2).

    Args:
        points: images.
        factor: whose level colours a point.
        rho: the prior's correlation within a block.
    """

    points: int = 1_000
    factor: str = "shape"
    rho: float = 0.5

    @property
    def label(self) -> str:
        """``blocks against their prior``."""
        return "blocks against their prior"

    def __call__(self, run: Run, codes: Codes) -> tuple[Values, Arrays]:
        values: dict[str, float] = {}
        arrays: dict[str, np.ndarray] = {}
        for i, block in enumerate(run.model.blocks[:3]):
            found = block_scatter(codes, block, self.rho, self.factor, self.points)
            values |= {f"inside.{i}.{r:g}": share for r, share in zip(found.radii, found.inside, strict=True)}
            arrays |= {f"scatter.{i}": found.z, f"scatter.{i}.level": found.levels}
            arrays[f"scatter.{i}.contours"] = found.contours
        return values, arrays


@dataclass(frozen=True)
class AttributeCurves(Measure):
    """The probability of the highest level of an attribute while its block goes along the diagonal.

    Values: ``classifier.NAME``, the accuracy of the classifier.
    Arrays: ``diagonal.NAME`` (3, V): the value that the block's latents take, mean and standard deviation of the
    probability.

    Args:
        labels: the attribute of block 1, 2, …
        bases: codes that are moved.
    """

    labels: tuple[str, ...]
    bases: int = 64

    @property
    def label(self) -> str:
        """``attributes along the diagonal``."""
        return f"{', '.join(self.labels)} along the diagonal"

    def __call__(self, run: Run, codes: Codes) -> tuple[Values, Arrays]:
        values: dict[str, float] = {}
        arrays: dict[str, np.ndarray] = {}
        for block, name in zip(run.model.blocks, self.labels, strict=False):
            found = attribute_along(run.model, codes, block, code_classifier(codes, name), bases=self.bases)
            values[f"classifier.{name}"] = found.accuracy
            arrays[f"diagonal.{name}"] = np.stack([found.values, found.mean[:, -1], found.deviation[:, -1]])
        return values, arrays


@dataclass(frozen=True)
class AttributeAccuracy(Measure):
    """How well logistic regression tells an attribute off all latents, and off the first block alone.

    Values: ``accuracy@D`` and ``accuracy.block@D`` with D the number of latents, ``chance``.

    Args:
        factor: the attribute.
    """

    factor: str

    @property
    def label(self) -> str:
        """``accuracy of`` it."""
        return f"accuracy of {self.factor}"

    def __call__(self, run: Run, codes: Codes) -> tuple[Values, Arrays]:
        found, d = block_accuracy(codes, run.model.blocks[0], self.factor), run.experiment.latents
        return {f"accuracy@{d}": found.whole, f"accuracy.block@{d}": found.block, "chance": found.chance}, {}
