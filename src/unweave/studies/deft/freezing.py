"""DEFT's freezing points and its pictures of data sets: Figures 4, 8, 9 and 16."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from unweave.analysis import AnnealingTest
from unweave.networks import MLP
from unweave.studies.base import Entry, Labels, Row, Scale, Study, grouped, picked
from unweave.studies.deft.models import SETTINGS, few
from unweave.studies.figures import Curves, Distributions, Figure, Strips
from unweave.studies.freezing import FreezingTest, Panels, Pressures, WholeAnnealing
from unweave.studies.table import Column

CHAIRS_BETAS = (36.0, 16.0, 1.0)
"""What the paper gives DEFT's stages on 3D Chairs."""
TINY = Scale(30, 8, 1, 2e-3, network=MLP((16,)), images=100)


@dataclass(frozen=True)
class DEFTFig4(Study):
    """Figure 4: one annealing test on dSprites."""

    name: ClassVar[str] = "deft-fig4"
    paper: ClassVar[str] = "deft"
    where: ClassVar[str] = "Figure 4, section 4.1"
    title: ClassVar[str] = "Information freezing: KL and reconstruction error while the pressure falls from 200"
    decided: ClassVar[tuple[str, ...]] = (
        "From 200 to 1 in 100,000 steps: a straight line as the text says, and an exponential of the same ends, since "
        "β = 32 at step 7,500 fits no straight line (β would be 185).",
        "The freezing point is β at the first of three measurements in a row with 0.1 nats of KL, on the whole set.",
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("freezing point", ("freezing",), "", pooled="shown"),
        Column("iteration", ("iteration",), "", pooled="shown"),
        Column("β_c", ("critical",), "", pooled="shown"),
    )
    alone: ClassVar[tuple[str, ...]] = ("annealing test, exponential",)
    scales: ClassVar[Mapping[str, Scale]] = {
        "smoke": TINY,
        "small": Scale(40_000, 64, 1, 5e-4, images=2_000),
        "paper": Scale(100_000, 256, 1, 5e-4, images=2_000),
    }

    def jobs(self, scale: str) -> list[Entry]:
        size = self.scale(scale)
        test = AnnealingTest(
            beta_start=200.0,
            steps=size.steps,
            mi="kl",
            full=True,
            batch=size.batch,
            lr=size.lr,
            network=size.network,
            measurements=min(100, size.steps),
        )
        data = few(self.data("dsprites")) if scale == "smoke" else self.data("dsprites")
        return [
            (
                {"data": "dsprites", "row": row, "seed": 0},
                WholeAnnealing(data, replace(test, schedule=schedule)),
            )
            for row, schedule in (("annealing test", "linear"), ("annealing test, exponential", "exp"))
        ]

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        found = [(str(labels["row"]), result) for labels, result in picked(results)]
        if not found:
            return []
        told = "; ".join(
            f"{labels['row']}: freezing point {r.values['freezing']:.3g}, β_c {r.values['critical']:.3g}"
            for labels, r in picked(results)
        )
        lines = {row: [(r.arrays["betas"], r.arrays["nats"])] for row, r in found}
        errors = {row: [(r.arrays["betas"], r.arrays["errors"])] for row, r in found if "errors" in r.arrays}
        return [
            Curves("KL against the pressure", lines, "pressure β", "nats", log=True, caption=told),
            *([Curves("Its reconstruction error", errors, "pressure β", "nats", log=True)] if errors else []),
        ]


@dataclass(frozen=True)
class DEFTFig8(Study):
    """Figure 8: what the data sets look like."""

    name: ClassVar[str] = "deft-fig8"
    paper: ClassVar[str] = "deft"
    where: ClassVar[str] = "Figure 8, section 5.3"
    title: ClassVar[str] = "The four data sets, a row a factor"
    decided: ClassVar[tuple[str, ...]] = ("The base image is drawn at random; ten levels of a factor at most.",)
    scales: ClassVar[Mapping[str, Scale]] = {
        "smoke": Scale(1, 1, 1, 0.0),
        "small": Scale(1, 1, 1, 0.0),
        "paper": Scale(1, 1, 1, 0.0),
    }

    def told(self, scale: str) -> str:
        return "pictures of the data, the same at every scale"

    def jobs(self, scale: str) -> list[Entry]:
        self.scale(scale)
        found: list[Entry] = []
        for name in SETTINGS:
            data = self.data(name)
            found.append(({"data": name}, Panels(data, 10, row=data.rows * 5 // 9)))
        return found

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        found: list[Figure] = []
        for labels, result in picked(results):
            name = str(labels["data"])
            factors = self.data(name).factors
            wanted = [(f"along.{one}", one) for one in (factors.names if factors else ())] + [("random", "at random")]
            rows = [(told, result.arrays[key]) for key, told in wanted if key in result.arrays]
            found.append(Strips(name, rows, caption=self.pixels(name)))
        return found


@dataclass(frozen=True)
class DEFTFig9(Study):
    """Figure 9 and Table 2: freezing points of every factor, and the pressures that follow."""

    name: ClassVar[str] = "deft-fig9"
    paper: ClassVar[str] = "deft"
    where: ClassVar[str] = "Figure 9 and Table 2, section 5.3"
    title: ClassVar[str] = "Information freezing points of the factors of four data sets"
    decided: ClassVar[tuple[str, ...]] = (
        "The numbers of Figure 9 cannot be read; what is printed are the pressures of Table 2, chosen by eye. Ours "
        "beside them are in closed form, from the images alone, and each in the middle of its share of the "
        "information.",
        "A test falls exponentially from 1.5 β_c to 1 in 8,000 steps and stops at its freezing point; the text says "
        "200 to 1 in 100,000 steps, the authors' files 8,000 to 30,000 with a small network of one latent.",
        "A short test reads low: a code grows slowly near its critical pressure. The closed form β_c of the same "
        "images is drawn beside it.",
    )
    columns: ClassVar[tuple[Column, ...]] = tuple(
        Column(f"stage {k}", (f"stage.{k}",), "", pooled="shown") for k in range(1, 5)
    )
    scales: ClassVar[Mapping[str, Scale]] = {
        "smoke": TINY,
        "small": Scale(3_000, 64, 5, 2e-3, network=MLP((64,)), images=20_000, note="the factors of dSprites"),
        "paper": Scale(8_000, 64, 50, 2e-3, network=MLP((64,)), images=20_000),
    }

    def jobs(self, scale: str) -> list[Entry]:
        size = self.scale(scale)
        test = AnnealingTest(
            steps=size.steps, batch=size.batch, lr=size.lr, network=size.network, measurements=min(200, size.steps)
        )
        found: list[Entry] = []
        for name, own in SETTINGS.items():
            data = few(self.data(name)) if scale == "smoke" else self.data(name)
            found.append(
                ({"data": name, "row": "pressures"}, Pressures(data, len(own.betas), min(size.images, data.rows)))
            )
        tested = SETTINGS if scale == "paper" else ("dsprites",)
        for name in tested:
            data = self.data(name)
            factors = data.factors
            assert factors is not None
            for repeat in range(size.seeds):
                for factor in factors.names:
                    labels: Labels = {"data": name, "factor": factor, "seed": repeat}
                    found.append((labels, FreezingTest(data, factor, repeat, test)))
        return found

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        found: list[Figure] = []
        for (name,), rows in grouped([one for one in results if "factor" in one[0]], "data").items():
            trained: dict[str, list[float]] = {}
            closed: dict[str, list[float]] = {}
            missed = 0
            for labels, result in rows:
                factor, point = str(labels["factor"]), result.values["freezing"]
                missed += point != point
                trained.setdefault(factor, []).extend([point] if point == point else [])
                closed.setdefault(factor, []).append(result.values["critical"])
            marks = [(beta, f"β {beta:g}") for beta in SETTINGS[str(name)].betas]
            told = f"lines: the pressures of Table 2; {missed} of {len(rows)} tests never reached 0.1 nats"
            found.append(
                Distributions(f"Annealing tests on {name}", trained, "pressure β", log=True, marks=marks, caption=told)
            )
            found.append(Distributions(f"Closed form on {name}", closed, "β_c", log=True, marks=marks))
        return found


@dataclass(frozen=True)
class DEFTFig16(Study):
    """Figure 16: annealing without labels."""

    name: ClassVar[str] = "deft-fig16"
    paper: ClassVar[str] = "deft"
    where: ClassVar[str] = "Figure 16, section 5.5"
    title: ClassVar[str] = "Pressures at which information begins to come in faster, without labels"
    decided: ClassVar[tuple[str, ...]] = (
        "The authors marked the mutation points by eye, and name two of their four. Ours are peaks of the second "
        "difference of the smoothed information that stand out of its scatter.",
        "From 200 (dSprites) and 1.5 β_c to 1, exponentially, in 100,000 steps; information is the KL.",
        "Marked by their numbers: the pressures that the paper chose (its red points: 70, 30, 12, 4, and 36, 16, 1); "
        "by 'change' the mutation points (green). The tendency is a mean over seven measurements.",
    )
    columns: ClassVar[tuple[Column, ...]] = tuple(
        Column(f"mutation point {k}", (f"change.{k}",), "", pooled="shown") for k in range(1, 5)
    )
    alone: ClassVar[tuple[str, ...]] = ("dsprites/β-VAE",)
    scales: ClassVar[Mapping[str, Scale]] = {
        "smoke": TINY,
        "small": Scale(40_000, 64, 1, 5e-4, images=2_000),
        "paper": Scale(100_000, 256, 1, 5e-4, images=2_000),
    }

    def jobs(self, scale: str) -> list[Entry]:
        size = self.scale(scale)
        test = AnnealingTest(
            steps=size.steps,
            mi="kl",
            full=True,
            batch=size.batch,
            lr=size.lr,
            network=size.network,
            measurements=min(100, size.steps),
        )
        found: list[Entry] = []
        for name in ("dsprites", "chairs3d"):
            data = few(self.data(name)) if scale == "smoke" else self.data(name)
            own = replace(test, beta_start=200.0) if name == "dsprites" else test
            found.append(({"data": name, "row": "β-VAE", "seed": 0}, WholeAnnealing(data, own)))
        return found

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        found: list[Figure] = []
        for labels, result in picked(results):
            changes = [beta for name, beta in result.values.items() if name.startswith("change.")]
            told = "mutation points: " + (", ".join(f"{beta:.3g}" for beta in changes) or "none")
            betas, nats = result.arrays["betas"], result.arrays["nats"]
            rise = nats[1:] - nats[:-1]
            name = str(labels["data"])
            found.append(Curves(f"KL on {name}", {"KL": [(betas, nats)]}, "pressure β", "nats", log=True, caption=told))
            width = min(7, len(rise))
            tendency = np.convolve(rise, np.full(width, 1 / width), "valid")
            middle = betas[1:][(width - 1) // 2 :][: len(tendency)]
            chosen = SETTINGS[name].betas if name in SETTINGS else CHAIRS_BETAS
            marks = [(beta, f"{beta:g}") for beta in chosen] + [(beta, f"change {beta:.3g}") for beta in changes]
            lines = {"ΔI": [(betas[1:], rise)], "tendency": [(middle, tendency)]}
            title = f"Its increments on {name}"
            found.append(Curves(title, lines, "pressure β", "nats a measurement", log=True, marks=marks))
        return found
