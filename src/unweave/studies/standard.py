"""The comparison of the field: six methods at six strengths, on every data set (Locatello et al., 2019)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from unweave.job import Scores, Training
from unweave.methods import DIPVAE1, DIPVAE2, AnnealedVAE, BetaTCVAE, BetaVAE, FactorVAE, Method
from unweave.metrics import DCI, MIG, SAP, BetaVAEScore, FactorVAEScore, Modularity
from unweave.networks import MLP
from unweave.studies.base import Entry, Labels, Row, Scale, Study, experiment, grouped
from unweave.studies.figures import Distributions, Figure, Scatter
from unweave.studies.measures import Information, Recon
from unweave.studies.sets import PRINTED
from unweave.studies.table import Column
from unweave.studies.tiny import tiny

PAPER = Scale(steps=300_000, batch=64, seeds=50, lr=1e-4, images=15_000)
SMALL = Scale(steps=2_500, batch=64, seeds=1, lr=5e-4, images=5_000, note="the second and the fifth strength of each")
SMOKE = Scale(steps=3, batch=8, seeds=1, lr=1e-3, network=MLP((16,)), images=100, note="the second strength of each")
SETS = ("dsprites", "color-dsprites", "noisy-dsprites", "scream-dsprites", "shapes3d", "smallnorb", "cars3d")
"""The data sets of the publication."""
DRAWN_SLOWLY = ("shapes3d", "smallnorb", "cars3d")
"""Sets that take a while to draw at smoke scale."""

Make = Callable[[float], Method]
STRENGTHS: Mapping[str, tuple[str, Make, tuple[float, ...]]] = {
    "β-VAE": ("β", lambda x: BetaVAE(beta=x), (1.0, 2.0, 4.0, 6.0, 8.0, 16.0)),
    "AnnealedVAE": (
        "C",
        lambda x: AnnealedVAE(gamma=1000.0, c_max=x, anneal_steps=100_000),
        (5.0, 10.0, 25.0, 50.0, 75.0, 100.0),
    ),
    "FactorVAE": ("γ", lambda x: FactorVAE(gamma=x), (10.0, 20.0, 30.0, 40.0, 50.0, 100.0)),
    "DIP-VAE-I": ("λ_od", lambda x: DIPVAE1(lambda_od=x, lambda_d=10 * x), (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)),
    "DIP-VAE-II": ("λ_od", lambda x: DIPVAE2(lambda_od=x, lambda_d=x), (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)),
    "β-TCVAE": ("β", lambda x: BetaTCVAE(beta=x), (1.0, 2.0, 4.0, 6.0, 8.0, 10.0)),
}
"""Method -> what its strength is called, how it is made, and the six strengths."""
SHOWN: Mapping[str, tuple[str, ...]] = {
    "MIG": ("mig",),
    "DCI": ("dci", "dci-fast"),
    "SAP": ("sap",),
    "FactorVAE score": ("factor-vae-score",),
    "BetaVAE score": ("beta-vae-score",),
    "Modularity": ("modularity",),
}


def comparison(data: str) -> type[Study]:
    """The study of one data set.

    >>> comparison("dsprites")().jobs("smoke")[0][0]["row"]
    'β-VAE β = 2'
    """

    @dataclass(frozen=True)
    class StandardComparison(Study):
        """Six methods at six strengths on one data set."""

        name: ClassVar[str] = f"standard-{data}"
        paper: ClassVar[str] = "field"
        where: ClassVar[str] = "sections 5.1 and 5.2"
        title: ClassVar[str] = f"Six methods at six strengths on {PRINTED[data]}, six scores"
        decided: ClassVar[tuple[str, ...]] = (
            "Methods, strengths, 50 seeds, 300,000 steps of batch 64, Adam 1e-4 and 10 latents as published; 4×4 "
            "kernels throughout, and our FactorVAE critic learns in the same step as the model.",
            "Reconstruction is the set's own in this library: Bernoulli for sprites and grey pictures, squared error "
            "for pictures in colour, where the publication has Bernoulli throughout.",
            "No numbers are compared: the publication prints distributions.",
        )
        columns: ClassVar[tuple[Column, ...]] = (
            *(Column(name, values) for name, values in SHOWN.items()),
            Column("Recon", ("recon",), "lower"),
            Column("KL", ("kl",), ""),
        )
        scales: ClassVar[Mapping[str, Scale]] = {
            "smoke": SMOKE if data not in DRAWN_SLOWLY else SMOKE._replace(images=40),
            "small": SMALL,
            "paper": PAPER,
        }

        def jobs(self, scale: str) -> list[Entry]:
            size = self.scale(scale)
            found: list[Entry] = []
            some = {"smoke": (1,), "small": (1, 4)}.get(scale, tuple(range(6)))
            for method, (symbol, make, strengths) in STRENGTHS.items():
                for place in some:
                    x = strengths[place]
                    full = experiment(
                        tiny(make(x)) if scale == "smoke" else make(x), self.data(data), size, PAPER, 0, latents=10
                    )
                    labels: Labels = {"data": data, "row": f"{method} {symbol} = {x:g}", "method": method, "x": x}
                    found += [
                        (
                            {**labels, "seed": seed},
                            Training(replace(full, seed=seed), _measures(scale), count=size.images),
                        )
                        for seed in range(size.seeds)
                    ]
            return found

        def figures(self, results: Sequence[Row]) -> list[Figure]:
            found: list[Figure] = []
            for name, values in SHOWN.items():
                groups: dict[str, list[float]] = {}
                clouds: dict[str, tuple[list[float], list[float]]] = {}
                for (method,), each in grouped(results, "method").items():
                    for own, result in each:
                        value = next((result.values[one] for one in values if one in result.values), None)
                        if value is not None:
                            groups.setdefault(str(method), []).append(value)
                            xs, ys = clouds.setdefault(str(method), ([], []))
                            xs.append(STRENGTHS[str(method)][2].index(float(own["x"])) + 1.0)
                            ys.append(value)
                if groups:
                    found.append(Distributions(f"{name}, {data}", groups, name, unit=True))
                    found.append(Scatter(f"{name} over strength, {data}", clouds, "strength, 1 to 6", name))
            return found

    return StandardComparison


def _measures(scale: str) -> tuple[Scores | Recon | Information, ...]:
    if scale == "smoke":
        votes = BetaVAEScore(votes=300, test_votes=150)
        return (
            Scores((MIG(), SAP(), FactorVAEScore(votes=300, test_votes=150), votes, Modularity())),
            Recon(),
            Information(),
        )
    dci = DCI() if scale == "paper" else DCI(estimator="fast")
    return Scores((MIG(), dci, SAP(), FactorVAEScore(), BetaVAEScore(), Modularity())), Recon(), Information()


STUDIES: Mapping[str, type[Study]] = {one.name: one for one in (comparison(data) for data in SETS)}
