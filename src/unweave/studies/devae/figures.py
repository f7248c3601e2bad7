"""DeVAE's figures, and the study of discriminators of another version of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from unweave.methods import BetaVAE, DeVAE, Method
from unweave.studies.base import Entry, Row, Scale, Study, grouped, picked
from unweave.studies.critic import CriticEstimate
from unweave.studies.devae.models import (
    BOTH,
    COMPARED,
    CONTROLLED,
    FOLLOWED,
    NETWORK,
    ONE,
    PAPER,
    SMALL,
    SMOKE,
    followed,
    trained,
)
from unweave.studies.drawn import best_latents, traversals, widest_latents
from unweave.studies.figures import Curves, Figure, Scatter
from unweave.studies.measures import course
from unweave.studies.table import Column


@dataclass(frozen=True)
class DeVAEFig2(Study):
    """Figure 2: traversals on dSprites."""

    name: ClassVar[str] = "devae-fig2"
    paper: ClassVar[str] = "devae"
    where: ClassVar[str] = "Figure 2, section 4.2"
    title: ClassVar[str] = "Traversals of the five latents with the highest KL, from three images"
    decided: ClassVar[tuple[str, ...]] = (
        *NETWORK,
        "From −2 to 2 in nine steps, around the codes of three images drawn at random; the first seed of Table 1.",
    )
    scales: ClassVar[Mapping[str, Scale]] = ONE

    def jobs(self, scale: str) -> list[Entry]:
        return [
            ({"data": "dsprites", "row": row, "seed": 0}, trained(self, "dsprites", method, scale, 0))
            for row, method in COMPARED.items()
        ]

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        return [
            traversals(str(labels["row"]), result.arrays)
            for labels, result in picked(results)
            if "traversals" in result.arrays
        ]


@dataclass(frozen=True)
class DeVAEFig3(Study):
    """Figure 3: information over training, DynamicVAE against DeVAE."""

    name: ClassVar[str] = "devae-fig3"
    paper: ClassVar[str] = "devae"
    where: ClassVar[str] = "Figure 3, section 4.2"
    title: ClassVar[str] = "Information diffusion: NMI of every factor over training"
    decided: ClassVar[tuple[str, ...]] = (
        *NETWORK,
        CONTROLLED,
        "The text draws the latent with the highest KL. First of each method: those latents, as many as there are "
        "factors, with the highest KL at the end, each with the factor that it tells most of then, so that information "
        "that leaves a latent is seen to leave. Second: every factor's best latent of the moment. The first seed of "
        "Table 1, measured ten times.",
    )
    scales: ClassVar[Mapping[str, Scale]] = ONE

    def jobs(self, scale: str) -> list[Entry]:
        return [followed(self, row, scale) for row in FOLLOWED]

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        factors = self.data("dsprites").factors
        assert factors is not None
        courses = {
            str(labels["followed"]): found
            for labels, result in picked(results)
            if (found := course(result.arrays, factors.names)) is not None
        }
        return [draw(name, found) for name, found in courses.items() for draw in (widest_latents, best_latents)]


@dataclass(frozen=True)
class DeVAEFig4(Study):
    """Figure 4: pressures of two spaces, on the plane of MIG and reconstruction."""

    name: ClassVar[str] = "devae-fig4"
    paper: ClassVar[str] = "devae"
    where: ClassVar[str] = "Figure 4, section 4.3"
    title: ClassVar[str] = "The effects of increasing the pressure on one space or both"
    decided: ClassVar[tuple[str, ...]] = (
        *BOTH,
        "The pressures tried are not listed: 1, 2, 4, 6, 10, 20, 40, 60, 80, with 3 seeds.",
        "Beta_x, both spaces under one pressure, is β-VAE, as the text says.",
    )
    scales: ClassVar[Mapping[str, Scale]] = {
        "smoke": SMOKE,
        "small": SMALL._replace(seeds=1, note="x in 1, 6, 20, 60"),
        "paper": PAPER._replace(seeds=3),
    }

    def jobs(self, scale: str) -> list[Entry]:
        xs = {"smoke": (1.0, 40.0), "small": (1.0, 6.0, 20.0, 60.0)}.get(
            scale, (1.0, 2.0, 4.0, 6.0, 10.0, 20.0, 40.0, 60.0, 80.0)
        )
        rules: dict[str, list[tuple[float, Method]]] = {
            "Beta_x": [(x, BetaVAE(beta=x)) for x in xs],
            "Beta_1-x": [(x, DeVAE(betas=(1.0, x))) for x in sorted({*xs, 40.0}) if x > 1],
            "Beta_x-40": [(x, DeVAE(betas=(x, 40.0))) for x in xs if x <= 40],
        }
        return [
            ({"data": "dsprites", "row": row, "x": x, "seed": seed}, trained(self, "dsprites", method, scale, seed))
            for seed in range(self.scale(scale).seeds)
            for row, methods in rules.items()
            for x, method in methods
        ]

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        clouds, words = {}, {}
        lines: dict[str, dict[str, list[tuple[list[float], list[float]]]]] = {"mig": {}, "recon": {}}
        for (row,), found in grouped(results, "row").items():
            name = str(row)
            ours = sorted((float(labels["x"]), r.values["recon"], r.values["mig"]) for labels, r in found)
            clouds[name] = ([recon for _, recon, _ in ours], [mig for _, _, mig in ours])
            words[name] = [f"{x:g}" for x, _, _ in ours]
            seeds = dict.fromkeys(labels["seed"] for labels, _ in found)
            for key in lines:
                lines[key][name] = [
                    _line([(float(lab["x"]), r.values[key]) for lab, r in found if lab["seed"] == seed])
                    for seed in seeds
                ]
        if not clouds:
            return []
        return [
            Scatter(
                "MIG against reconstruction", clouds, "Recon, nats", "MIG", words=words, caption="Beside each point: x."
            ),
            Curves("MIG", lines["mig"], "x", "MIG", log=True, points=True),
            Curves("Reconstruction", lines["recon"], "x", "nats", log=True, points=True),
        ]


@dataclass(frozen=True)
class DeVAEEV1(Study):
    """Another version's check of FactorVAE's discriminator: how well does it estimate a known total correlation?"""

    name: ClassVar[str] = "devae-ev1"
    paper: ClassVar[str] = "devae"
    where: ClassVar[str] = "a table of another version of the paper"
    title: ClassVar[str] = "Total correlation of correlated Gaussians as FactorVAE's discriminator estimates it"
    decided: ClassVar[tuple[str, ...]] = (
        "D/2 pairs of latents, each correlated by ρ: TC = −(D/4) log(1 − ρ²).",
        "The discriminator of FactorVAE, 6 layers of 1,000, Adam 1e-4 with (0.5, 0.9), batches of 256 fresh samples; "
        "the estimate is the mean logit of 10,000 more. Only the number of steps, 2,000, and of repeats, 10, is "
        "stated.",
        "Where an estimate is cut short by too few steps it is so in print, too.",
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("TC estimated", ("tc",), better=""),
        Column("TC true", ("tc.true",), better="", pooled="shown"),
    )
    repeats: ClassVar[int] = 10
    alone: ClassVar[tuple[str, ...]] = (
        "D = 10, ρ = 0.6",
        *(f"D = {latents}, ρ = {rho}" for latents in (100, 1000) for rho in (0.3, 0.6)),
    )
    scales: ClassVar[Mapping[str, Scale]] = {
        "smoke": Scale(20, 64, 1, 1e-4, images=500, note="discriminator 2 × 32"),
        "small": Scale(2_000, 256, 2, 1e-4, note="discriminator 4 × 256"),
        "paper": Scale(2_000, 256, 10, 1e-4),
    }

    def jobs(self, scale: str) -> list[Entry]:
        size = self.scale(scale)
        layers, hidden = {"smoke": (2, 32), "small": (4, 256)}.get(scale, (6, 1000))
        return [
            (
                {"data": "gaussian", "row": f"D = {d}, ρ = {rho:g}", "seed": seed},
                CriticEstimate(d, rho, size.steps, size.batch, size.lr, hidden, layers, size.images, seed),
            )
            for seed in range(size.seeds)
            for d in (10, 100, 1000)
            for rho in (0.3, 0.6, 0.9)
        ]

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        lines: dict[str, list[tuple[list[float], list[float]]]] = {}
        for labels, result in picked(results):
            if "tc.true" in result.values:
                row = str(labels["row"]).partition(",")[0]
                lines.setdefault(row, []).append(([result.values["tc.true"]], [result.values["tc"]]))
        clouds = {
            row: ([x for xs, _ in each for x in xs], [y for _, ys in each for y in ys]) for row, each in lines.items()
        }
        return (
            [Scatter("Estimated against true total correlation", clouds, "true, nats", "estimated, nats")]
            if clouds
            else []
        )


def _line(points: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    points = sorted(points)
    return [x for x, _ in points], [y for _, y in points]
