"""A job without a model: how well a discriminator estimates the total correlation of Gaussians that are known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from unweave.engine.noise import draw
from unweave.job import Cost, Job, Result, Told, once, quiet
from unweave.networks.critic import Critic
from unweave.types import Draw, UserError


@dataclass(frozen=True)
class CriticEstimate(Job):
    """FactorVAE's density ratio on D correlated Gaussians: the mean logit of "from the joint" over fresh samples.

        z_{2i}, z_{2i+1} correlated by ρ,   TC = −(D/4) log(1 − ρ²)

    Args:
        latents: D, even.
        correlation: ρ in (−1, 1).
        steps: of the discriminator.
        batch: samples a step of the joint, and as many with every latent permuted.
        lr: of its Adam.
        hidden: width of its layers.
        layers: how many.
        count: fresh samples that the estimate is a mean of.
        seed: from 0.

    Values: ``tc`` (the estimate) and ``tc.true``, in nats; ``accuracy`` of the discriminator.
    """

    name: ClassVar[str] = "critic-estimate"

    latents: int
    correlation: float
    steps: int = 2_000
    batch: int = 256
    lr: float = 1e-4
    hidden: int = 1_000
    layers: int = 6
    count: int = 10_000
    seed: int = 0

    @property
    def title(self) -> str:
        """D, ρ and the seed."""
        return f"discriminator on {self.latents} latents, ρ = {self.correlation:g}, seed {self.seed}"

    @property
    def true(self) -> float:
        """The total correlation in nats.

        >>> round(CriticEstimate(10, 0.9).true, 2)
        4.15
        """
        return -self.latents / 4 * math.log(1 - self.correlation**2)

    @property
    def cost(self) -> Cost:
        """Of the discriminator's multiplications."""
        macs = self.hidden * (self.latents + (self.layers - 1) * self.hidden + 2)
        return Cost(self.steps * (2e-3 + 2 * 3 * macs * self.batch / 30e9), self.steps, 4_000)

    def run(self, out: Path, *, root: Path | None = None, device: str | None = None, told: Told = quiet) -> Result:
        """Train the discriminator and read it; a kill loses no more than this one estimate."""
        if self.latents % 2 or self.latents < 2 or not -1 < self.correlation < 1 or self.steps < 1:
            raise UserError(f"{self.title}: allowed are an even number of latents, |ρ| < 1 and 1 step or more")
        return once(self, out, lambda folder: (self._estimate(told), {}))

    def _estimate(self, told: Told) -> Mapping[str, float]:
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            critic = Critic(self.latents, hidden=self.hidden, layers=self.layers)
        adam = torch.optim.Adam(critic.parameters(), lr=self.lr, betas=(0.5, 0.9))
        labels = torch.cat([torch.zeros(self.batch), torch.ones(self.batch)]).long()
        for step in range(self.steps):
            joint = self._sample(step, self.batch, "joint")
            other = self._permuted(self._sample(step, self.batch, "other"), step)
            loss = F.cross_entropy(critic(torch.cat([joint, other])), labels)
            adam.zero_grad()
            loss.backward()
            adam.step()
            if step % 100 == 0:
                told(step / self.steps, self.title)
        with torch.no_grad():
            fresh = self._sample(self.steps, self.count, "fresh")
            own, strange = critic(fresh).double(), critic(self._permuted(fresh, self.steps)).double()
        right = (own[:, 0] > own[:, 1]).double().mean() + (strange[:, 1] > strange[:, 0]).double().mean()
        estimate = float((own[:, 0] - own[:, 1]).mean())
        return {"tc": estimate, "tc.true": self.true, "accuracy": float(right) / 2}

    def _sample(self, step: int, rows: int, stream: str) -> Tensor:
        """(rows, D) of the joint distribution."""
        noise = draw(torch.tensor([self.seed]), step, f"critic {stream}", Draw((rows, self.latents)))[0]
        first, second = noise[:, 0::2], noise[:, 1::2]
        pair = self.correlation * first + math.sqrt(1 - self.correlation**2) * second
        return torch.stack([first, pair], dim=2).reshape(rows, self.latents)

    def _permuted(self, z: Tensor, step: int) -> Tensor:
        """Every latent permuted over the rows by itself: samples of the product of the marginals."""
        where = draw(
            torch.tensor([self.seed]), step, "critic permutation", Draw((self.latents, len(z)), "permutation")
        )[0]
        return torch.gather(z, 0, where.T)
