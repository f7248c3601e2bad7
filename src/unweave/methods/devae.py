"""DeVAE: hierarchical latent spaces with decreasing information bottlenecks."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from unweave.data.base import DataSpec
from unweave.methods.base import Method, Preset, at_least, one_of
from unweave.methods.terms import number
from unweave.networks import Body, Conv, Model, SpacesVAE
from unweave.types import Adam, Batch, Draw, Gaussian, Loss, Reference, State, UserError

PAPER = Preset(
    batch=256,
    optimiser=Adam(lr=1e-4),
    note="DeVAE §4.1 and the authors' code: batch 256, 300,000 steps, Adam 1e-4, 10 latents, β = [1, 40]",
)

RIDGE = 1e-6
"""Added to the diagonal of Wᵀ W in the KL of ``linear``."""


@dataclass(frozen=True)
class DeVAE(Method):
    """Several latent spaces share one encoder; wide ones learn to reconstruct, narrow ones to disentangle.

        loss = Σ_i s^i · ( E[−log p(x | z_i, v_i)] + β_i · KL(q(z_i|x) ‖ N(0, I)) ),   z_i ~ q(z_i|x)
        q(z_i|x) = N(mean_i, diag exp(logvar_i)),   mean_{i+1} = exp(w1_i) · mean_i,   logvar_{i+1} = logvar_i + w2_i

    Wu et al. (2023), eq. 3, 4 and 7 with the sign of the KL put right. The scores are those of space 0.

    Args:
        betas: β_0 … β_{K−1}, one pressure a latent space (K = 1 is β-VAE, bit for bit).
        scale: s, the weight of space i is s^i (the paper: 1).
        hierarchy: what ties the spaces (Table 2): ``dit``, the rescaling above, ``linear``, z_{i+1} = W z_i,
            or ``none``, an encoder for each space.
        space_code: what tells the decoder the space: ``embedding`` (learned, size D) or ``onehot`` (size K).
        aggregation: ``sum`` over all spaces in each step, or ``random``: one space a step, drawn with p(i) ∝ s^i.
        shared_noise: one noise for all spaces, which lowers the variance, instead of one each.

    Terms: ``recon`` and ``kl`` of space 0, ``recon.i`` and ``kl.i`` of the others (nats an image); ``w1.i`` and
    ``w2.i``, the mean exponents of the rescaling into space i. With ``random``, ``recon`` is that of the drawn space.

    Raises:
        UserError: no pressure, a negative one, a scale of 0 or below, an unknown word.

    >>> import unweave
    >>> run = unweave.fit(unweave.DeVAE(betas=(1.0, 40.0)), "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> sorted(run.terms)
    ['kl', 'kl.1', 'recon', 'recon.1', 'total', 'w1.1', 'w2.1']
    """

    betas: tuple[float, ...] = (1.0, 40.0)
    scale: float = 1.0
    hierarchy: str = "dit"
    space_code: str = "embedding"
    aggregation: str = "sum"
    shared_noise: bool = False

    name: ClassVar[str] = "devae"
    summary: ClassVar[str] = "latent spaces of decreasing bottleneck behind one encoder"
    presets: ClassVar[Mapping[str, Preset]] = {"": PAPER}
    references = (
        Reference(
            "wu2023devae",
            "Jiantao Wu and Shentong Mo and Xingshen Zhang and Muhammad Awais and Sara Atito and Zhenhua Feng and "
            "Lin Wang and Xiang Yang",
            "Variational Autoencoders with Decremental Information Bottleneck for Disentanglement",
            "arXiv preprint arXiv:2303.12959",
            2023,
            "https://arxiv.org/abs/2303.12959",
        ),
    )

    def check(self, data: DataSpec, latents: int) -> None:
        if not isinstance(self.betas, tuple) or not self.betas:
            raise UserError(f"devae: betas = {self.betas!r}; allowed: a tuple, one pressure a space, as (1, 40)")
        at_least(self, 0, "betas")
        at_least(self, 1e-12, "scale")
        if any(later < earlier for earlier, later in pairwise(self.betas)):
            warnings.warn(f"devae: betas = {self.betas} fall: the first space, which is scored, is not the widest")
        one_of(self, "hierarchy", ("dit", "linear", "none"))
        one_of(self, "space_code", ("embedding", "onehot"))
        one_of(self, "aggregation", ("sum", "random"))

    def network(self, data: DataSpec, latents: int, body: Body | None = None) -> Model:
        body = body or Conv("devae")
        count = len(self.betas)
        return SpacesVAE(body, data.shape, latents, data.likelihood, count, self.hierarchy, self.space_code)

    def noise(self, data: DataSpec, latents: int, rows: int) -> Mapping[str, Draw]:
        draws = {"z": Draw((rows, latents))}
        if self.aggregation == "random":
            return {**draws, "space": Draw((), "uniform")}
        if not self.shared_noise:
            draws.update({f"z.{i}": Draw((rows, latents)) for i in range(1, len(self.betas))})
        return draws

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        net = cast(SpacesVAE, model)
        spaces = range(len(self.betas))
        qs = net.posteriors(batch.x)
        if self.aggregation == "random" and len(self.betas) > 1:
            return self._random(net, batch, qs)
        # Reconstruction before KL, as in β-VAE: gradients add up in this order, which K = 1 needs bit for bit.
        zs = [self.code(net, q, self.drawn(batch, i), i) for i, q in enumerate(qs)]
        recons = [net.distortion(logits, batch.x).mean() for logits in net.decode_all(zs)]
        kls = [self.kl(net, q, i) for i, q in enumerate(qs)]
        total = sum(self.scale**i * (recons[i] + self.betas[i] * kls[i]) for i in spaces)
        terms = {"recon": recons[0], "kl": kls[0]}
        for i in spaces[1:]:
            terms |= {f"recon.{i}": recons[i], f"kl.{i}": kls[i]}
        return Loss(cast(Tensor, total), terms | self._exponents(net))

    def drawn(self, batch: Batch, i: int) -> Tensor:
        """The noise of space i."""
        return batch.noise["z" if i == 0 or self.shared_noise else f"z.{i}"]

    def code(self, net: SpacesVAE, q: Gaussian, noise: Tensor, i: int) -> Tensor:
        """A sample of space i, (N, D)."""
        z = q.sample(noise)
        return z @ net.reach(i).mT if self.hierarchy == "linear" and i else z

    def kl(self, net: SpacesVAE, q: Gaussian, i: int) -> Tensor:
        """Batch-mean KL of space i in nats; with ``linear`` that of the full covariance S = W diag(σ²) Wᵀ,
        ½ (tr S + m·m − D − log det S)."""
        if self.hierarchy != "linear" or i == 0:
            return q.kl().sum(-1).mean()
        assert q.logvar is not None
        # In float64: RIDGE is lost beside numbers of 10 in float32, and a singular W would have no logarithm.
        exact = q.mean.dtype if q.mean.device.type == "mps" else torch.float64
        w, mean, logvar = net.reach(i).to(exact), q.mean.to(exact), q.logvar.to(exact)
        mean = mean @ w.mT
        # log det S = log det(Wᵀ W) + Σ logvar. RIDGE keeps a singular W finite; the same RIDGE in the trace, whose
        # weights are the diagonal of Wᵀ W, keeps the sum from falling below 0 (Hadamard's inequality).
        gram = w.mT @ w + RIDGE * torch.eye(w.shape[-1], dtype=w.dtype, device=w.device)
        trace = torch.exp(logvar) @ torch.diagonal(gram)
        logdet = torch.linalg.slogdet(gram)[1] if gram.device.type == "cpu" else log_det(gram)
        return 0.5 * (trace + (mean**2).sum(-1) - w.shape[-1] - logdet - logvar.sum(-1)).mean().to(q.mean.dtype)

    def _random(self, net: SpacesVAE, batch: Batch, qs: list[Gaussian]) -> Loss:
        kls = [self.kl(net, q, i) for i, q in enumerate(qs)]
        weights = torch.stack([number(self.scale**i, batch.x.dtype, batch.x.device) for i in range(len(self.betas))])
        edges = torch.cumsum(weights, 0) / weights.sum()
        drawn = (batch.noise["space"] >= edges[:-1]).sum()
        z0 = batch.noise["z"]
        zs = [self.code(net, q, z0, i) for i, q in enumerate(qs)]
        # A sum with weights 0 and 1, not an index, so that models in lockstep may draw different spaces.
        pick = torch.nn.functional.one_hot(drawn, len(self.betas)).to(z0.dtype)
        z = sum(pick[i] * z for i, z in enumerate(zs))
        code = pick @ net.code.to(pick.dtype)
        recon = net.distortion(net.decode_as(cast(Tensor, z), code), batch.x).mean()
        pressed: Any = sum(pick[i] * self.betas[i] * kl for i, kl in enumerate(kls))
        terms = {"recon": recon, "kl": kls[0], **{f"kl.{i}": kl for i, kl in enumerate(kls) if i}}
        return Loss(recon + pressed, terms | self._exponents(net))

    def _exponents(self, net: SpacesVAE) -> dict[str, Tensor]:
        if self.hierarchy != "dit":
            return {}
        found: dict[str, Tensor] = {}
        for i in range(1, len(self.betas)):
            found |= {f"w1.{i}": net.w_mean[i - 1].mean(), f"w2.{i}": net.w_logvar[i - 1].mean()}
        return found


def log_det(matrix: Tensor) -> Tensor:
    """log det of a positive definite (D, D) matrix, by elimination: a GPU's solvers may not be part of a captured step.

    >>> round(float(log_det(torch.tensor([[2.0, 1.0], [1.0, 2.0]])).exp()), 5)
    3.0
    """
    pivots = []
    for _ in range(len(matrix)):
        pivots.append(matrix[0, 0])
        matrix = matrix[1:, 1:] - matrix[1:, :1] * (matrix[:1, 1:] / matrix[0, 0])
    return torch.log(torch.stack(pivots)).sum()
