"""HFVAE: one pressure between groups of latents, another within them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from unweave.data.base import DataSpec
from unweave.methods.base import Method, Preset
from unweave.methods.grouped_tc import Weights, check_family, check_groups, noise_for, objective, partition
from unweave.networks import Model
from unweave.references import ESMAEILI_2019
from unweave.types import Batch, Draw, Loss, State

OURS = Preset(
    note="Locatello et al. 2019: batch 64, 300,000 steps, Adam 1e-4, 10 latents; groups of 2 and the weights are ours"
)


@dataclass(frozen=True)
class HFVAE(Method):
    """The evidence lower bound with weights of their own on the dependence between and within groups of latents.

        loss = E[−log p(x|z)] + α · I(x; z) + β · KL(q(z) ‖ Π_g q(z_g)) + γ · Σ_g KL(q(z_g) ‖ Π_{j ∈ g} q(z_j))
             + λ · Σ_j KL(q(z_j) ‖ p(z_j))

    Esmaeili et al. (2019), the hierarchically factorised objective for two levels and a factorial prior; written as in
    Chen et al. (2022), eq. 8, with the last sum over all n/i groups. γ = β is β-TCVAE, γ = 0 β-STCVAE, β = γ = 1 the
    VAE. With α = λ = 1 the KL is taken in closed form.

    Args:
        beta: β ≥ 0, weight of the total correlation between groups.
        within_weight: γ ≥ 0, weight of the total correlation within groups.
        group_size: latents in a group, which are consecutive; must divide their number.
        mi_weight: α ≥ 0, weight of the information between images and codes.
        dw_weight: λ ≥ 0, weight of the distance of each latent's marginal from its prior.
        allow_remainder: let the last group be smaller where the size does not divide the number of latents.
        estimator: weights of the batch's posteriors in q(z): ``batch`` (1/B each), ``mws`` (1/(BN); same gradients),
            ``mss`` (stratified) or ``exact-weights`` (the authors').
        kl: ``analytic`` (closed form plus estimates of what has a weight other than 1) or ``sampled`` (the weighted sum
            of the estimated parts).

    Terms: ``recon`` and ``kl`` in nats an image; ``mi``, ``tc`` = ``tc_joint`` + ``tc_within``, and ``dw``, the parts
    of the KL as estimated from the batch, in nats. With ``mws`` the parts are those of ``batch``.

    Raises:
        UserError: a negative weight, groups that do not fit, an unknown word, a batch of 1.

    >>> import unweave
    >>> method = unweave.HFVAE(beta=6.0, within_weight=2.0, group_size=5)
    >>> run = unweave.fit(method, "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> sorted(run.terms)
    ['dw', 'kl', 'mi', 'recon', 'tc', 'tc_joint', 'tc_within', 'total']
    """

    beta: float = 6.0
    within_weight: float = 1.0
    group_size: int = 2
    mi_weight: float = 1.0
    dw_weight: float = 1.0
    allow_remainder: bool = False
    estimator: str = "batch"
    kl: str = "analytic"

    name: ClassVar[str] = "hfvae"
    summary: ClassVar[str] = "one pressure between groups of latents, another within them"
    presets: ClassVar[Mapping[str, Preset]] = {"": OURS}
    references = (ESMAEILI_2019,)

    def check(self, data: DataSpec, latents: int) -> None:
        check_family(self, "beta", "within_weight", "mi_weight", "dw_weight")
        check_groups(self, self.group_size, latents, self.allow_remainder)

    def noise(self, data: DataSpec, latents: int, rows: int) -> Mapping[str, Draw]:
        return noise_for(self, self.estimator, data, latents, rows)

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        weights = Weights(self.mi_weight, self.beta, self.within_weight, self.dw_weight)
        groups = partition(model.latents, self.group_size)
        return objective(model, batch, groups, weights, self.estimator, self.kl)
