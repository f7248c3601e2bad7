"""DEFT's five methods on four data sets: the models that its tables and figures share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from unweave.data import Dataset, Subset
from unweave.engine.experiment import preset_for
from unweave.job import Job, Scores, Training
from unweave.methods import DEFT, AnnealedVAE, BetaTCVAE, BetaVAE, CascadeVAEC, Method
from unweave.metrics import DCI, MIG, BetaVAEScore, FactorVAEScore
from unweave.networks import MLP
from unweave.studies.base import Entry, Row, Scale, Study, experiment, grouped, spread
from unweave.studies.measures import Information, Recon, Robustness, Tracing, Traversals

POINTS = 8
"""Measurements on the way: two a stage where there are four."""
STEPS = 80_640
"""On dSprites and Color: four stages of seven epochs of 2,880 batches."""


class Setting(NamedTuple):
    """One data set's settings, Tables 2 and 3."""

    betas: tuple[float, ...]
    """DEFT's pressures, one a stage."""
    latents: int
    """DEFT's; the others have 10."""
    stage: int
    """Steps of a stage."""
    capacity: float
    """AnnealedVAE's C."""
    tc: float
    """β-TCVAE's β."""
    beta: float
    """β-VAE's."""

    @property
    def steps(self) -> int:
        """Of every model on this set."""
        return self.stage * len(self.betas)


def setting(data: str, capacity: float, tc: float, beta: float) -> Setting:
    """DEFT's own settings are those that it trains with by name; beside them those of Table 3."""
    preset = preset_for(DEFT, data)
    method = DEFT(**preset.fields)
    return Setting(method.betas, preset.latents, method.stage_steps, capacity, tc, beta)


SETTINGS: Mapping[str, Setting] = {
    "dsprites": setting("dsprites", 5.0, 10.0, 16.0),
    "color-dsprites": setting("color-dsprites", 10.0, 10.0, 16.0),
    "scream-dsprites": setting("scream-dsprites", 25.0, 6.0, 6.0),
    "smallnorb": setting("smallnorb", 5.0, 1.0, 1.0),
}
"""Table 2 and Table 3, by data set; an epoch of SmallNORB is its 48,600 images."""
ROWS = ("DEFT", "β-VAE", "β-TCVAE", "AnnealedVAE", "CascadeVAE-C")

PAPER = Scale(STEPS, 256, 50, 5e-4, images=15_000, note="38,000 steps on SmallNORB, 57,600 on Scream")
SHORT = "stages of 1,000 steps, in which the first group learns next to nothing: failure rates say little"
SMALL = Scale(4_000, 64, 2, 5e-4, note=f"1 seed beside dSprites; {SHORT}")
SMOKE = Scale(8, 8, 1, 1e-3, network=MLP((16,)), images=60)
FULL: Mapping[str, Scale] = {"smoke": SMOKE, "small": SMALL, "paper": PAPER}
ONE: Mapping[str, Scale] = {
    "smoke": SMOKE,
    "small": SMALL._replace(steps=30_000, seeds=1, note=""),
    "paper": PAPER._replace(seeds=1, note=""),
}
"""At small scale long enough for every stage to learn: at β = 70 nothing comes in before some 2,000 steps of 64."""

NETWORKS = (
    "Networks of Table 1, all ReLU: DEFT's encoders are the lite ones, one a group, with γ on the learning rate and "
    "later groups at the prior; the others have the standard encoder and 10 latents.",
    "Bernoulli likelihood on every set, the colour ones too: the printed pressures belong to it.",
)
WIDENED = (
    "AnnealedVAE: γ = 1000 as in the text and C to its last value in 5/7 of the training, as in the authors' runs; "
    "CascadeVAE-C: β_l = 1, β_h = 10, 6,000 steps a stage (a tenth of the training where that is less), one Adam."
)
COMPARED = (
    *NETWORKS,
    "How long the other methods train is not stated: as long as DEFT on the same set. An epoch of SmallNORB is its "
    "true number of images (190 batches), where the authors' loader counts 19.",
    f"{WIDENED} C is that of Table 3.",
)


def methods(data: str) -> dict[str, Method]:
    """The five rows on a data set, with schedules of published length."""
    own = SETTINGS[data]
    return {
        "DEFT": DEFT(betas=own.betas, stage_steps=own.stage),
        "β-VAE": BetaVAE(beta=own.beta),
        "β-TCVAE": BetaTCVAE(beta=own.tc),
        "AnnealedVAE": AnnealedVAE(gamma=1000.0, c_max=own.capacity, anneal_steps=round(own.steps * 5 / 7)),
        # Where 6,000 steps are too many for all ten latents to open, the stages are shorter.
        "CascadeVAE-C": CascadeVAEC(beta_low=1.0, beta_high=10.0, stage_steps=min(6_000, own.steps // 10)),
    }


BOTTLENECKS: Mapping[str, Method] = {
    "β-VAE β = 4": BetaVAE(beta=4.0),
    "β-TCVAE β = 6": BetaTCVAE(beta=6.0),
    "AnnealedVAE C = 25": AnnealedVAE(gamma=1000.0, c_max=25.0, anneal_steps=57_600),
    "CascadeVAE-C": methods("dsprites")["CascadeVAE-C"],
    "DEFT": methods("dsprites")["DEFT"],
}
"""Those whose training Figures 2, 3 and 7 follow on dSprites."""


def complete(study: Study, data: str, method: Method, scale: str, seed: int) -> Training:
    """One model of this paper, not yet measured."""
    size, own = study.scale(scale), SETTINGS[data]
    paper = PAPER._replace(steps=own.steps)
    size = size._replace(steps=own.steps) if scale == "paper" else size
    latents = own.latents if isinstance(method, DEFT) else 10
    used = study.data(data)
    if scale == "smoke" and data == "smallnorb":
        used = few(used)
    full = experiment(method, used, size, paper, seed, latents=latents, likelihood="bernoulli")
    return Training.of(full, count=size.images)


def trained(study: Study, data: str, method: Method, scale: str, seed: int) -> Job:
    """One model with its scores: the same job whichever study asks for it."""
    bare = complete(study, data, method, scale, seed)
    scores = Scores((BetaVAEScore(), MIG(), dci(scale), FactorVAEScore()))
    seen = (Traversals(latents=10, bases=1), Robustness()) if isinstance(method, DEFT) else ()
    return Training.of(bare.experiment, measures=(scores, Recon(), Information(), *seen), count=bare.count)


def followed(study: Study, data: str, row: str, method: Method, scale: str, seed: int, scored: bool = False) -> Entry:
    """The same model with its information on the way, and its scores if asked for."""
    bare = complete(study, data, method, scale, seed)
    scores = (Scores((BetaVAEScore(), MIG(), dci(scale))),) if scored else ()
    at = spread(bare.experiment.steps, 3 if scale == "smoke" else POINTS)
    job = Training.of(bare.experiment, measures=(Tracing(), *scores), at=at, count=bare.count)
    return {"data": data, "followed": row, "seed": seed}, job


def dci(scale: str) -> DCI:
    """Scikit-learn's boosting at paper scale, our fast one else."""
    return DCI() if scale == "paper" else DCI(estimator="fast")


def few(data: Dataset) -> Dataset:
    """A hundred images of a set, for smoke: some sets are slow to draw, and closed forms grow with their images."""
    return Subset(data, tuple(range(0, data.rows, -(-data.rows // 100))))


def models(study: Study, scale: str) -> list[Entry]:
    """Five methods on four sets; DEFT with its information at every half stage, so that Figure 12 trains nothing."""
    found: list[Entry] = []
    for data in SETTINGS:
        seeds = study.scale(scale).seeds if data == "dsprites" or scale != "small" else 1
        for seed in range(seeds):
            for row, method in methods(data).items():
                found.append(({"data": data, "row": row, "seed": seed}, trained(study, data, method, scale, seed)))
                if row == "DEFT":
                    found.append(followed(study, data, row, method, scale, seed))
    return found


def by_data(results: Sequence[Row]) -> dict[str, list[Row]]:
    """Whole results by data set."""
    return {str(key[0]): found for key, found in grouped(results, "data").items()}
