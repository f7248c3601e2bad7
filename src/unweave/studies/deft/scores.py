"""DEFT's comparison on four data sets: Table 4 and Figures 1 and 10 to 13."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from unweave.analysis.course import ALIVE
from unweave.studies.base import Entry, Row, Scale, Study, grouped
from unweave.studies.deft.models import COMPARED, FULL, SETTINGS, by_data, methods, models, trained
from unweave.studies.drawn import courses, distributions, traversals
from unweave.studies.figures import Curves, Distributions, Figure, Series
from unweave.studies.table import Column


@dataclass(frozen=True)
class DEFTTable4(Study):
    """Table 4: how often a method fails to disentangle."""

    name: ClassVar[str] = "deft-table4"
    paper: ClassVar[str] = "deft"
    where: ClassVar[str] = "Table 4, section 5.3"
    title: ClassVar[str] = "Failure rate: models with MIG below 0.1"
    decided: ClassVar[tuple[str, ...]] = COMPARED
    repeats: ClassVar[int] = 50
    scales: ClassVar[Mapping[str, Scale]] = FULL
    columns: ClassVar[tuple[Column, ...]] = (
        Column("failure rate (%)", ("mig",), "lower", pooled="failures"),
        Column("MIG", ("mig",)),
    )

    def jobs(self, scale: str) -> list[Entry]:
        return models(self, scale)


@dataclass(frozen=True)
class DEFTFig10(Study):
    """Figure 10: distributions of scores."""

    name: ClassVar[str] = "deft-fig10"
    paper: ClassVar[str] = "deft"
    where: ClassVar[str] = "Figure 10, section 5.3"
    title: ClassVar[str] = "Scores of five methods on four data sets"
    repeats: ClassVar[int] = 50
    scales: ClassVar[Mapping[str, Scale]] = FULL
    decided: ClassVar[tuple[str, ...]] = (
        *COMPARED,
        "The axes are not named in the text that we have: BetaVAE, MIG, DCI and FactorVAE.",
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("BetaVAE", ("beta-vae-score",)),
        Column("MIG", ("mig",)),
        Column("DCI", ("dci", "dci-fast")),
        Column("FactorVAE", ("factor-vae-score",)),
    )

    def jobs(self, scale: str) -> list[Entry]:
        return models(self, scale)

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        return [
            distributions(f"{column.name} on {data}", found, "row", column.values, up=column.name, unit=True)
            for (data,), found in grouped([one for one in results if "row" in one[0]], "data").items()
            for column in self.columns
        ]


@dataclass(frozen=True)
class DEFTFig11(Study):
    """Figure 11: distributions of reconstruction errors."""

    name: ClassVar[str] = "deft-fig11"
    paper: ClassVar[str] = "deft"
    where: ClassVar[str] = "Figure 11, section 5.3"
    title: ClassVar[str] = "Reconstruction error of five methods on four data sets"
    decided: ClassVar[tuple[str, ...]] = COMPARED
    repeats: ClassVar[int] = 50
    scales: ClassVar[Mapping[str, Scale]] = FULL
    columns: ClassVar[tuple[Column, ...]] = (Column("Recon", ("recon",), "lower"),)

    def jobs(self, scale: str) -> list[Entry]:
        return models(self, scale)

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        return [
            distributions(f"Reconstruction on {data}", found, "row", "recon", up="nats an image")
            for (data,), found in grouped([one for one in results if "row" in one[0]], "data").items()
        ]


@dataclass(frozen=True)
class DEFTFig12(Study):
    """Figure 12: MIG at the end of every stage."""

    name: ClassVar[str] = "deft-fig12"
    paper: ClassVar[str] = "deft"
    where: ClassVar[str] = "Figure 12, section 5.3"
    title: ClassVar[str] = "MIG of DEFT at the end of every stage"
    decided: ClassVar[tuple[str, ...]] = COMPARED
    repeats: ClassVar[int] = 50
    scales: ClassVar[Mapping[str, Scale]] = FULL

    def jobs(self, scale: str) -> list[Entry]:
        return [one for one in models(self, scale) if "followed" in one[0]]

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        found: list[Figure] = []
        for data, rows in by_data(results).items():
            factors = self.data(data).factors
            assert factors is not None
            stages = len(SETTINGS[data].betas)
            groups: dict[str, list[float]] = {f"stage {k + 1}": [] for k in range(stages)}
            for one in courses(rows, "followed", factors.names).get("DEFT", []):
                for k in range(stages):
                    at = int(np.abs(one.steps - one.steps[-1] * (k + 1) / stages).argmin())
                    groups[f"stage {k + 1}"].append(float(one.mig[at]))
            found.append(Distributions(f"MIG on {data}", groups, "MIG", unit=True))
        return found


@dataclass(frozen=True)
class DEFTFig13(Study):
    """Figure 13: traversals of the best DEFT, and what moves its latents."""

    name: ClassVar[str] = "deft-fig13"
    paper: ClassVar[str] = "deft"
    where: ClassVar[str] = "Figure 13, section 5.3"
    title: ClassVar[str] = "Traversals of the best DEFT on four sets, with their interventional robustness"
    repeats: ClassVar[int] = 50
    scales: ClassVar[Mapping[str, Scale]] = FULL
    decided: ClassVar[tuple[str, ...]] = (
        *COMPARED,
        "Best: of the highest MIG. VIR, the last row of each panel, is the mean and the standard deviation of a latent "
        "over images with each level of its parent factor, which is the factor that holds it most still (Suter et al., "
        "2019).",
    )

    def jobs(self, scale: str) -> list[Entry]:
        return [one for one in models(self, scale) if one[0].get("row") == "DEFT"]

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        found: list[Figure] = []
        for data, rows in by_data(results).items():
            whole = [one for one in rows if "mig" in one[1].values and "traversals" in one[1].arrays]
            if not whole:
                continue
            labels, best = max(whole, key=lambda one: one[1].values["mig"])
            told = f"seed {labels['seed']}, MIG {best.values['mig']:.3f}"
            found.append(traversals(f"DEFT on {data}", best.arrays, caption=told))
            found.append(self._robustness(data, best.arrays))
        return found

    def _robustness(self, data: str, arrays: Mapping[str, np.ndarray]) -> Curves:
        factors = self.data(data).factors
        assert factors is not None
        parents = [int(parent) for parent in arrays["parents"]]
        alive = [d for d, parent in enumerate(parents) if parent >= 0 and arrays["kl_of"][d] >= ALIVE]
        lines: dict[str, list[Series]] = {}
        spreads: dict[str, np.ndarray] = {}
        for d in alive:
            levels = np.flatnonzero(np.isfinite(arrays["parent_means"][d]))
            where = levels / max(1, factors.sizes[parents[d]] - 1)
            name = f"latent {d}: {factors.names[parents[d]]}"
            lines[name] = [(where, arrays["parent_means"][d][levels])]
            spreads[name] = arrays["parent_sds"][d][levels]
        told = f"latents with a KL of {ALIVE:g} nats or more: {len(alive)} of {len(parents)}; bands: ± 1 sd"
        across = "level of the parent factor, first to last"
        return Curves(f"VIR on {data}", lines, across, "the latent", caption=told, spreads=spreads)


@dataclass(frozen=True)
class DEFTFig1(Study):
    """Figure 1: the spread of scores over seeds."""

    name: ClassVar[str] = "deft-fig1"
    paper: ClassVar[str] = "deft"
    where: ClassVar[str] = "Figure 1, section 1"
    title: ClassVar[str] = "Scores of β-VAE, β-TCVAE and AnnealedVAE on dSprites over many seeds"
    decided: ClassVar[tuple[str, ...]] = (
        *COMPARED,
        "The authors read published models of disentanglement_lib, each at its best hyperparameter, which is not "
        "named: ours are those of Table 3, trained like Figure 10's.",
    )
    columns: ClassVar[tuple[Column, ...]] = DEFTFig10.columns[:3]
    scales: ClassVar[Mapping[str, Scale]] = FULL

    def jobs(self, scale: str) -> list[Entry]:
        rows = ("β-VAE", "β-TCVAE", "AnnealedVAE")
        return [
            ({"data": "dsprites", "row": row, "seed": seed}, trained(self, "dsprites", method, scale, seed))
            for seed in range(self.scale(scale).seeds)
            for row, method in methods("dsprites").items()
            if row in rows
        ]

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        found = [distributions(one.name, results, "row", one.values, up=one.name, unit=True) for one in self.columns]
        return [one for one in found if one.groups]
