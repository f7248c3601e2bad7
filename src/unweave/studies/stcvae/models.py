"""β-STCVAE, Figure 4: MIG of six models at three capacities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from unweave.job import Scores, Training
from unweave.methods import DIPVAE1, BetaSTCVAE, BetaTCVAE, BetaVAE, FactorVAE, Method
from unweave.metrics import MIGPosterior
from unweave.studies.base import Entry, Labels, Row, Scale, Study, experiment, grouped, picked
from unweave.studies.figures import Distributions, Figure
from unweave.studies.stcvae.grid import OPEN, PAPER, Counted, body, seeded
from unweave.studies.table import Column
from unweave.studies.tiny import tiny

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
class StcVAEFig4(Counted):
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
        "The table's rows are over all capacities; the figures have a panel each.",
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
                        ({**labels, "seed": seed}, Training(seeded(full, seed), (scores,), count=size.images))
                        for seed in range(size.seeds)
                    ]
        return found

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


STUDIES: Mapping[str, type[Study]] = {StcVAEFig4.name: StcVAEFig4}
