"""β-STCVAE, Figures 2 and 3: bounds, omniscient latents and MIG over capacity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from unweave.analysis import Trained, elbo_trajectory, largest_group
from unweave.studies.base import Entry, Row, Scale, Study, grouped
from unweave.studies.drawn import traversals
from unweave.studies.figures import Curves, Figure, HeatMap
from unweave.studies.stcvae.grid import DELTA, EPSILON, OPEN, SCALES, Counted, GroupingCoefficient, swept, told
from unweave.studies.table import Column


@dataclass(frozen=True)
class StcVAEFig2(Counted):
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
        "Traversals of the four regions of panel (d): the lowest and the highest capacity, with single latents and "
        "with the largest groups, of the most latents and the lowest β; of the four latents with the highest KL each.",
    )
    columns: ClassVar[tuple[Column, ...]] = (Column("mean grouping coefficient", ("coefficient",), "", pooled="shown"),)
    repeats: ClassVar[int] = 20
    scales: ClassVar[Mapping[str, Scale]] = SCALES

    def jobs(self, scale: str) -> list[Entry]:
        return [
            ({"data": "all", "row": "β-TCVAE", "seed": 0}, GroupingCoefficient()),
            *swept(self, scale, self.full, traversed=True),
        ]

    def told(self, scale: str) -> str:
        return told(self.scale(scale), scale, self.full)

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        found: list[Figure] = []
        for (data,), each in grouped([one for one in results if "c" in one[0]], "data").items():
            lines: dict[str, list[tuple[list[float], list[float]]]] = {}
            widths = sorted({int(labels["c"]) for labels, _ in each})
            for (beta,), models in grouped(each, "beta").items():
                trained = [
                    Trained(float(own["c"]), int(own["n"]), int(own["i"]), -result.values["elbo"])
                    for own, result in models
                    if np.isfinite(result.values["elbo"])
                ]
                if len({one.capacity for one in trained}) < 3:
                    continue
                best = elbo_trajectory(trained)
                places = [float(widths.index(int(width))) for width in best.capacities]
                lines[f"β = {beta:g}"] = [(places, best.coefficients.tolist())]
                lines[f"β = {beta:g}, parabola"] = [(places, best.curve.tolist())]
                lines["β-TCVAE"] = [(places, [best.reference] * len(places))]
            if lines:
                told = f"Capacities: {', '.join(f'{width:,}' for width in widths)}."
                title = f"Best grouping coefficient, {data}"
                found.append(Curves(title, lines, "place in the list of capacities", "i/m", points=True, caption=told))
            found.append(omniscient_region(str(data), each, widths))
            found += [
                traversals(f"{data}, {own['region']}", result.arrays, 1, "c = {c:,}, n = {n}, i = {i}".format(**own))
                for own, result in each
                if "region" in own and "traversals" in result.arrays
            ]
        return found


def omniscient_region(data: str, results: Sequence[Row], widths: Sequence[int]) -> HeatMap:
    """Share of models with an omniscient latent by grouping coefficient (rows) and capacity (columns), for each β; NaN
    where no model is."""
    levels = sorted({int(own["i"]) / largest_group(int(own["n"])) for own, _ in results}, reverse=True)
    maps: dict[str, np.ndarray] = {}
    for (beta,), models in grouped(results, "beta").items():
        cells: dict[tuple[float, int], list[bool]] = {}
        for own, result in models:
            place = (int(own["i"]) / largest_group(int(own["n"])), int(own["c"]))
            cells.setdefault(place, []).append(result.values["entropy.least"] < EPSILON)
        maps[f"β = {beta:g}"] = np.array(
            [[float(np.mean(cells.get((level, width), [np.nan]))) for width in widths] for level in levels]
        )
    told = (
        f"Share of models with an omniscient latent, of less than {EPSILON} nats; a cell counts from {1 - DELTA:.0%}."
    )
    return HeatMap(data, maps, [f"i/m = {one:.2f}" for one in levels], [f"{w:,}" for w in widths], told)


@dataclass(frozen=True)
class StcVAEFig3(Counted):
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
        "β-STCVAE is averaged over the sizes of groups that leave three groups or more: with two, an omniscient latent "
        "makes MIG meaningless. The text leaves out the grouping coefficient 1; whether i = 1, which is β-TCVAE, is in "
        "the average is not clear, so both averages are drawn. Averaged over β, too.",
    )
    scales: ClassVar[Mapping[str, Scale]] = SCALES

    def jobs(self, scale: str) -> list[Entry]:
        return swept(self, scale, self.full, labelled=True)

    def told(self, scale: str) -> str:
        return told(self.scale(scale), scale, self.full)

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        found: list[Figure] = []
        for (data,), each in grouped([one for one in results if "c" in one[0]], "data").items():
            kinds: dict[str, dict[int, list[float]]] = {"β-STCVAE, i > 1": {}, "β-STCVAE": {}, "β-TCVAE": {}}
            for own, result in each:
                n, i = int(own["n"]), int(own["i"])
                if "mig-posterior" in result.values and n // i >= 3:
                    for kind in ("β-STCVAE", "β-TCVAE" if i == 1 else "β-STCVAE, i > 1"):
                        kinds[kind].setdefault(int(own["c"]), []).append(result.values["mig-posterior"])
            lines = {
                name: [([float(c) for c in sorted(row)], [float(np.mean(row[c])) for c in sorted(row)])]
                for name, row in kinds.items()
                if row
            }
            if lines:
                found.append(Curves(f"Mean MIG, {data}", lines, "capacity c", "MIG of groups", points=True))
        return found


STUDIES: Mapping[str, type[Study]] = {one.name: one for one in (StcVAEFig2, StcVAEFig3)}
