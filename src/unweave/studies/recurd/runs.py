"""The trainings of RecurD's studies: one job for every method, data set and seed, whichever study asks for it."""

from __future__ import annotations

from collections.abc import Mapping

from unweave.data import Dataset, Split, Subset
from unweave.job import Measure, Scores, Training
from unweave.methods import (
    DIPVAE1,
    NVAE,
    AnnealedVAE,
    BetaTCVAE,
    BetaVAE,
    ControlVAE,
    FactorVAE,
    InfoGAN,
    Method,
    RecurD,
)
from unweave.metrics import DCI, MIG, SAP, Metric
from unweave.networks import MLP, Conv
from unweave.studies.base import Entry, Scale, Study, experiment
from unweave.studies.inside import LayerMIG, Minibatches
from unweave.studies.measures import Traversals
from unweave.studies.tiny import tiny
from unweave.studies.unseen import OnTest, PixelError

PAPER = Scale(steps=300_000, batch=64, seeds=5, lr=1e-4, images=15_000)
SMALL = Scale(steps=3_000, batch=64, seeds=2, lr=5e-4, images=5_000)
SMOKE = Scale(steps=4, batch=8, seeds=1, lr=1e-3, network=MLP((16,)), images=200)
FULL: Mapping[str, Scale] = {"smoke": SMOKE, "small": SMALL, "paper": PAPER}

FACTOR_VAE = FactorVAE(gamma=6.4, critic_layers=5)
"""With the critic of six layers, the last one included."""
COMPARED: Mapping[str, Method] = {
    "β-VAE β = 4": BetaVAE(beta=4.0),
    "β-VAE β = 16": BetaVAE(beta=16.0),
    "β-VAE β = 60": BetaVAE(beta=60.0),
    "AnnealedVAE": AnnealedVAE(gamma=1000.0, c_start=0.5, c_max=25.0, anneal_steps=100_000),
    "FactorVAE γ = 6.4": FACTOR_VAE,
    "β-TCVAE β = 4": BetaTCVAE(beta=4.0),
    "DIP-VAE": DIPVAE1(lambda_od=100.0, lambda_d=10.0),
    "RecurD": RecurD(),
}
"""The rows of Tables 2 and 6."""
OTHERS: Mapping[str, Method] = {"InfoGAN": InfoGAN(), "ControlVAE": ControlVAE(c_every=1_000), "NVAE": NVAE()}
"""The other rows of Table 7."""
CODES = {"dsprites": 5, "shapes3d": 6, "cars3d": 3}
"""Continuous codes of InfoGAN."""
QUICK = ("dsprites", "color-dsprites")
"""Data sets that are drawn in no time."""

SPLIT = "Trained on nine tenths of the images, and scored, with Recon, on the rest, as the paper says."
SILENT = (
    "Batch, steps, seeds and k are not given: batch 64, 300,000 steps (Locatello et al., 2019), 5 seeds, k = 2; 8 "
    "latents.",
    SPLIT,
    "Eq. 4 has no KL, yet with λ₂ = 0 the text calls it a β-VAE: ours has the KL with weight λ₁, as eq. 1. Critics are "
    "shared by all pairs of a term and a layer.",
    "DIP-VAE is type I with λ_od = 100 and λ_d = 10 to the letter; the type is not said.",
    "Recon is the mean over pixels of the binary cross-entropy on dSprites and of the squared error on sets in colour: "
    "no cross-entropy of grey or coloured pixels is as low as what is printed.",
    "The baselines have Table 3's convolutions with dense layers of 128, of 256 on sets in colour: in both halves, as "
    "β-VAE then has 0.765 M parameters on Shapes3D (Table 10: 0.769 M), though the table has 128 in every decoder. "
    "FactorVAE's critic has six dense layers, the last one included: 4.780 M in all (4.779 M).",
    "AnnealedVAE's C rises over 100,000 steps; how long is not said.",
    "At small scale Adam's rate is five times the published one for the models and as published for the critics.",
)


def trained(study: Study, data: str, method: Method, scale: str, seed: int, latents: int = 8) -> Training:
    """One model of Tables 2, 6, 7, 9 and Figures 3 to 19."""
    size = study.scale(scale)
    if scale == "smoke":
        method = tiny(method)
    measures = measured(data, method, scale, seed, size.images)
    full = experiment(
        method,
        split(study, data, scale),
        fitted(size, method, study.data(data)),
        PAPER,
        seed,
        latents=_latents(data, method, scale, latents),
    )
    return Training(full, measures=measures, count=min(size.images, 2_000))


def fitted(size: Scale, method: Method, data: Dataset) -> Scale:
    """A scale with the network of Table 3's baselines, for methods that have none of their own."""
    own = size.network is not None or isinstance(method, RecurD | InfoGAN | NVAE)
    return size if own else size._replace(network=Conv(hidden=128 if data.shape[0] == 1 else 256))


def measured(data: str, method: Method, scale: str, seed: int, count: int) -> tuple[Measure, ...]:
    """What is measured on a model, on unseen images first."""
    if isinstance(method, InfoGAN):
        return (OnTest((Scores((MIG(),)),), count),)
    if isinstance(method, NVAE | ControlVAE):
        return (OnTest((Scores((MIG(),)), PixelError()), count),)
    dci = DCI() if scale == "paper" else DCI(estimator="fast")
    metrics: tuple[Metric, ...] = (MIG(), SAP(), dci)
    apart = {"smoke": Minibatches(50, 1), "small": Minibatches(500, 6)}.get(scale, Minibatches(500, 20))
    scattered = seed == 0
    if scale == "smoke" and not isinstance(method, RecurD):
        # Boosting takes a second however few the images are.
        metrics, scattered = metrics[:2], False
    theirs: tuple[Measure, ...] = (Scores(metrics), PixelError(), *((apart,) if scattered else ()))
    own: tuple[Measure, ...] = ()
    if isinstance(method, RecurD) and seed == 0:
        own = (Traversals(latents=8, bases=2), *((LayerMIG(min(count, 5_000)),) if data == "shapes3d" else ()))
    return (OnTest(theirs, count), *own)


def rows_of(study: Study, scale: str, data: str, methods: Mapping[str, Method], seeds: int) -> list[Entry]:
    """Every method on a data set."""
    return [
        ({"data": data, "row": row, "seed": seed}, trained(study, data, method, scale, seed))
        for seed in range(seeds)
        for row, method in methods.items()
    ]


def _latents(data: str, method: Method, scale: str, latents: int) -> int:
    if isinstance(method, InfoGAN):
        return CODES[data]
    if isinstance(method, NVAE):
        return 40 if scale == "smoke" else 800
    return latents


def split(study: Study, data: str, scale: str) -> Dataset:
    """Nine tenths of a data set; at smoke scale half of sixty images of those that take long to draw."""
    whole = study.data(data)
    if scale != "smoke" or data in QUICK:
        return Split(whole)
    each = whole.rows // 60
    return Split(Subset(whole, tuple(range(0, 60 * each, each))), fraction=0.5)
