"""RecurD, Table 8 and Figures 1 and 4: what is inside, layer by layer and over training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

from unweave.job import Training
from unweave.methods import RecurD
from unweave.studies.base import Entry, Row, Scale, Study, experiment, grouped, picked
from unweave.studies.figures import Curves, Figure, HeatMap, Scatter
from unweave.studies.inside import Pairs, Properties
from unweave.studies.recurd.runs import COMPARED, FULL, PAPER, SILENT, SMALL, split, trained
from unweave.studies.recurd.scores import RECON
from unweave.studies.table import Column
from unweave.studies.tiny import tiny

PRESSURES = ("β-VAE β = 4", "β-VAE β = 16", "β-VAE β = 60")


@dataclass(frozen=True)
class RecurDTable8(Study):
    """Table 8: MIG of the layers."""

    name: ClassVar[str] = "recurd-table8"
    paper: ClassVar[str] = "recurd"
    where: ClassVar[str] = "Table 8, appendix E.2"
    title: ClassVar[str] = "MIG of the code of RecurD and of the layers before it, on Shapes3D"
    decided: ClassVar[tuple[str, ...]] = (
        *SILENT,
        "How a map becomes a code is not said: each channel of each group averaged over its pixels.",
        "Table 8 writes z = m^L, the text z = m^{L+1}. m^{L−1} is what the first module puts out, m^{L−2} what its "
        "first convolutions put out: RecurD 1 has nothing else before.",
        "MIG of layers is of training images, that of z of unseen ones.",
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("MIG of m^{L-2}", ("mig.m1",)),
        Column("MIG of m^{L-1}", ("mig.m2",)),
        Column("MIG of what the last encoders read", ("mig.routed 2",)),
        Column("MIG of z", ("mig",)),
        RECON,
    )
    scales: ClassVar[Mapping[str, Scale]] = {**FULL, "small": SMALL._replace(seeds=1), "paper": PAPER._replace(seeds=1)}

    def jobs(self, scale: str) -> list[Entry]:
        job = trained(self, "shapes3d", COMPARED["RecurD"], scale, 0)
        return [({"data": "shapes3d", "row": "RecurD", "seed": 0}, job)]


@dataclass(frozen=True)
class RecurDFig1(Study):
    """Figure 1: latents that depend on each other, and the features below them that do."""

    name: ClassVar[str] = "recurd-fig1"
    paper: ClassVar[str] = "recurd"
    where: ClassVar[str] = "Figure 1, section 1"
    title: ClassVar[str] = "NMI of every two latents of β-VAE, and of every two channels of the layer before"
    decided: ClassVar[tuple[str, ...]] = (
        "NMI of a pair is I / √(H H): the paper divides by H(c) of a pair, which it does not define.",
        "m are the channels of the last convolution, averaged over their maps; β = 4, 16 and 60, for β is not given.",
        "Panels (b) and (c) compare two models of which nothing is said: here every model is a point, its mean NMI of "
        "m across and of z upwards.",
    )
    scales: ClassVar[Mapping[str, Scale]] = FULL

    def jobs(self, scale: str) -> list[Entry]:
        size = self.scale(scale)
        found: list[Entry] = []
        for seed in range(size.seeds):
            for row in PRESSURES:
                full = trained(self, "dsprites", COMPARED[row], scale, seed).experiment
                job = Training(full, measures=(Pairs(min(size.images, 5_000)),), count=min(size.images, 5_000))
                found.append(({"data": "dsprites", "row": row, "seed": seed}, job))
        return found

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        found: list[Figure] = []
        for labels, result in picked(results, seed=0):
            if "pairs.z" in result.arrays:
                title = f"{labels['row']}: NMI of pairs"
                found.append(HeatMap(f"{title} of latents", {"z": result.arrays["pairs.z"]}))
                found.append(HeatMap(f"{title} of channels", {"m": result.arrays["pairs.m"]}))
        clouds = {
            str(row): ([r.values["pairs.m"] for _, r in each], [r.values["pairs.z"] for _, r in each])
            for (row,), each in grouped(results, "row").items()
        }
        if clouds:
            found.append(
                Scatter("Mean NMI of pairs", clouds, "of channels m", "of latents z", caption="A point a model.")
            )
        return found


@dataclass(frozen=True)
class RecurDFig4(Study):
    """Figure 4: the three properties over training, with no, one and two modules."""

    name: ClassVar[str] = "recurd-fig4"
    paper: ClassVar[str] = "recurd"
    where: ClassVar[str] = "Figure 4, section 5.1.1"
    title: ClassVar[str] = "Sufficiency, minimal sufficiency and disentanglement of RecurD 0, 1 and 2 over training"
    decided: ClassVar[tuple[str, ...]] = (
        *SILENT,
        "The terms of RecurD 0 exist for z alone, so all three curves are of z: the error a pixel, I(x; z) and the "
        "sum of I(z_i; z_j), both against the aggregate posterior, on training images.",
        "The data sets are not named: dSprites, and Shapes3D at paper scale. 8 latents throughout, as the decoder of "
        "Table 3 takes; Table 5 has 16 encoders in RecurD 2.",
    )
    scales: ClassVar[Mapping[str, Scale]] = {
        **FULL,
        "small": SMALL._replace(steps=1_500, seeds=1),
        "paper": PAPER._replace(seeds=1),
    }
    POINTS: ClassVar[Mapping[str, int]] = {"smoke": 2, "small": 10, "paper": 30}

    def jobs(self, scale: str) -> list[Entry]:
        size = self.scale(scale)
        found: list[Entry] = []
        at = tuple(sorted({max(1, size.steps * k // self.POINTS[scale]) for k in range(1, self.POINTS[scale] + 1)}))
        for data in ("dsprites", "shapes3d") if scale == "paper" else ("dsprites",):
            images = split(self, data, scale)
            for seed in range(size.seeds):
                for modules in (0, 1, 2):
                    method = tiny(RecurD(modules=modules)) if scale == "smoke" else RecurD(modules=modules)
                    full = experiment(method, images, size, PAPER, seed, latents=8)
                    job = Training(full, measures=(Properties(),), at=at, count=min(size.images, 2_000))
                    found.append(({"data": data, "row": f"RecurD {modules}", "seed": seed}, job))
        return found

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        names = {
            "sufficiency": ("Sufficiency", "error a pixel"),
            "minimality": ("Minimal sufficiency", "I(x; z), nats"),
            "dependence": ("Disentanglement", "Σ I(z_i; z_j), nats"),
        }
        found: list[Figure] = []
        for data, key in product(("dsprites", "shapes3d"), names):
            title, up = names[key]
            lines: dict[str, list[tuple[list[float], list[float]]]] = {}
            for labels, result in picked(results, data=data):
                if f"course.{key}" in result.arrays:
                    steps, values = result.arrays["course.step"], result.arrays[f"course.{key}"]
                    lines.setdefault(str(labels["row"]), []).append((steps.tolist(), values.tolist()))
            if lines:
                found.append(Curves(f"{title}, {data}", lines, "steps", up, caption="Lower is better."))
        return found


STUDIES: Mapping[str, type[Study]] = {one.name: one for one in (RecurDTable8, RecurDFig1, RecurDFig4)}
