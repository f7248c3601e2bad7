"""β-STCVAE: groups of latents are the codes, free within, independent of each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from unweave.data.base import DataSpec
from unweave.methods.base import Method, Preset
from unweave.methods.grouped_tc import Weights, check_family, check_groups, noise_for, objective, partition
from unweave.networks import VAE, Body, Conv, Model
from unweave.references import CHEN_2022
from unweave.types import Adam, Batch, Draw, Loss, State

PAPER = Preset(
    latents=16,
    steps=20_000,
    batch=256,
    optimiser=Adam(lr=5e-4),
    note="β-STCVAE §4: 20,000 steps, 16 latents in 8 groups of 2 (Fig. 4); β, batch 256 and Adam 5e-4 are ours",
)


@dataclass(frozen=True)
class BetaSTCVAE(Method):
    """β-TCVAE with groups of latents in place of latents: what happens inside a group is not penalised at all.

        loss = E[−log p(x|z)] + I(x; z) + β · KL(q(z) ‖ Π_g q(z_g)) + Σ_j KL(q(z_j) ‖ p(z_j))

    Chen et al. (2022), eq. 7. The VAE's KL holds the total correlation within groups once, which is taken out again:
    loss = E[−log p(x|z)] + KL + (β − 1) · TC_joint − Σ_g TC(z_g). Leaving it in is another objective, ``HFVAE`` with
    ``within_weight`` 1. Groups of 1 are β-TCVAE. The model's ``blocks`` are the groups.

    Args:
        beta: β ≥ 0, weight of the total correlation between groups.
        group_size: i, latents in a group, which are consecutive; must divide their number.
        allow_remainder: let the last group be smaller where the size does not divide the number of latents.
        estimator: weights of the batch's posteriors in q(z): ``batch`` (1/B each), ``mws`` (1/(BN); same gradients),
            ``mss`` (stratified) or ``exact-weights`` (HFVAE's).
        kl: ``analytic`` (the second form above) or ``sampled`` (the first, every part estimated from the batch).

    Terms: ``recon`` and ``kl`` in nats an image; ``mi``, ``tc`` = ``tc_joint`` + ``tc_within``, and ``dw``, the parts
    of the KL as estimated from the batch, in nats. With ``mws`` the parts are those of ``batch``.

    Raises:
        UserError: a negative β, groups that do not fit, an unknown word, a batch of 1.

    >>> import unweave
    >>> method = unweave.BetaSTCVAE(beta=4.0, group_size=2)
    >>> run = unweave.fit(method, "triangle", steps=2, batch=8, latents=6, network=unweave.MLP((16,)))
    >>> run.model.blocks
    ((0, 1), (2, 3), (4, 5))
    """

    beta: float = 4.0
    group_size: int = 2
    allow_remainder: bool = False
    estimator: str = "batch"
    kl: str = "analytic"

    name: ClassVar[str] = "beta-stcvae"
    summary: ClassVar[str] = "groups of latents are the codes: free within, independent of each other"
    presets: ClassVar[Mapping[str, Preset]] = {"": PAPER}
    references = (CHEN_2022,)

    def check(self, data: DataSpec, latents: int) -> None:
        check_family(self, "beta")
        check_groups(self, self.group_size, latents, self.allow_remainder)

    def network(self, data: DataSpec, latents: int, body: Body | None = None) -> Model:
        model = VAE(body or Conv(), data.shape, latents, data.likelihood)
        model.blocks = partition(latents, self.group_size) if self.group_size > 1 else ()
        return model

    def noise(self, data: DataSpec, latents: int, rows: int) -> Mapping[str, Draw]:
        return noise_for(self, self.estimator, data, latents, rows)

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        groups = partition(model.latents, self.group_size)
        return objective(model, batch, groups, Weights(1.0, self.beta, 0.0, 1.0), self.estimator, self.kl)
