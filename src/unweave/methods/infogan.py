"""InfoGAN: a generator whose code can be read off its images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from unweave.data.base import DataSpec
from unweave.methods.base import Method, Preset, at_least
from unweave.networks import DCGAN, Body, CodedGAN, Model, detached
from unweave.types import Adam, Batch, Draw, Gaussian, Loss, Reference, State, UserError

DEFAULT = Preset(
    latents=6,
    steps=100_000,
    batch=128,
    note="InfoGAN, the authors' code for MNIST: batch 128, Adam (0.5, 0.999) with 2e-4 and 1e-3, 62 noise variables; "
    "ours, since RecurD Table 7 does not say: 6 continuous codes, 100,000 steps",
)


@dataclass(frozen=True)
class InfoGAN(Method):
    """A GAN with a lower bound on the mutual information between its code and its images.

        G: E[−log D(G(n, c))] + λ · E[−log Q(c|G(n, c))]
        D and Q: E[−log D(x)] + E[−log(1 − D(G(n, c)))] + λ · E[−log Q(c|G(n, c))]

    Chen et al. (2016), eq. 5 and 6, with the non-saturating loss of the generator. Q shares the discriminator's trunk;
    continuous codes are U(−1, 1) and Q gives them a Gaussian. Both lines are taken at one point and both sides step at
    once. The representation is the mean of Q(c|x); ``recon`` decodes it without noise and teaches nothing.

    Args:
        info: λ ≥ 0, weight of the code's log-likelihood.
        noise_size: number of noise variables n, each U(−1, 1).
        categories: number of values of each categorical code; so many of the latents hold its probabilities, and the
            others are continuous codes.
        learned_std: let Q learn the variance of the continuous codes, which is else 1.
        generator_lr: learning rate of G; Adam's decay rates are (0.5, 0.999).
        discriminator_lr: learning rate of D and Q.

    Terms: ``recon`` in nats an image, the distortion of an image generated from the code read off x; ``generator`` and
    ``discriminator``, their losses in nats (ln 2 and 2 ln 2 where D cannot tell); ``code``, −log Q in nats; ``bound``,
    H(c) − ``code``, a lower bound of the mutual information in nats. There is no KL.

    Raises:
        UserError: a negative λ or learning rate, no noise, a categorical code of fewer than 2 values, no latent left
            for a continuous code.

    >>> import unweave
    >>> run = unweave.fit("infogan", "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> sorted(run.terms)
    ['bound', 'code', 'discriminator', 'generator', 'recon', 'total']
    """

    info: float = 1.0
    noise_size: int = 62
    categories: tuple[int, ...] = ()
    learned_std: bool = False
    generator_lr: float = 1e-3
    discriminator_lr: float = 2e-4

    name: ClassVar[str] = "infogan"
    summary: ClassVar[str] = "a GAN whose code can be read off its images"
    presets: ClassVar[Mapping[str, Preset]] = {"": DEFAULT}
    references = (
        Reference(
            "chen2016infogan",
            "Xi Chen and Yan Duan and Rein Houthooft and John Schulman and Ilya Sutskever and Pieter Abbeel",
            "InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial Nets",
            "Advances in Neural Information Processing Systems",
            2016,
            "https://arxiv.org/abs/1606.03657",
        ),
    )

    def check(self, data: DataSpec, latents: int) -> None:
        at_least(self, 0, "info", "generator_lr", "discriminator_lr")
        at_least(self, 1, "noise_size")
        if not isinstance(self.categories, tuple):
            raise UserError(f"infogan: categories = {self.categories!r}; allowed: a tuple, as () or (10,)")
        at_least(self, 2, "categories")
        if sum(self.categories) >= latents:
            raise UserError(
                f"infogan: {latents} latents with categories = {self.categories}, which take {sum(self.categories)}; "
                f"allowed: {sum(self.categories) + 1} latents or more"
            )

    def network(self, data: DataSpec, latents: int, body: Body | None = None) -> Model:
        return CodedGAN(
            body or DCGAN(),
            data.shape,
            latents,
            data.likelihood,
            self.noise_size,
            self.categories,
            spread=self.learned_std,
        )

    def noise(self, data: DataSpec, latents: int, rows: int) -> Mapping[str, Draw]:
        draws = {f"category.{place}": Draw((rows,), "uniform") for place in range(len(self.categories))}
        continuous = latents - sum(self.categories)
        return {
            "noise": Draw((rows, self.noise_size), "uniform"),
            "code": Draw((rows, continuous), "uniform"),
            **draws,
        }

    def optimisers(self) -> Mapping[str, Adam]:
        return {
            "generator": Adam(lr=self.generator_lr, betas=(0.5, 0.999)),
            "discriminator": Adam(lr=self.discriminator_lr, betas=(0.5, 0.999)),
        }

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        net = cast(CodedGAN, model)
        values = [(u * k).long() for u, k in zip(self._uniforms(batch), self.categories, strict=True)]
        continuous = 2 * batch.noise["code"] - 1
        chosen = [F.one_hot(v, k).to(continuous) for v, k in zip(values, self.categories, strict=True)]
        code = torch.cat([*chosen, continuous], 1)
        fake = torch.sigmoid(net.generate(2 * batch.noise["noise"] - 1, code))

        seen = net.look(batch.x)
        real, made = net.judge(seen).squeeze(1), net.discriminate(fake.detach())
        discriminator = F.softplus(-real).mean() + F.softplus(made).mean()
        generator = F.softplus(-detached(net, fake)).mean()
        surprise = unlikely(*net.read(net.look(fake)), values, continuous)
        with torch.no_grad():
            recon = net.distortion(net.decode(net.mean(seen)), batch.x).mean()
        terms = {
            "recon": recon,
            "generator": generator,
            "discriminator": discriminator,
            "code": surprise,
            "bound": self.entropy(continuous.shape[1]) - surprise,
        }
        return Loss(generator + discriminator + self.info * surprise, terms)

    def entropy(self, continuous: int) -> float:
        """H(c) in nats: ln K of a categorical code of K values, ln 2 of each U(−1, 1)."""
        return sum(math.log(k) for k in self.categories) + continuous * math.log(2)

    def _uniforms(self, batch: Batch) -> list[Tensor]:
        return [batch.noise[f"category.{place}"] for place in range(len(self.categories))]


def unlikely(logits: list[Tensor], q: Gaussian, values: list[Tensor], continuous: Tensor) -> Tensor:
    """Mean −log Q(c|x) in nats: cross-entropies of the categorical codes, Gaussians of the continuous ones."""
    chosen = [torch.gather(F.log_softmax(one, 1), 1, v[:, None]) for one, v in zip(logits, values, strict=True)]
    return -torch.cat([*chosen, q.log_prob(continuous)], 1).sum(1).mean()
