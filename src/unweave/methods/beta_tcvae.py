"""β-TCVAE: a pressure on the total correlation alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from unweave.data.base import DataSpec
from unweave.methods.base import STANDARD, Method, Preset
from unweave.methods.grouped_tc import Weights, check_family, noise_for, objective, partition
from unweave.networks import Model
from unweave.references import CHEN_2018
from unweave.types import Adam, Batch, Draw, Loss, State

DEVAE_PAPER = Preset(
    fields={"beta": 12.0},
    batch=256,
    note="DeVAE Table 1, its β-TCVAE on dSprites and Shapes3D: β = 12, batch 256, 300,000 steps, Adam 1e-4, 10 latents",
)
TRIANGLE = Preset(
    fields={"beta": 6.0},
    latents=5,
    steps=10_000,
    batch=256,
    optimiser=Adam(lr=5e-4),
    note="DEFT §5.4, its β-TCVAE, from the authors' run files: β = 6, 5 latents, batch 256, 10,000 steps, Adam 5e-4",
)


@dataclass(frozen=True)
class BetaTCVAE(Method):
    """The evidence lower bound with a pressure β on the total correlation of the codes.

        loss = E[−log p(x|z)] + α · I(x; z) + β · KL(q(z) ‖ Π_j q(z_j)) + γ · Σ_j KL(q(z_j) ‖ p(z_j))

    Chen et al. (2018), eq. 4. With α = γ = 1 it is the VAE's bound plus (β − 1) times the total correlation, and the KL
    is taken in closed form. The densities of q(z) are estimated from the batch.

    Args:
        beta: β ≥ 0, weight of the total correlation (1 is the VAE).
        mi_weight: α ≥ 0, weight of the information between images and codes.
        dw_weight: γ ≥ 0, weight of the distance of each latent's marginal from its prior.
        estimator: weights of the batch's posteriors in q(z): ``batch`` (1/B each), ``mws`` (1/(BN), the paper's; same
            gradients), ``mss`` (stratified) or ``exact-weights`` (HFVAE's).
        kl: ``analytic`` (closed form plus estimates of what has a weight other than 1) or ``sampled`` (the weighted sum
            of the estimated parts, the paper to the letter).

    Terms: ``recon`` and ``kl`` in nats an image; ``mi``, ``tc`` and ``dw``, the three parts of the KL as estimated from
    the batch, in nats. With ``mws`` the parts are those of ``batch``.

    Raises:
        UserError: a negative weight, an unknown word, a batch of 1.

    >>> import unweave
    >>> run = unweave.fit(unweave.BetaTCVAE(beta=6.0), "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> sorted(run.terms)
    ['dw', 'kl', 'mi', 'recon', 'tc', 'total']
    """

    beta: float = 6.0
    mi_weight: float = 1.0
    dw_weight: float = 1.0
    estimator: str = "batch"
    kl: str = "analytic"

    name: ClassVar[str] = "beta-tcvae"
    summary: ClassVar[str] = "a pressure on the total correlation, estimated from the batch"
    presets: ClassVar[Mapping[str, Preset]] = {
        "": STANDARD,
        "dsprites": DEVAE_PAPER,
        "shapes3d": DEVAE_PAPER,
        "triangle": TRIANGLE,
    }
    references = (CHEN_2018,)

    def check(self, data: DataSpec, latents: int) -> None:
        check_family(self, "beta", "mi_weight", "dw_weight")

    def noise(self, data: DataSpec, latents: int, rows: int) -> Mapping[str, Draw]:
        return noise_for(self, self.estimator, data, latents, rows)

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        weights = Weights(self.mi_weight, self.beta, self.beta, self.dw_weight)
        found = objective(model, batch, partition(model.latents, 1), weights, self.estimator, self.kl)
        return found._replace(terms={n: v for n, v in found.terms.items() if n not in ("tc_joint", "tc_within")})
