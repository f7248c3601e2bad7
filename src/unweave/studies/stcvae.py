"""β-STCVAE (Chen et al., 2022): the capacity of groups of latents, and MIG of groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from unweave.analysis import Trained, complexity, elbo_trajectory, largest_group
from unweave.analysis.cost import RATE, STEP
from unweave.data import Dataset, Split
from unweave.engine import Complete
from unweave.job import Cost, Job, Measure, Result, Scores, Told, Training, once, quiet
from unweave.methods import DIPVAE1, BetaSTCVAE, BetaTCVAE, BetaVAE, FactorVAE, Method
from unweave.metrics import MIGPosterior
from unweave.networks import MLP, VAE, Body, Conv
from unweave.studies.base import Entry, Labels, Row, Scale, Study, experiment, grouped, picked
from unweave.studies.figures import Curves, Distributions, Figure, HeatMap
from unweave.studies.inside import Bound
from unweave.studies.sets import digits, faces
from unweave.studies.table import Column
from unweave.studies.tiny import tiny
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
    "paper": PAPER._replace(
        seeds=3, note="8, 12 and 16 latents, β of 4 and 8: 2,880 of the 124,000 models, all with full=True"
    ),
}


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


def swept(study: Study, scale: str, full: bool, labelled: bool = False) -> list[Entry]:
    """The grid of Figures 2 and 3: data sets, capacities, numbers of latents, group sizes, β, repeats.

    Args:
        study: whose data and scale.
        scale: its name.
        full: the whole published grid at paper scale.
        labelled: only data sets with factors, which have a MIG.
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
        measures: tuple[Measure, ...] = (
            OnTest((Bound(min(1_000, size.images)), *((scores,) if images.factors else ())), size.images),
        )
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
                        found += [
                            ({**labels, "seed": seed}, Training(_seeded(one, seed), measures, count=10))
                            for seed in range(size.seeds)
                        ]
    return found


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


@lru_cache(1024)
def multiplied(shape: tuple[int, int, int], network: Body | None, latents: int) -> int:
    """Multiply-accumulates of encoding and decoding one image.

    >>> multiplied((1, 64, 64), MLP((100, 100)), 8)
    841600
    """
    assert isinstance(network, MLP | Conv)
    if isinstance(network, MLP):
        width = network.hidden[0]
        return 2 * (shape[0] * shape[1] * shape[2] * width + width**2) + 3 * latents * width
    narrow, width = Conv(hidden=1), network.hidden or 1
    return complexity(VAE(narrow, shape, latents, "bernoulli"), shape).macs + (width - 1) * (2 * 1024 + 3 * latents)


def _seeded(full: Complete, seed: int) -> Complete:
    """The same experiment with another seed; it has been checked."""
    return replace(full, seed=seed)


@dataclass(frozen=True)
class StcVAEFig2(Study):
    """Figure 2: which size of groups has the best bound at each capacity, and where omniscient latents appear.

    Args:
        full: at paper scale the whole published grid and not the part of it that a few machines can train.
    """

    full: bool = False

    name: ClassVar[str] = "stcvae-fig2"
    paper: ClassVar[str] = "stcvae"
    where: ClassVar[str] = "Figure 2, section 4.2"
    title: ClassVar[str] = "Best-ELBO trajectories over parameter capacity, and the region of omniscient latents"
    decided: ClassVar[tuple[str, ...]] = (
        *OPEN,
        "The ELBO is reconstruction and KL without any pressure, on images that training did not see: nine tenths of "
        "each set train, the rest is held out.",
        "The best group size is taken for each number of latents, by the mean over repeats, and i/m averaged over "
        "these; the curve through them is a parabola over the place in the list of capacities.",
        f"Omniscient: at least {1 - DELTA:.0%} of the models of a cell have a latent whose differential entropy is "
        f"below {EPSILON} nats, the formula to the letter. A latent that says nothing has 1.419.",
    )
    columns: ClassVar[tuple[Column, ...]] = (Column("mean grouping coefficient", ("coefficient",), "", pooled="shown"),)
    repeats: ClassVar[int] = 20
    scales: ClassVar[Mapping[str, Scale]] = SCALES

    def jobs(self, scale: str) -> list[Entry]:
        return [({"data": "all", "row": "β-TCVAE", "seed": 0}, GroupingCoefficient()), *swept(self, scale, self.full)]

    def cost(self, scale: str) -> tuple[int, Cost]:
        """Without building networks of a hundred million weights to count them."""
        return counted(self.jobs(scale))

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        found: list[Figure] = []
        for (data,), each in grouped([one for one in results if "c" in one[0]], "data").items():
            lines: dict[str, list[tuple[list[float], list[float]]]] = {}
            widths = sorted({int(labels["c"]) for labels, _ in each})
            places = [float(place) for place in range(len(widths))]
            for (beta,), models in grouped(each, "beta").items():
                if len({labels["c"] for labels, _ in models}) < 3:
                    continue
                best = elbo_trajectory(
                    [
                        Trained(float(own["c"]), int(own["n"]), int(own["i"]), -result.values["elbo"])
                        for own, result in models
                        if np.isfinite(result.values["elbo"])
                    ]
                )
                lines[f"β = {beta:g}"] = [(places, best.coefficients.tolist())]
                lines[f"β = {beta:g}, parabola"] = [(places, best.curve.tolist())]
                lines["β-TCVAE"] = [(places, [best.reference] * len(places))]
            if lines:
                told = f"Capacities: {', '.join(f'{width:,}' for width in widths)}."
                title = f"Best grouping coefficient, {data}"
                found.append(Curves(title, lines, "place in the list of capacities", "i/m", points=True, caption=told))
            found.append(omniscient_region(str(data), each, widths))
        return found


def omniscient_region(data: str, results: Sequence[Row], widths: Sequence[int]) -> HeatMap:
    """Share of models with an omniscient latent by grouping coefficient (rows) and capacity (columns), for each β."""
    levels = sorted({int(own["i"]) / largest_group(int(own["n"])) for own, _ in results}, reverse=True)
    maps: dict[str, np.ndarray] = {}
    for (beta,), models in grouped(results, "beta").items():
        cells: dict[tuple[float, int], list[bool]] = {}
        for own, result in models:
            place = (int(own["i"]) / largest_group(int(own["n"])), int(own["c"]))
            cells.setdefault(place, []).append(result.values["entropy.least"] < EPSILON)
        maps[f"β = {beta:g}"] = np.array(
            [[float(np.mean(cells.get((level, width), [False]))) for width in widths] for level in levels]
        )
    told = (
        f"Share of models with an omniscient latent, of less than {EPSILON} nats; a cell counts from {1 - DELTA:.0%}."
    )
    return HeatMap(data, maps, [f"i/m = {one:.2f}" for one in levels], [f"{w:,}" for w in widths], told)


@dataclass(frozen=True)
class StcVAEFig3(Study):
    """Figure 3: mean MIG over capacity.

    Args:
        full: at paper scale the whole published grid and not the part of it that a few machines can train.
    """

    full: bool = False

    name: ClassVar[str] = "stcvae-fig3"
    paper: ClassVar[str] = "stcvae"
    where: ClassVar[str] = "Figure 3, section 4.3"
    title: ClassVar[str] = "Mean MIG of β-STCVAE and β-TCVAE over parameter capacity"
    decided: ClassVar[tuple[str, ...]] = (
        *OPEN,
        "The models of Figure 2. MIG is that of the aggregate posterior with each group as one code, on unseen images.",
        "β-STCVAE is averaged over all sizes of groups above 1 that leave three groups or more: with two, an "
        "omniscient latent makes MIG meaningless. Averaged over β, too.",
    )
    scales: ClassVar[Mapping[str, Scale]] = SCALES

    def jobs(self, scale: str) -> list[Entry]:
        return swept(self, scale, self.full, labelled=True)

    def cost(self, scale: str) -> tuple[int, Cost]:
        """Without building networks of a hundred million weights to count them."""
        return counted(self.jobs(scale))

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        found: list[Figure] = []
        for (data,), each in grouped([one for one in results if "c" in one[0]], "data").items():
            kinds: dict[str, dict[int, list[float]]] = {"β-STCVAE": {}, "β-TCVAE": {}}
            for own, result in each:
                n, i = int(own["n"]), int(own["i"])
                if "mig-posterior" in result.values and n // i >= 3:
                    row = kinds["β-TCVAE" if i == 1 else "β-STCVAE"]
                    row.setdefault(int(own["c"]), []).append(result.values["mig-posterior"])
            lines = {
                name: [([float(c) for c in sorted(row)], [float(np.mean(row[c])) for c in sorted(row)])]
                for name, row in kinds.items()
                if row
            }
            if lines:
                found.append(Curves(f"Mean MIG, {data}", lines, "capacity c", "MIG of groups", points=True))
        return found


MODELS: Mapping[str, tuple[Method, int]] = {
    "StcVae_8_2": (BetaSTCVAE(beta=4.0, group_size=2), 16),
    "TcVae_16": (BetaTCVAE(beta=4.0), 16),
    "TcVae_8": (BetaTCVAE(beta=4.0), 8),
    "BetaVae_8": (BetaVAE(beta=4.0), 8),
    "FactorVae_8": (FactorVAE(gamma=6.4), 8),
    "DIP-1_8": (DIPVAE1(lambda_od=10.0, lambda_d=100.0), 8),
}
"""Model -> method and number of latents, in the order of the figure."""


@dataclass(frozen=True)
class StcVAEFig4(Study):
    """Figure 4: MIG of six models at three capacities."""

    name: ClassVar[str] = "stcvae-fig4"
    paper: ClassVar[str] = "stcvae"
    where: ClassVar[str] = "Figure 4, section 4.3"
    title: ClassVar[str] = "MIG of β-STCVAE and five others on Shapes3D, Cars3D and dSprites"
    decided: ClassVar[tuple[str, ...]] = (
        *OPEN,
        "Pressures are in the missing supplement: β = 4 for three methods, γ = 6.4 for FactorVAE, λ_od = 10 and "
        "λ_d = 100 for DIP-VAE-I.",
        "StcVae_8_2 is 16 latents in 8 groups of 2, each group one code. MIG of the aggregate posterior for all "
        "models, on 10,000 images of those trained on, for no split is mentioned.",
        "The caption calls its last panel 7(c); it is 4(c).",
    )
    columns: ClassVar[tuple[Column, ...]] = (Column("MIG", ("mig-posterior",)),)
    scales: ClassVar[Mapping[str, Scale]] = {
        "smoke": Scale(6, 16, 1, 1e-3, images=200, note="dense layers of 16"),
        "small": Scale(
            4_000, 64, 2, 5e-4, images=5_000, note="dSprites, widths of 300 and 500, a tenth of the published"
        ),
        "paper": PAPER,
    }
    WIDTHS: ClassVar[Mapping[str, Mapping[str, tuple[int, ...]]]] = {
        "smoke": {"dsprites": (16,)},
        "small": {"dsprites": (300, 500)},
        "paper": {
            "shapes3d": (800, 1000, 1200),
            "cars3d": (800, 900, 1000),
            "dsprites": (3000, 4000, 5000),
        },
    }

    def jobs(self, scale: str) -> list[Entry]:
        size = self.scale(scale)
        found: list[Entry] = []
        scores = Scores((MIGPosterior(min(2_000, 5 * size.images), size.images),))
        for data, widths in self.WIDTHS[scale].items():
            for width in widths:
                here = size._replace(network=body(data, width))
                for row, (method, n) in MODELS.items():
                    small = tiny(method) if scale == "smoke" else method
                    full = experiment(small, self.data(data), here, PAPER, 0, latents=n)
                    labels: Labels = {"data": data, "row": row, "c": width}
                    found += [
                        ({**labels, "seed": seed}, Training(_seeded(full, seed), (scores,), count=size.images))
                        for seed in range(size.seeds)
                    ]
        return found

    def cost(self, scale: str) -> tuple[int, Cost]:
        """Without building networks of a hundred million weights to count them."""
        return counted(self.jobs(scale))

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        found: list[Figure] = []
        for (data, width), each in grouped(results, "data", "c").items():
            groups = {
                row: [result.values["mig-posterior"] for _, result in picked(each, row=row)]
                for row in MODELS
                if picked(each, row=row)
            }
            found.append(Distributions(f"MIG, {data}, c = {width:,}", groups, "MIG", unit=True))
        return found


STUDIES: Mapping[str, type[Study]] = {one.name: one for one in (StcVAEFig2, StcVAEFig3, StcVAEFig4)}
