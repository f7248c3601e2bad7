"""InfoVAE: the codes as a whole follow the prior, whatever each one says of its image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from unweave.data.base import DataSpec
from unweave.methods.base import STANDARD, Method, Preset, at_least, need_company, one_of
from unweave.methods.mmd import KERNELS, mmd
from unweave.methods.terms import autoencode
from unweave.networks import Model
from unweave.types import Batch, Draw, Loss, Reference, State, UserError


@dataclass(frozen=True)
class InfoVAE(Method):
    """The evidence lower bound with another weight on the KL and a divergence between all codes and the prior.

        loss = E[−log p(x|z)] + (1 − α) · KL(q(z|x) ‖ N(0, I)) + (α + λ − 1) · MMD(q(z), N(0, I))

    Zhao et al. (2019), with the maximum mean discrepancy as divergence. α rewards information about the image in the
    code and λ holds the codes to the prior; α = 1 is the MMD-VAE, α = 0 with λ = 1 the VAE. The MMD is the unbiased
    estimate of its square from the batch's codes and as many draws from the prior.

    Args:
        alpha: α ≤ 1, the preference for information.
        lambda_mmd: λ; the MMD's weight α + λ − 1 must not be negative.
        kernel: ``imq`` (inverse multiquadratic, averaged over seven widths) or ``rbf`` (Gaussian).
        bandwidth: multiplies the kernel's width, 2 · D · bandwidth.

    Terms: ``recon`` and ``kl`` in nats an image; ``mmd``, the estimate without its weight (its noise takes it below 0).

    Raises:
        UserError: α above 1, a negative weight of the MMD, a bandwidth of 0, an unknown kernel, a batch of one image.

    >>> import unweave
    >>> run = unweave.fit("info-vae", "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> sorted(run.terms)
    ['kl', 'mmd', 'recon', 'total']
    """

    alpha: float = 0.0
    lambda_mmd: float = 1000.0
    kernel: str = "imq"
    bandwidth: float = 1.0

    name: ClassVar[str] = "info-vae"
    summary: ClassVar[str] = "the codes as a whole are held to the prior by a maximum mean discrepancy"
    presets: ClassVar[Mapping[str, Preset]] = {
        "": STANDARD._replace(
            note="Zhao et al. 2019, MNIST: alpha 0, lambda 1000; the rest Locatello et al. 2019 (batch 64, 300,000 "
            "steps, Adam 1e-4, 10 latents)"
        )
    }
    references = (
        Reference(
            "zhao2019infovae",
            "Shengjia Zhao and Jiaming Song and Stefano Ermon",
            "InfoVAE: Balancing Learning and Inference in Variational Autoencoders",
            "AAAI Conference on Artificial Intelligence",
            2019,
            "https://arxiv.org/abs/1706.02262",
        ),
        Reference(
            "gretton2012kernel",
            "Arthur Gretton and Karsten M. Borgwardt and Malte J. Rasch and Bernhard Schölkopf and Alexander Smola",
            "A Kernel Two-Sample Test",
            "Journal of Machine Learning Research 13",
            2012,
            "https://jmlr.org/papers/v13/gretton12a.html",
        ),
    )

    def check(self, data: DataSpec, latents: int) -> None:
        one_of(self, "kernel", KERNELS)
        at_least(self, 1e-12, "bandwidth")
        at_least(self, 0, "lambda_mmd")
        if not -math.inf < self.alpha <= 1:
            raise UserError(f"info-vae: alpha = {self.alpha}; allowed: 1 or less, so that the KL is not rewarded")
        if self.alpha + self.lambda_mmd < 1:
            raise UserError(
                f"info-vae: lambda_mmd = {self.lambda_mmd} with alpha = {self.alpha} rewards distance from the prior; "
                f"allowed: {1 - self.alpha:g} or more, so that alpha + lambda_mmd − 1 is not negative"
            )

    def noise(self, data: DataSpec, latents: int, rows: int) -> Mapping[str, Draw]:
        need_company(self, rows)
        return {"z": Draw((rows, latents)), "prior": Draw((rows, latents))}

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        _, z, recon, kl = autoencode(model, batch)
        distance = mmd(z, model.prior(batch.noise["prior"]), self.kernel, self.bandwidth)
        total = recon + (1 - self.alpha) * kl + (self.alpha + self.lambda_mmd - 1) * distance
        return Loss(total, {"recon": recon, "kl": kl, "mmd": distance})
