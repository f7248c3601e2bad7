"""What β-STCVAE's figures vary: capacities, numbers of latents, sizes of groups, pressures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from unweave.analysis import complexity, largest_group
from unweave.analysis.cost import RATE, STEP
from unweave.data import Dataset, Split
from unweave.engine import Complete
from unweave.job import Cost, Job, Measure, Result, Scores, Told, Training, once, quiet
from unweave.methods import BetaSTCVAE
from unweave.metrics import MIGPosterior
from unweave.networks import MLP, VAE, Body, Conv
from unweave.studies.base import Entry, Labels, Scale, Study, experiment
from unweave.studies.inside import Bound
from unweave.studies.measures import Traversals
from unweave.studies.sets import digits, faces
from unweave.studies.unseen import OnTest

PAPER = Scale(steps=20_000, batch=256, seeds=20, lr=5e-4)
LATENTS = (6, 8, 10, 12, 14, 16, 18, 20)
BETAS = (2.0, 4.0, 6.0, 8.0, 10.0)
DENSE = (250, 500, 1000, 1500, 2000, 3000, 4000, 5000)
CONVOLVED = (100, 200, 400, 600, 800, 900, 1000, 1200)
SETS = ("dsprites", "mnist", "shapes3d", "cars3d", "celeba")
FLAT = ("dsprites", "mnist")
"""Data sets on which the networks are dense."""
EPSILON, DELTA = 0.001, 0.01
OPEN = (
    "The supplement with networks, capacities, β, optimiser and batch could not be found: Adam 5e-4 and batch 256.",
    "Capacity is the width c of the dense layers: 4096-c-c-2n and back on dSprites and MNIST, the standard "
    "convolutions with dense layers of c elsewhere, whose own part the capacity cannot change, as the text says.",
    "Capacities are known for Figure 4 alone; the others are ours, up to those.",
)


class Grid:
    """What Figures 2 and 3 vary at a scale."""

    def __init__(
        self,
        sets: tuple[str, ...],
        latents: tuple[int, ...],
        betas: tuple[float, ...],
        dense: tuple[int, ...],
        convolved: tuple[int, ...],
    ) -> None:
        self.sets, self.latents, self.betas = sets, latents, betas
        self.widths = {data: dense if data in FLAT else convolved for data in sets}


GRIDS: Mapping[str, Grid] = {
    "smoke": Grid(("dsprites",), (8,), (4.0,), (8, 12, 16), ()),
    "small": Grid(("dsprites",), (8, 12), (4.0,), (50, 100, 200, 400), ()),
    "paper": Grid(SETS, (8, 12, 16), (4.0, 8.0), DENSE, CONVOLVED),
}
WHOLE = Grid(SETS, LATENTS, BETAS, DENSE, CONVOLVED)
"""The published grid: 31 pairs of latents and groups, 8 capacities, 5 pressures, 20 repeats, 5 data sets."""
SCALES: Mapping[str, Scale] = {
    "smoke": Scale(6, 16, 1, 1e-3, images=200, note="8 latents, dense layers of 8, 12 and 16"),
    "small": Scale(2_000, 64, 1, 5e-4, images=5_000, note="dSprites, 8 and 12 latents, β = 4, widths of 50 to 400"),
    "paper": PAPER._replace(seeds=3, note="8, 12 and 16 latents, β of 4 and 8"),
}


def told(size: Scale, scale: str, full: bool) -> str:
    """A scale of Figures 2 and 3 in words, beside what was published.

    >>> told(SCALES["paper"], "paper", False).rpartition("latents, ")[2]
    'β of 4 and 8: 2,880 of the 124,000 models, all with --full'
    """
    if scale == "paper" and full:
        return PAPER._replace(note="the whole grid, 124,000 models on five data sets").told(PAPER)
    return size.told(PAPER) + (": 2,880 of the 124,000 models, all with --full" if scale == "paper" else "")


@dataclass(frozen=True)
class GroupingCoefficient(Job):
    """The mean over numbers of latents of 1/m, m the largest proper divisor: where β-TCVAE stands on the vertical axis.

    Values: ``coefficient``.
    """

    name: ClassVar[str] = "grouping-coefficient"

    latents: tuple[int, ...] = LATENTS

    @property
    def title(self) -> str:
        """``mean of 1/m``."""
        return "mean of 1/m"

    @property
    def cost(self) -> Cost:
        """Nothing."""
        return Cost(0.0)

    @property
    def coefficient(self) -> float:
        """The mean.

        >>> round(GroupingCoefficient().coefficient, 4)
        0.1786
        """
        return float(np.mean([1 / largest_group(n) for n in self.latents]))

    def run(self, out: Path, *, root: Path | None = None, device: str | None = None, told: Told = quiet) -> Result:
        """Work it out."""
        return once(self, out, lambda folder: ({"coefficient": self.coefficient}, {}))


def body(data: str, width: int) -> Body:
    """The networks of a capacity."""
    return MLP((width, width)) if data in FLAT else Conv(hidden=width)


def held(study: Study, data: str) -> Dataset:
    """The part of a data set that Figures 2 and 3 train on."""
    if data == "mnist":
        return digits(study.root, 64, binary=True)
    return faces(study.root, "train") if data == "celeba" else Split(study.data(data))


def divisors(latents: int) -> list[int]:
    """Every group size but the whole.

    >>> divisors(12)
    [1, 2, 3, 4, 6]
    """
    return [i for i in range(1, latents) if latents % i == 0]


def corners(grid: Grid, data: str) -> dict[tuple[int, int, int, float], str]:
    """(c, n, i, β) -> the region of Figure 2(d) that it lies in: both ends of both axes, of the most latents and the
    lowest β.

    >>> list(corners(GRIDS["smoke"], "dsprites"))
    [(8, 8, 1, 4.0), (16, 8, 1, 4.0), (8, 8, 4, 4.0), (16, 8, 4, 4.0)]
    """
    n, beta, widths = max(grid.latents), min(grid.betas), grid.widths[data]
    low, high, most = min(widths), max(widths), largest_group(n)
    return {
        (low, n, 1, beta): "lower left: dependent features underfit",
        (high, n, 1, beta): "lower right: independent features overfit",
        (low, n, most, beta): "upper left: independent features underfit",
        (high, n, most, beta): "upper right: dependent features overfit",
    }


def swept(study: Study, scale: str, full: bool, labelled: bool = False, traversed: bool = False) -> list[Entry]:
    """The grid of Figures 2 and 3: data sets, capacities, numbers of latents, group sizes, β, repeats.

    Args:
        study: whose data and scale.
        scale: its name.
        full: the whole published grid at paper scale.
        labelled: only data sets with factors, which have a MIG.
        traversed: keep traversals of the first repeat in each corner, labelled by its ``region``.
    """
    size, grid = study.scale(scale), GRIDS[scale]
    found: list[Entry] = []
    if full and scale == "paper":
        size, grid = PAPER, WHOLE
    for data in grid.sets:
        if labelled and data not in ("dsprites", "shapes3d", "cars3d"):
            continue
        images = held(study, data)
        scores = Scores((MIGPosterior(min(2_000, 5 * size.images), min(10_000, size.images)),))
        each: tuple[Measure, ...] = (Bound(min(1_000, size.images)), *((scores,) if images.factors else ()))
        plain, pictured = OnTest(each, size.images), OnTest((*each, Traversals(latents=4, bases=1)), size.images)
        regions = corners(grid, data) if traversed else {}
        for width in grid.widths[data]:
            here = size._replace(network=body(data, width))
            for n in grid.latents:
                for i in divisors(n):
                    for beta in grid.betas:
                        method = BetaSTCVAE(beta=beta, group_size=i)
                        one = experiment(method, images, here, PAPER, 0, latents=n)
                        labels: Labels = {
                            "data": data,
                            "c": width,
                            "n": n,
                            "i": i,
                            "beta": beta,
                        }
                        region = regions.get((width, n, i, beta))
                        for seed in range(size.seeds):
                            shown = {"region": region} if region and seed == 0 else {}
                            measure = pictured if shown else plain
                            job = Training(seeded(one, seed), (measure,), count=10)
                            found.append(({**labels, "seed": seed, **shown}, job))
    return found


class Counted(Study):
    """A study whose networks have up to a hundred million weights: its cost is worked out without building them."""

    def cost(self, entries: Sequence[Entry]) -> tuple[int, Cost]:
        """Number of jobs, and what they cost, from the sizes of their layers."""
        return counted(entries)


def counted(entries: Sequence[Entry]) -> tuple[int, Cost]:
    """Number of jobs, and what they cost, from the sizes of their layers."""
    seconds, steps, disk = 0.0, 0, 0
    trainings = [job for _, job in entries if isinstance(job, Training)]
    for job in trainings:
        one = job.experiment
        macs = multiplied(one.data.shape, one.network, one.latents)
        seconds += one.steps * (STEP + 3 * macs * one.batch / RATE[one.precision])
        steps += one.steps
        disk += 12 * macs if isinstance(one.network, MLP) else 24 * macs // 10
    return len(entries), Cost(seconds, steps, disk)


def multiplied(shape: tuple[int, int, int], network: Body | None, latents: int) -> int:
    """Multiply-accumulates of encoding and decoding one image.

    >>> multiplied((1, 64, 64), MLP((100, 100)), 8)
    841600
    """
    assert isinstance(network, MLP | Conv)
    if isinstance(network, MLP):
        width = network.hidden[0]
        return 2 * (shape[0] * shape[1] * shape[2] * width + width**2) + 3 * latents * width
    return narrow(shape, latents) + ((network.hidden or 1) - 1) * (2 * 1024 + 3 * latents)


@lru_cache(256)
def narrow(shape: tuple[int, int, int], latents: int) -> int:
    """Multiply-accumulates of the standard convolutions with dense layers of 1."""
    return complexity(VAE(Conv(hidden=1), shape, latents, "bernoulli"), shape).macs


def seeded(full: Complete, seed: int) -> Complete:
    """The same experiment with another seed; it has been checked."""
    return replace(full, seed=seed)
