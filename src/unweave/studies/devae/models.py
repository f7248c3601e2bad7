"""DeVAE's models: what its tables and figures share."""

from __future__ import annotations

from collections.abc import Mapping

from unweave.job import Job, Scores, Training
from unweave.methods import BetaTCVAE, BetaVAE, DeVAE, DynamicVAE, Method
from unweave.metrics import DCI, MIG, FactorVAEScore
from unweave.networks import MLP, Conv
from unweave.studies.base import Entry, Scale, Study, experiment, spread
from unweave.studies.measures import Information, Recon, Spaces, Tracing, Traversals
from unweave.studies.table import Column

PAPER = Scale(steps=300_000, batch=256, seeds=10, lr=1e-4, images=15_000)
SMALL = Scale(steps=5_000, batch=64, seeds=2, lr=5e-4)
SMOKE = Scale(steps=6, batch=8, seeds=1, lr=1e-3, network=MLP((16,)), images=60)
FULL: Mapping[str, Scale] = {"smoke": SMOKE, "small": SMALL, "paper": PAPER}
ONE: Mapping[str, Scale] = {name: scale._replace(seeds=1) for name, scale in FULL.items()}
"""The first seed of Table 1 alone."""
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
    "One network for all methods: that of β-VAE and FactorVAE with 4×4 convolutions in place of dense layers, as "
    "section 4.1 says; Appendix A.1 itself could not be found.",
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
    "K_i = 0.004; the paper prints 0.01 and 0.001. At small scale its target rises sixty times as fast and its gains "
    "stay: the pressure falls from 150 almost by itself, and follows the target only at the end."
)


def trained(study: Study, data: str, method: Method, scale: str, seed: int) -> Job:
    """One model of this paper: the same job whichever study asks for it."""
    size = sized(study, scale, method)
    full = experiment(method, study.data(data), size, PAPER, seed)
    scores = Scores((MIG(), DCI() if scale == "paper" else DCI(estimator="fast"), FactorVAEScore()))
    spaces = (Spaces(size.images),) if isinstance(method, DeVAE) else ()
    measures = (scores, Recon(), Information(), Traversals(latents=5, bases=3), *spaces)
    return Training.of(full, measures=measures, count=size.images)


def sized(study: Study, scale: str, method: Method) -> Scale:
    """A scale with the network that all methods share, which is DeVAE's own."""
    size = study.scale(scale)
    return size if size.network or isinstance(method, DeVAE) else size._replace(network=Conv("devae"))


def followed(study: Study, row: str, scale: str) -> Entry:
    """A row of Table 1 on dSprites, first seed, with its information on the way."""
    size = sized(study, scale, COMPARED[row])
    full = experiment(COMPARED[row], study.data("dsprites"), size, PAPER, 0)
    at = spread(size.steps, 3 if scale == "smoke" else POINTS)
    job = Training.of(full, measures=(Tracing(),), at=at, count=size.images)
    return {"data": "dsprites", "followed": row, "seed": 0}, job
