"""VampPrior: the prior is a mixture of the encoder's own posteriors at learned images."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

from unweave.data.base import DataSpec
from unweave.methods.base import Method, Preset, at_least
from unweave.methods.terms import autoencode, progress
from unweave.networks import Body, Conv, Model, VampVAE
from unweave.networks.vamp import mixture_log_prob
from unweave.types import Adam, Batch, Loss, Reference, State, UserError

AUTHORS = Preset(
    latents=40,
    steps=1_000_000,
    batch=100,
    optimiser=Adam(lr=5e-4),
    note="the authors' code on MNIST: K 500, 40 latents, batch 100, Adam 5e-4, warm-up of 100 epochs and at most 2,000 "
    "(500 steps each)",
)


@dataclass(frozen=True)
class VampPrior(Method):
    """The evidence lower bound with a learned prior, a mixture of posteriors at pseudo-inputs u_k.

        loss = E[−log p(x|z)] + w(t) · E[log q(z|x) − log p(z)],     p(z) = 1/K Σ_k q(z|u_k),     w(t) = min(t / T, 1)

    Tomczak & Welling (2018). The KL has no closed form and is estimated with the sample that is decoded. Pixels
    of the pseudo-inputs are kept in [0, 1], log-variances in [−6, 2]; t counts steps from 1.

    Args:
        pseudo_inputs: K.
        warmup_steps: T, over how many steps the KL's weight w rises to 1, from 1/T in the first; 1 for no warm-up.
        pseudo_mean: mean of the numbers that the pseudo-inputs' pixels start from.
        pseudo_std: their standard deviation.

    Terms: ``recon`` and ``kl`` in nats an image, ``kl`` being the estimate, which can fall below 0 for a batch;
    ``warm_up``, the weight w.

    Raises:
        UserError: no pseudo-inputs, a warm-up below 1 step, a negative standard deviation.

    >>> import unweave
    >>> method = unweave.VampPrior(pseudo_inputs=5, warmup_steps=10)
    >>> run = unweave.fit(method, "triangle", steps=2, batch=8, latents=3, network=unweave.MLP((16,)))
    >>> sorted(run.terms)
    ['kl', 'recon', 'total', 'warm_up']
    """

    pseudo_inputs: int = 500
    warmup_steps: int = 50_000
    pseudo_mean: float = 0.05
    pseudo_std: float = 0.01

    name: ClassVar[str] = "vamp-prior"
    summary: ClassVar[str] = "the prior is a mixture of posteriors at learned images"
    schedules = ("warmup_steps",)
    presets: ClassVar[Mapping[str, Preset]] = {"": AUTHORS}
    references = (
        Reference(
            "tomczak2018vampprior",
            "Jakub M. Tomczak and Max Welling",
            "VAE with a VampPrior",
            "International Conference on Artificial Intelligence and Statistics",
            2018,
            "https://arxiv.org/abs/1705.07120",
        ),
    )

    def check(self, data: DataSpec, latents: int) -> None:
        at_least(self, 1, "pseudo_inputs", "warmup_steps")
        at_least(self, 0, "pseudo_std")
        if not -math.inf < self.pseudo_mean < math.inf:
            raise UserError(f"vamp-prior: pseudo_mean = {self.pseudo_mean}; allowed: finite numbers")
        if not -4 * self.pseudo_std < self.pseudo_mean < 1 + 4 * self.pseudo_std:
            warnings.warn(
                f"vamp-prior: pseudo-inputs that start at {self.pseudo_mean} ± {self.pseudo_std} lie outside [0, 1], "
                "where no gradient reaches them: they never change"
            )

    def network(self, data: DataSpec, latents: int, body: Body | None = None) -> Model:
        start = (self.pseudo_mean, self.pseudo_std)
        return VampVAE(body or Conv(), data.shape, latents, data.likelihood, self.pseudo_inputs, start)

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        q, z, recon, _ = autoencode(model, batch)
        prior = mixture_log_prob(cast(VampVAE, model).components(), z)
        kl = (q.log_prob(z).sum(-1) - prior).mean()
        warm_up = progress(batch.step + 1, self.warmup_steps, kl.dtype)
        return Loss(recon + warm_up * kl, {"recon": recon, "kl": kl, "warm_up": warm_up})
