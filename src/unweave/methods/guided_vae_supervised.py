"""Guided-VAE with labels: one latent holds a factor, all others forget it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from unweave.data.base import DataSpec
from unweave.data.factors import Factors
from unweave.methods.base import Method, Preset, at_least
from unweave.methods.terms import autoencode
from unweave.names import hint
from unweave.networks import Body, Conv, Critic, Judged, LabelledVAE, Model, detached
from unweave.references import DING_2020
from unweave.types import Adam, Batch, Loss, State, UserError

AUTHORS = Preset(
    latents=16,
    steps=200_704,
    batch=128,
    optimiser=Adam(lr=1e-4, weight_decay=1e-5),
    note="Guided-VAE, the authors' code for CelebA: 16 latents, weight 200, batch 128, 128 epochs (200,704 steps), "
    "Adam 1e-4, weight decay 1e-5",
)
CELEBA = AUTHORS._replace(
    fields={"labels": ("Black_Hair", "Male")},
    note=f"{AUTHORS.note}; black hair and gender, which BHiVAE's Fig. 6 compares, both in one model: ours",
)


@dataclass(frozen=True)
class GuidedVAESupervised(Method):
    """The evidence lower bound; latent t is excited to tell factor t, and all others are inhibited from telling it.

        loss = E[−log p(x|z)] + KL(q(z|x) ‖ N(0, I)) + Σ_t w⁺ CE(C1_t(z_t), y_t) + w⁻ CE(C2_t(z without z_t), uniform)
        while each C2_t learns, on codes held fixed, CE(C2_t(z without z_t), y_t)

    Ding et al. (2020), §3.3 with the weights of the authors' code. The model, to which C1
    belongs, learns from the first line, C2 from the second; all gradients are taken at one point and all step at once.

    Args:
        labels: names of the guided factors, latent t for the t-th of them; when empty, the first factor alone.
        excitation: w⁺ ≥ 0.
        inhibition: w⁻ ≥ 0.
        critic_hidden: width of the classifiers' two hidden layers.
        critic_lr: learning rate of the C2.

    Terms: ``recon`` and ``kl`` in nats an image; ``excitation``, ``inhibition`` and ``critic``, the cross-entropies of
    C1 with the labels, of C2 with the uniform distribution and of C2 with the labels, in nats, summed over the factors.

    Raises:
        UserError: data without factors, an unknown or repeated factor or one of a single level, no latent left over,
            a negative weight.

    >>> import unweave
    >>> method = unweave.GuidedVAESupervised(labels=("orientation",))
    >>> run = unweave.fit(method, "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> sorted(run.terms)
    ['critic', 'excitation', 'inhibition', 'kl', 'recon', 'total']
    """

    labels: tuple[str, ...] = ()
    excitation: float = 200.0
    inhibition: float = 200.0
    critic_hidden: int = 32
    critic_lr: float = 1e-4

    name: ClassVar[str] = "guided-vae-supervised"
    summary: ClassVar[str] = "classifiers excite one latent a known factor and inhibit the others"
    presets: ClassVar[Mapping[str, Preset]] = {"": AUTHORS, "celeba": CELEBA}
    references = (DING_2020,)

    def check(self, data: DataSpec, latents: int) -> None:
        at_least(self, 0, "excitation", "inhibition", "critic_lr")
        at_least(self, 1, "critic_hidden")
        factors = data.factors
        if factors is None or not factors.names:
            raise UserError(f"{self.name}: this data set has no factors; allowed: data sets with labels")
        named = self.named(factors)
        for one in named:
            if one not in factors.names:
                allowed = ", ".join(factors.names)
                raise UserError(f"{self.name}: labels has {one!r}{hint(one, factors.names)} (allowed: {allowed})")
            size = factors.sizes[factors.names.index(one)]
            if size < 2:
                raise UserError(f"{self.name}: factor {one!r} has {size} level; allowed: factors of 2 levels or more")
        if len(set(named)) < len(named):
            raise UserError(f"{self.name}: labels = {named}; allowed: each factor once")
        if latents <= len(named):
            raise UserError(
                f"{self.name}: {latents} latents for {len(named)} guided factors; allowed: {len(named) + 1} or more"
            )

    def named(self, factors: Factors) -> tuple[str, ...]:
        """The guided factors."""
        return self.labels or factors.names[:1]

    def network(self, data: DataSpec, latents: int, body: Body | None = None) -> Model:
        assert data.factors is not None
        columns = tuple(data.factors.position(one) for one in self.named(data.factors))
        sizes = tuple(data.factors.sizes[column] for column in columns)
        vae = LabelledVAE(
            body or Conv("devae"), data.shape, latents, data.likelihood, columns, sizes, self.critic_hidden
        )
        rest = {str(place): Critic(latents - 1, size, self.critic_hidden, 2) for place, size in enumerate(sizes)}
        return Judged(vae, **rest)

    def optimisers(self) -> Mapping[str, Adam]:
        return {"critic": Adam(lr=self.critic_lr, weight_decay=1e-5)}

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        judged = cast(Judged, model)
        net = cast(LabelledVAE, judged.model)
        _, z, recon, kl = autoencode(net, batch)
        excitation = inhibition = critic = torch.zeros_like(recon)
        for place, column in enumerate(net.columns):
            level, judge = batch.labels[:, column], judged.critics[str(place)]
            own, rest = apart(z, place)
            excitation = excitation + told(net.tellers[place](own), level)
            inhibition = inhibition + undecided(detached(judge, rest))
            critic = critic + told(judge(rest.detach()), level)
        total = recon + kl + self.excitation * excitation + self.inhibition * inhibition + critic
        terms = {"recon": recon, "kl": kl, "excitation": excitation, "inhibition": inhibition, "critic": critic}
        return Loss(total, terms)


def apart(z: Tensor, place: int) -> tuple[Tensor, Tensor]:
    """One latent of (N, D) codes, (N, 1), and all others, (N, D − 1)."""
    return z[:, place : place + 1], torch.cat([z[:, :place], z[:, place + 1 :]], 1)


def told(logits: Tensor, levels: Tensor) -> Tensor:
    """Mean cross-entropy of (N, levels) logits with the levels that are right, in nats."""
    return -torch.gather(F.log_softmax(logits, -1), 1, levels[:, None]).mean()


def undecided(logits: Tensor) -> Tensor:
    """Mean cross-entropy of (N, levels) logits with the uniform distribution, in nats; ln(levels) where they are it.

    >>> float(undecided(torch.zeros(3, 2)).exp())
    2.0
    """
    return -F.log_softmax(logits, -1).mean()
