"""FactorVAE: total correlation by a density-ratio critic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from unweave.data.base import DataSpec
from unweave.methods.base import STANDARD, Method, Preset, at_least, need_company
from unweave.methods.terms import autoencode
from unweave.networks import VAE, Body, Conv, Critic, Judged, Model, detached
from unweave.types import Adam, Batch, Draw, Loss, Reference, State


@dataclass(frozen=True)
class FactorVAE(Method):
    """The evidence lower bound with a penalty on the total correlation of the codes.

        loss = E[−log p(x|z)] + KL(q(z|x) ‖ N(0, I)) + γ · TC,     TC ≈ E_q(z)[ D_joint(z) − D_permuted(z) ]

    Kim & Mnih (2018), eq. 2 and 3. The critic D has two logits and learns, by cross-entropy, to tell codes from codes
    whose latents were permuted over the batch one by one. Both are trained in one backward pass: the critic's
    parameters are held fixed in the model's term and the codes in the critic's term, which gives exactly the gradients
    of two separate ones.

    Args:
        gamma: weight γ ≥ 0 of the total correlation.
        critic_hidden: width of the critic's layers.
        critic_layers: number of its hidden layers.
        critic_lr: its learning rate; Adam's decay rates are (0.5, 0.9).
        second_batch: permute the codes of a second, independent batch (the paper) instead of the same (the field's
            usual code).

    Terms: ``recon`` and ``kl`` in nats an image, ``tc`` the critic's estimate in nats, ``critic`` its cross-entropy in
    nats (ln 2 = 0.693 when it cannot tell).

    Raises:
        UserError: a negative γ or learning rate, a critic without layers.

    >>> import unweave
    >>> method = unweave.FactorVAE(gamma=6.4, critic_hidden=8)
    >>> run = unweave.fit(method, "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> sorted(run.terms)
    ['critic', 'kl', 'recon', 'tc', 'total']
    """

    gamma: float = 6.4
    critic_hidden: int = 1000
    critic_layers: int = 6
    critic_lr: float = 1e-4
    second_batch: bool = False

    name: ClassVar[str] = "factor-vae"
    summary: ClassVar[str] = "a critic estimates the total correlation, which is penalised"
    presets: ClassVar[Mapping[str, Preset]] = {"": STANDARD}
    references = (
        Reference(
            "kim2018disentangling",
            "Hyunjik Kim and Andriy Mnih",
            "Disentangling by Factorising",
            "International Conference on Machine Learning",
            2018,
            "https://arxiv.org/abs/1802.05983",
        ),
    )

    @property
    def views(self) -> str:
        return "two" if self.second_batch else "one"

    def check(self, data: DataSpec, latents: int) -> None:
        at_least(self, 0, "gamma", "critic_lr")
        at_least(self, 1, "critic_hidden", "critic_layers")

    def network(self, data: DataSpec, latents: int, body: Body | None = None) -> Model:
        vae = VAE(body or Conv(), data.shape, latents, data.likelihood)
        return Judged(vae, tc=Critic(latents, 2, self.critic_hidden, self.critic_layers))

    def noise(self, data: DataSpec, latents: int, rows: int) -> Mapping[str, Draw]:
        need_company(self, rows)
        draws = {"z": Draw((rows, latents)), "permute": Draw((latents, rows), "permutation")}
        if self.second_batch:
            draws["y"] = Draw((rows, latents))
        return draws

    def optimisers(self) -> Mapping[str, Adam]:
        return {"critic": Adam(lr=self.critic_lr, betas=(0.5, 0.9))}

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        critic = cast(Judged, model).critics["tc"]
        _, z, recon, kl = autoencode(model, batch)
        joint = detached(critic, z)
        tc = (joint[:, 0] - joint[:, 1]).mean()
        other = model.encode(batch.y).sample(batch.noise["y"]) if self.second_batch else z
        permuted = permute_latents(other.detach(), batch.noise["permute"])
        told = cross_entropy(critic(z.detach()), 0) + cross_entropy(critic(permuted), 1)
        return Loss(
            recon + kl + self.gamma * tc + 0.5 * told,
            {"recon": recon, "kl": kl, "tc": tc, "critic": 0.5 * told},
        )


def permute_latents(z: Tensor, order: Tensor) -> Tensor:
    """Each latent of (N, D) codes in its own order (D, N): a sample from the product of the marginals."""
    return torch.gather(z.T, 1, order).T


def cross_entropy(logits: Tensor, label: int) -> Tensor:
    """Mean cross-entropy of (N, classes) logits when all rows have one label, in nats."""
    return -F.log_softmax(logits, dim=-1)[:, label].mean()
