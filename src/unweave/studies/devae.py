"""DeVAE (Wu et al., 2023): its tables and figures as studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from unweave.job import Job, Scores, Training
from unweave.methods import BetaTCVAE, BetaVAE, DeVAE, DynamicVAE, Method
from unweave.metrics import DCI, MIG, FactorVAEScore
from unweave.networks import MLP
from unweave.studies.base import Entry, Labels, Row, Scale, Study, experiment, grouped, picked, spread
from unweave.studies.critic import CriticEstimate
from unweave.studies.drawn import best_latents, traversals
from unweave.studies.figures import Curves, Figure, Scatter
from unweave.studies.measures import Information, Recon, Spaces, Tracing, Traversals, course
from unweave.studies.table import Column

PAPER = Scale(steps=300_000, batch=256, seeds=10, lr=1e-4)
SMALL = Scale(steps=5_000, batch=64, seeds=2, lr=5e-4)
SMOKE = Scale(steps=6, batch=8, seeds=1, lr=1e-3, network=MLP((16,)), images=300)
FULL: Mapping[str, Scale] = {"smoke": SMOKE, "small": SMALL, "paper": PAPER}
POINTS = 10
"""Measurements on the way, for the information over training."""

COMPARED: Mapping[str, Method] = {
    "DeVAE [1, 40]": DeVAE(betas=(1.0, 40.0)),
    "DynamicVAE": DynamicVAE(variant="erow"),
    "β-TCVAE β = 12": BetaTCVAE(beta=12.0),
    "β-VAE β = 6": BetaVAE(beta=6.0),
}
"""The rows of Table 1."""
FOLLOWED = ("DeVAE [1, 40]", "DynamicVAE")
"""Rows whose first seed on dSprites is measured on the way, for Figure 3: by Table 1 already, so that it trains "
"once."""

MIG_COLUMN = Column("MIG", ("mig",))
RECON = Column("Recon", ("recon",), better="lower")
NETWORK = (
    "The networks of Appendix A.1 are those of β-VAE and FactorVAE, with 4×4 convolutions in place of dense layers; "
    "the appendix itself could not be found.",
)
BOTH = (
    *NETWORK,
    "The decoder is told the space by a learned embedding beside the code, as in the authors' code; the text says a "
    "K-D vector.",
    "Every space has noise of its own, and all spaces count in every step. Scores and Recon are those of space 0.",
    "Recon is binary cross-entropy summed over an image for dSprites, the squared error for Shapes3D.",
    "DCI by our fast boosting at smoke and small scale, by scikit-learn's at paper scale.",
)
CONTROLLED = (
    "DynamicVAE is the controller of the DeVAE authors' code with the gains of their run script, K_p = 0.04 and "
    "K_i = 0.004; the paper prints 0.01 and 0.001."
)


def trained(study: Study, data: str, method: Method, scale: str, seed: int) -> Job:
    """One model of this paper: the same job whichever study asks for it."""
    size = study.scale(scale)
    full = experiment(method, study.data(data), size, PAPER, seed)
    scores = Scores((MIG(), DCI() if scale == "paper" else DCI(estimator="fast"), FactorVAEScore()))
    spaces = (Spaces(min(5_000, size.images)),) if isinstance(method, DeVAE) else ()
    measures = (scores, Recon(), Information(), Traversals(latents=5, bases=3), *spaces)
    return Training.of(full, measures=measures, count=size.images)


def followed(study: Study, row: str, scale: str) -> Entry:
    """A row of Table 1 on dSprites, first seed, with its information on the way."""
    size = study.scale(scale)
    full = experiment(COMPARED[row], study.data("dsprites"), size, PAPER, 0)
    at = spread(size.steps, 3 if scale == "smoke" else POINTS)
    job = Training.of(full, measures=(Tracing(),), at=at, count=size.images)
    return {"data": "dsprites", "followed": row, "seed": 0}, job


@dataclass(frozen=True)
class DeVAETable1(Study):
    """Table 1: DeVAE and three others on dSprites and Shapes3D."""

    name: ClassVar[str] = "devae-table1"
    paper: ClassVar[str] = "devae"
    where: ClassVar[str] = "Table 1, section 4.2"
    title: ClassVar[str] = "DeVAE, DynamicVAE, β-TCVAE and β-VAE on dSprites and Shapes3D"
    decided: ClassVar[tuple[str, ...]] = (*BOTH, CONTROLLED)
    columns: ClassVar[tuple[Column, ...]] = (
        MIG_COLUMN,
        Column("DCI", ("dci", "dci-fast")),
        Column("FactorVAE", ("factor-vae-score",)),
        RECON,
    )
    repeats: ClassVar[int] = 10
    scales: ClassVar[Mapping[str, Scale]] = {
        **FULL,
        "small": SMALL._replace(note="Shapes3D with 1 seed"),
    }

    def jobs(self, scale: str) -> list[Entry]:
        size = self.scale(scale)
        found = [followed(self, row, scale) for row in FOLLOWED]
        for data in ("dsprites", "shapes3d"):
            seeds = 1 if data == "shapes3d" and scale == "small" else size.seeds
            found += [
                ({"data": data, "row": row, "seed": seed}, trained(self, data, method, scale, seed))
                for seed in range(seeds)
                for row, method in COMPARED.items()
            ]
        return found


@dataclass(frozen=True)
class DeVAETable2(Study):
    """Table 2: what ties the spaces of DeVAE [1, 10, 40]."""

    name: ClassVar[str] = "devae-table2"
    paper: ClassVar[str] = "devae"
    where: ClassVar[str] = "Table 2, section 4.3"
    title: ClassVar[str] = "Ablation: several spaces, their hierarchy, and the disentanglement-invariant transformation"
    decided: ClassVar[tuple[str, ...]] = (
        *BOTH,
        "The row without anything is β-VAE with β = 6: another version of the paper prints 47.49 for its Recon, which "
        "is Table 1's β-VAE; 23.49 is taken for a slip.",
        "MS alone is an encoder for each space; HiS without DiT is z' = W z with a free matrix W, started at the "
        "identity, and the KL of a full covariance.",
        "The number of seeds is not stated: 5.",
    )
    columns: ClassVar[tuple[Column, ...]] = (
        *(Column(f"MIG space {i}", (f"mig@{i}", *(("mig",) if i == 0 else ()))) for i in range(3)),
        *(Column(f"Recon space {i}", (f"recon@{i}", *(("recon",) if i == 0 else ())), "lower") for i in range(3)),
    )
    scales: ClassVar[Mapping[str, Scale]] = {**FULL, "paper": PAPER._replace(seeds=5)}
    ROWS: ClassVar[Mapping[str, Method]] = {
        "none": COMPARED["β-VAE β = 6"],
        "MS": DeVAE(betas=(1.0, 10.0, 40.0), hierarchy="none"),
        "MS + HiS": DeVAE(betas=(1.0, 10.0, 40.0), hierarchy="linear"),
        "MS + HiS + DiT": DeVAE(betas=(1.0, 10.0, 40.0)),
    }

    def jobs(self, scale: str) -> list[Entry]:
        return [
            ({"data": "dsprites", "row": row, "seed": seed}, trained(self, "dsprites", method, scale, seed))
            for seed in range(self.scale(scale).seeds)
            for row, method in self.ROWS.items()
        ]


@dataclass(frozen=True)
class DeVAETable3(Study):
    """Table 3: the number of spaces."""

    name: ClassVar[str] = "devae-table3"
    paper: ClassVar[str] = "devae"
    where: ClassVar[str] = "Table 3, section 4.3"
    title: ClassVar[str] = "The effect of redundant spaces"
    decided: ClassVar[tuple[str, ...]] = (
        *BOTH,
        "Five seeds, as another version of the paper states.",
        "The durations are those of the authors' machine for 300,000 steps: shown, never compared.",
    )
    columns: ClassVar[tuple[Column, ...]] = (
        MIG_COLUMN,
        RECON,
        Column("Runtime (min)", ("seconds",), "lower", pooled="shown", factor=1 / 60),
    )
    repeats: ClassVar[int] = 5
    scales: ClassVar[Mapping[str, Scale]] = {
        "smoke": SMOKE,
        "small": SMALL._replace(note="Shapes3D with 1 seed"),
        "paper": PAPER._replace(seeds=5),
    }

    def jobs(self, scale: str) -> list[Entry]:
        size = self.scale(scale)
        found: list[Entry] = []
        for data in ("dsprites", "shapes3d"):
            for seed in range(1 if data == "shapes3d" and scale == "small" else size.seeds):
                for betas in ((1.0, 10.0), (1.0, 10.0, 40.0), (1.0, 10.0, 20.0, 40.0, 80.0)):
                    row = f"DeVAE [{', '.join(f'{beta:g}' for beta in betas)}]"
                    job = trained(self, data, DeVAE(betas=betas), scale, seed)
                    found.append(({"data": data, "row": row, "seed": seed}, job))
        return found


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
    scales: ClassVar[Mapping[str, Scale]] = FULL

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
        "One panel a method, one curve a factor: the NMI of its best latent; the first seed of Table 1, measured ten "
        "times.",
    )
    scales: ClassVar[Mapping[str, Scale]] = FULL

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
        return [best_latents(name, found) for name, found in courses.items()]


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
            Scatter("MIG against reconstruction", clouds, "Recon, nats", "MIG", words=words, caption="Words: x."),
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


@dataclass(frozen=True)
class DeVAEEV2(Study):
    """Another version's check of the weights s^i of the spaces."""

    name: ClassVar[str] = "devae-ev2"
    paper: ClassVar[str] = "devae"
    where: ClassVar[str] = "a study of another version of the paper"
    title: ClassVar[str] = "The weight s of the narrow space, and a thousand latents"
    decided: ClassVar[tuple[str, ...]] = (
        *BOTH,
        "Betas [1, 40], ten latents; seeds not stated: 5. With 1,024 latents the paper gives no number: a row of ours, "
        "at paper scale.",
    )
    columns: ClassVar[tuple[Column, ...]] = (MIG_COLUMN, RECON)
    alone: ClassVar[tuple[str, ...]] = ("1,024 latents",)
    scales: ClassVar[Mapping[str, Scale]] = {**FULL, "paper": PAPER._replace(seeds=5)}

    def jobs(self, scale: str) -> list[Entry]:
        found: list[Entry] = []
        for seed in range(self.scale(scale).seeds):
            for s in (0.3, 0.5, 1.0):
                method = DeVAE(betas=(1.0, 40.0), scale=s)
                labels: Labels = {"data": "dsprites", "row": f"s = {s:g}", "seed": seed}
                found.append((labels, trained(self, "dsprites", method, scale, seed)))
        if scale == "paper":
            size = self.scale(scale)
            many = experiment(COMPARED["DeVAE [1, 40]"], self.data("dsprites"), size, PAPER, 0, latents=1024)
            measures = (Scores((MIG(),)), Recon(), Traversals(latents=10, bases=1))
            job = Training.of(many, measures=measures, count=size.images)
            found.append(({"data": "dsprites", "row": "1,024 latents", "seed": 0}, job))
        return found


def _line(points: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    points = sorted(points)
    return [x for x, _ in points], [y for _, y in points]


STUDIES: Mapping[str, type[Study]] = {
    one.name: one
    for one in (DeVAETable1, DeVAETable2, DeVAETable3, DeVAEFig2, DeVAEFig3, DeVAEFig4, DeVAEEV1, DeVAEEV2)
}
