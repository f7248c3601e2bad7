"""DEFT's look at bottlenecks that widen: Figures 2, 3, 6 and 7, what happens during training on dSprites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from unweave.analysis import Course
from unweave.job import Training
from unweave.methods import DEFT, AnnealedVAE
from unweave.studies.base import Entry, Row, Scale, Study, experiment, picked
from unweave.studies.deft.models import BOTTLENECKS, NETWORKS, ONE, PAPER, SMALL, SMOKE, STEPS, WIDENED, followed
from unweave.studies.drawn import courses, history, over_training
from unweave.studies.figures import Curves, Figure
from unweave.studies.measures import Information, Recon
from unweave.studies.table import Column

GAMMAS = (0.0, 0.1, 0.3, 0.5, 0.7, 1.0)


@dataclass(frozen=True)
class DEFTFig2(Study):
    """Figure 2: scores over training."""

    name: ClassVar[str] = "deft-fig2"
    paper: ClassVar[str] = "deft"
    where: ClassVar[str] = "Figure 2, section 3.1"
    title: ClassVar[str] = "Scores over training: β-VAE, β-TCVAE, CascadeVAE-C and AnnealedVAE"
    decided: ClassVar[tuple[str, ...]] = (
        *NETWORKS,
        WIDENED,
        "β = 4, β = 6 and C = 25 as in the text; steps as DEFT's on dSprites; one seed.",
    )
    scales: ClassVar[Mapping[str, Scale]] = ONE
    SCORES: ClassVar[tuple[tuple[str, tuple[str, ...]], ...]] = (
        ("BetaVAE", ("course.beta-vae-score",)),
        ("MIG", ("course.mig",)),
        ("DCI", ("course.dci", "course.dci-fast")),
    )

    def jobs(self, scale: str) -> list[Entry]:
        return [
            followed(self, "dsprites", row, method, scale, seed, scored=True)
            for seed in range(self.scale(scale).seeds)
            for row, method in BOTTLENECKS.items()
            if row != "DEFT"
        ]

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        found: list[Figure] = []
        for title, names in self.SCORES:
            lines: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
            for labels, result in picked(results):
                name = next((one for one in names if one in result.arrays), None)
                if name is not None:
                    line = (result.arrays["course.step"], result.arrays[name])
                    lines.setdefault(str(labels["followed"]), []).append(line)
            if lines:
                found.append(Curves(title, lines, up=title, unit=True))
        return found


@dataclass(frozen=True)
class DEFTFig3(Study):
    """Figure 3: NMI of every factor while AnnealedVAE trains."""

    name: ClassVar[str] = "deft-fig3"
    paper: ClassVar[str] = "deft"
    where: ClassVar[str] = "Figure 3, section 3.3"
    title: ClassVar[str] = "NMI of the best and the second best latent while AnnealedVAE's capacity grows"
    decided: ClassVar[tuple[str, ...]] = (
        *NETWORKS,
        WIDENED,
        "C = 25 as in section 3.1, one seed: the model of Figure 2.",
    )
    scales: ClassVar[Mapping[str, Scale]] = ONE

    def jobs(self, scale: str) -> list[Entry]:
        row = "AnnealedVAE C = 25"
        return [followed(self, "dsprites", row, BOTTLENECKS[row], scale, 0, scored=True)]

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        factors = self.data("dsprites").factors
        assert factors is not None
        return [
            history(name, one) for name, each in courses(results, "followed", factors.names).items() for one in each
        ]


@dataclass(frozen=True)
class DEFTFig7(Study):
    """Figure 7: information over training of three bottlenecks that widen."""

    name: ClassVar[str] = "deft-fig7"
    paper: ClassVar[str] = "deft"
    where: ClassVar[str] = "Figure 7, section 5.2"
    title: ClassVar[str] = "I(x; z) and NMI1 over training: AnnealedVAE, CascadeVAE-C, DEFT"
    decided: ClassVar[tuple[str, ...]] = (
        *NETWORKS,
        WIDENED,
        "AnnealedVAE with C = 25, as in Figures 2 and 3; DEFT of Table 2; one seed. NMI1 and NMI2 are means over "
        "factors: eq. 8 prints sums, the figures lie between 0 and 1.",
        "I(x; z), TC and the distance to the prior are estimated from the aggregate posterior of the images read.",
    )
    scales: ClassVar[Mapping[str, Scale]] = ONE
    FOLLOWED: ClassVar[tuple[str, ...]] = ("AnnealedVAE C = 25", "CascadeVAE-C", "DEFT")

    def jobs(self, scale: str) -> list[Entry]:
        return [
            followed(self, "dsprites", row, BOTTLENECKS[row], scale, 0, scored=row != "DEFT") for row in self.FOLLOWED
        ]

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        factors = self.data("dsprites").factors
        assert factors is not None
        found = courses(results, "followed", factors.names)
        events = "; ".join(
            f"{name}: {len(one.events())} diffusion events" for name, each in found.items() for one in each
        )
        return (
            [
                self._information(found),
                over_training("KL", found, "kl", "nats"),
                over_training("(b) NMI1", found, "nmi1", "NMI1", unit=True, caption=events),
                over_training("NMI2", found, "nmi2", "NMI2", unit=True),
            ]
            if found
            else []
        )

    def _information(self, found: Mapping[str, Sequence[Course]]) -> Curves:
        """Panel (a), with the capacity that AnnealedVAE's KL is driven to."""
        drawn = over_training("(a) I(x; z)", found, "mi", "nats")
        method = BOTTLENECKS["AnnealedVAE C = 25"]
        assert isinstance(method, AnnealedVAE)
        rises = []
        for one in found.get("AnnealedVAE C = 25", []):
            share = np.minimum(1.0, one.steps / one.steps[-1] * STEPS / method.anneal_steps)
            rises.append((one.steps, method.c_start + (method.c_max - method.c_start) * share))
        return replace(drawn, lines={**drawn.lines, "C of AnnealedVAE": rises[:1]}) if rises else drawn


@dataclass(frozen=True)
class DEFTFig6(Study):
    """Figure 6: γ."""

    name: ClassVar[str] = "deft-fig6"
    paper: ClassVar[str] = "deft"
    where: ClassVar[str] = "Figure 6, section 5.2"
    title: ClassVar[str] = "How far old groups may move: NMI1, NMI2 and the information of each factor by γ"
    decided: ClassVar[tuple[str, ...]] = (
        *NETWORKS,
        "Two groups of three latents, β = 70 and then 30, seven epochs each; γ in 0, 0.1, 0.3, 0.5, 0.7, 1.",
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("NMI1", ("nmi1",)),
        Column("NMI2", ("nmi2",), "lower"),
        Column("γ chosen", (), better=""),
    )
    alone: ClassVar[tuple[str, ...]] = tuple(f"γ = {gamma:g}" for gamma in GAMMAS)
    absent: ClassVar[Mapping[str, str]] = {"DEFT": "γ = 0.1 was chosen by eye from the curves; ours are one row a γ"}
    scales: ClassVar[Mapping[str, Scale]] = {
        "smoke": SMOKE,
        "small": SMALL._replace(steps=15_000, seeds=1, note="γ in 0, 0.1, 0.5, 1"),
        "paper": PAPER._replace(steps=40_320, seeds=1, note=""),
    }

    def jobs(self, scale: str) -> list[Entry]:
        size = self.scale(scale)
        gammas = {"smoke": (0.0, 0.1), "small": (0.0, 0.1, 0.5, 1.0)}.get(scale, GAMMAS)
        found: list[Entry] = []
        for gamma in gammas:
            method = DEFT(betas=(70.0, 30.0), gamma=gamma)
            full = experiment(method, self.data("dsprites"), size, self.scales["paper"], 0, latents=6)
            job = Training.of(full, measures=(Information(), Recon()), count=size.images)
            found.append(({"data": "dsprites", "row": f"γ = {gamma:g}", "γ": gamma, "seed": 0}, job))
        return found

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        rows = sorted(picked(results), key=lambda one: float(one[0]["γ"]))
        if not rows:
            return []
        x = [float(labels["γ"]) for labels, _ in rows]
        names = [name.removeprefix("nmi1.") for name in rows[0][1].values if name.startswith("nmi1.")]

        def each(kind: str) -> dict[str, list[tuple[list[float], list[float]]]]:
            return {name: [(x, [result.values[f"{kind}.{name}"] for _, result in rows])] for name in names}

        means = {
            "NMI1": [(x, [r.values["nmi1"] for _, r in rows])],
            "NMI2": [(x, [r.values["nmi2"] for _, r in rows])],
        }
        return [
            Curves("Means over factors", means, "γ", "NMI", points=True, unit=True),
            Curves("(a) NMI(c, 1)", each("nmi1"), "γ", "NMI(c, 1)", points=True, unit=True),
            Curves("(b) NMI(c, 2)", each("nmi2"), "γ", "NMI(c, 2)", points=True, unit=True),
        ]
