"""BHiVAE's network: an encoder that splits one block of the code off in each layer, and a decoder for each part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from unweave.networks.bodies import Body, Encoder, Shape
from unweave.networks.critic import Critic
from unweave.networks.model import Model
from unweave.types import LOGVAR_RANGE, Gaussian

NARROWEST = 4
"""The smallest width of a layer's rest h^i, however many layers there are."""


class Layer(NamedTuple):
    """What layer i makes of the rest h^{i−1} of the layer below (the image for i = 1): its block and its own rest."""

    q_s: Gaussian
    q_h: Gaussian
    s: Tensor
    """(N, d(s^i)) sample of q_s; its mean without noise."""
    h: Tensor
    """(N, d(h^i)) sample of q_h; the input of the next layer, and c in the last one."""

    @property
    def z(self) -> Tensor:
        """(N, d(s^i) + d(h^i)) the two side by side."""
        return torch.cat([self.s, self.h], -1)


class BlocksVAE(Model):
    """L layers, h^0 = x and (s^i, h^i) = Enc_i(h^{i−1}); the code is z = (s^1, …, s^L, c) with c = h^L.

    Enc_1 is the body's encoder; Enc_i above it has one hidden layer of twice the width of h^{i−1}. Every part of the
    code has a dense decoder of its own, and what these put out, side by side, feeds the body's decoder. Layers above
    the first and the part decoders are small and compute in full precision.

    ``blocks`` are the s^i and then c in pairs (an odd last one alone); the prior is N(0, Σ), where the latents of s^i
    have variance 1 and correlation ``rho`` with each other, and all else is independent.

    Args:
        blocks: d(s^1) … d(s^L); their sum must be below ``latents``, the rest is c.
        rho: correlation within each s^i.
        width: d(h^1); every further h^i but the last, which is c, is half as wide as the one below.
        part_width: what each part decoder puts out.
        gaussian: which parts are Gaussian and not points: ``none``, ``code`` (the s^i and c) or ``all`` (every h^i
            too).
        columns: which column of the labels teaches each layer, where labels do.
        levels: how many levels each of these has; one classifier a layer, s^i -> logits.
        classifier_hidden: width of the classifiers.
    """

    correlated = True

    def __init__(
        self,
        body: Body,
        shape: Shape,
        latents: int,
        likelihood: str,
        blocks: Sequence[int],
        rho: float = 0.5,
        width: int = 128,
        part_width: int = 256,
        gaussian: str = "none",
        columns: Sequence[int] = (),
        levels: Sequence[int] = (),
        classifier_hidden: int = 64,
    ) -> None:
        super().__init__()
        self.latents = latents
        self.likelihood = likelihood
        self.rho = rho
        self.columns = tuple(columns)
        self.sizes = tuple(blocks)
        self.rests = rest_sizes(self.sizes, latents, width)
        self.parts = (*self.sizes, self.rests[-1])
        self.blocks = block_indices(self.sizes, latents)
        last = len(self.sizes) - 1
        random = gaussian != "none"
        self.spread = tuple((random, random and (gaussian == "all" or i == last)) for i in range(last + 1))
        outputs = [
            s * (1 + spread_s) + h * (1 + spread_h)
            for s, h, (spread_s, spread_h) in zip(self.sizes, self.rests, self.spread, strict=True)
        ]
        self.encoders = nn.ModuleList([body.encoder(shape, outputs[0])])
        for below, out in zip(self.rests, outputs[1:], strict=False):
            self.encoders.append(nn.Sequential(nn.Linear(below, 2 * below), nn.ReLU(), nn.Linear(2 * below, out)))
        self.part_decoders = nn.ModuleList(nn.Sequential(nn.Linear(d, part_width), nn.ReLU()) for d in self.parts)
        self.decoder = body.decoder(part_width * len(self.parts), shape)
        self.classifiers = nn.ModuleList(
            Classifier(size, count, classifier_hidden) for size, count in zip(self.sizes, levels, strict=False)
        )

    def layers(self, x: Tensor, noise: Sequence[Tensor] | None = None) -> list[Layer]:
        """All layers, from the image inwards; each feeds a sample, made with its (N, d(s^i) + d(h^i)) noise, to the
        next, and its mean without noise."""
        found: list[Layer] = []
        below = x
        for i, encoder in enumerate(self.encoders):
            s, h, (spread_s, spread_h) = self.sizes[i], self.rests[i], self.spread[i]
            for_s, for_h = encoder(below).split([s * (1 + spread_s), h * (1 + spread_h)], -1)
            q_s, q_h = maybe_gaussian(for_s, spread_s), maybe_gaussian(for_h, spread_h)
            drawn = (q_s.mean, q_h.mean)
            if noise is not None:
                for_s, for_h = noise[i].split([s, h], -1)
                drawn = (q_s.sample(for_s), q_h.sample(for_h))
            found.append(Layer(q_s, q_h, *drawn))
            below = found[-1].h
        return found

    def encode(self, x: Tensor, space: int = 0) -> Gaussian:
        """q(z|x), a point mass for a deterministic encoder. Where h^i is random, that given the means of all h^i."""
        return code_of(self.layers(x))

    def decode(self, z: Tensor, space: int = 0) -> Tensor:
        return self.decoder(torch.cat(self._features(z.split(list(self.parts), -1)), -1))

    def decode_part(self, part: Tensor, place: int) -> Tensor:
        """Logits from one part of the code alone, p(x|s^i): what the other part decoders would put out is 0."""
        features = [part.new_zeros(*part.shape[:-1], self._width(i)) for i in range(len(self.parts))]
        features[place] = self.part_decoders[place](part)
        return self.decoder(torch.cat(features, -1))

    def prior(self, draws: Tensor) -> Tensor:
        """(N, D) standard normals -> codes from N(0, Σ)."""
        *parts, rest = draws.split(list(self.parts), -1)
        return torch.cat([*(part @ block_root(part.shape[-1], self.rho, part).mT for part in parts), rest], -1)

    def rate(self, x: Tensor, q: Gaussian, z: Tensor, space: int = 0) -> Tensor | None:
        if q.logvar is None:
            return None
        sizes = list(self.parts)
        parts = [Gaussian(m, v) for m, v in zip(q.mean.split(sizes, -1), q.logvar.split(sizes, -1), strict=True)]
        roots = [block_root(size, self.rho, z) for size in self.sizes]
        return sum((kl_to_block(part, root) for part, root in zip(parts, roots, strict=False)), parts[-1].kl().sum(-1))

    def features(self, x: Tensor) -> Mapping[str, Tensor]:
        """Activations of the first encoder, and every layer's rest h^i."""
        inner = cast(Encoder, self.encoders[0]).features(x)
        return {**inner, **{f"h {i}": layer.h for i, layer in enumerate(self.layers(x), 1)}}

    def _features(self, parts: Sequence[Tensor]) -> list[Tensor]:
        return [decoder(part) for decoder, part in zip(self.part_decoders, parts, strict=True)]

    def _width(self, place: int) -> int:
        return int(cast(Any, self.part_decoders[place])[0].out_features)


class Classifier(nn.Module):
    """A label read off a block: a projection to a common width, then a head that other projections may share."""

    def __init__(self, inputs: int, levels: int, hidden: int) -> None:
        super().__init__()
        self.project = nn.Linear(inputs, hidden)
        self.head = Critic(hidden, levels, hidden, 2)

    def forward(self, s: Tensor) -> Tensor:
        return self.head(self.project(s))


def block_root(size: int, rho: float | Tensor, like: Tensor) -> Tensor:
    """Cholesky factor of a block's covariance (1 − ρ) I + ρ 1 1ᵀ, (size, size) in the precision of ``like``.

    >>> root = block_root(2, 0.5, torch.zeros(1))
    >>> (root @ root.T).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    identity = torch.eye(size, dtype=like.dtype, device=like.device)
    if like.device.type != "cpu":
        return _root_by_hand(identity, rho)
    correlation = torch.as_tensor(rho, dtype=like.dtype, device=like.device)
    # cholesky_ex does not raise: one bad model must not stop the others in lockstep with it.
    return torch.linalg.cholesky_ex(identity + correlation * (1 - identity))[0]


def _root_by_hand(identity: Tensor, rho: float | Tensor) -> Tensor:
    """The same in closed form: a GPU's solvers may not be part of a captured step.

    Column j, from 0, is √((1 − ρ)(1 + jρ) / (1 + (j − 1)ρ)) on the diagonal and ρ √((1 − ρ) / ((1 + (j − 1)ρ)(1 + jρ)))
    below it.
    """
    size = len(identity)
    place = torch.arange(size, dtype=identity.dtype, device=identity.device)
    here, before = 1 + place * rho, 1 + (place - 1) * rho
    below = torch.tril(1 - identity)
    return identity * torch.sqrt((1 - rho) * here / before) + below * rho * torch.sqrt((1 - rho) / (before * here))


def kl_to_block(q: Gaussian, root: Tensor) -> Tensor:
    """KL(N(m, diag v) ‖ N(0, Σ)) in nats, shape (N,), for Σ = root · rootᵀ.

        ½ [ tr(Σ⁻¹ diag v) + mᵀ Σ⁻¹ m − d + log det Σ − Σ_j log v_j ]

    >>> q = Gaussian(torch.zeros(1, 2), torch.zeros(1, 2))
    >>> kl_to_block(q, torch.eye(2)).item()
    0.0
    """
    logvar = torch.zeros_like(q.mean) if q.logvar is None else q.logvar
    size = root.shape[-1]
    identity = torch.eye(size, dtype=root.dtype, device=root.device)
    inverse = torch.linalg.solve_triangular(root, identity, upper=False)
    trace = torch.exp(logvar) @ (inverse**2).sum(0)
    squared = ((q.mean @ inverse.mT) ** 2).sum(-1)
    logdet = 2 * torch.log(torch.diagonal(root)).sum()
    return 0.5 * (trace + squared - size + logdet - logvar.sum(-1))


def rest_sizes(blocks: Sequence[int], latents: int, width: int) -> tuple[int, ...]:
    """d(h^1) … d(h^L): ``width``, halved from layer to layer, and what is left of the code in the last.

    >>> rest_sizes((2, 2, 2), 10, 128)
    (128, 64, 4)
    """
    inner = [max(width >> i, NARROWEST) for i in range(len(blocks) - 1)]
    return (*inner, latents - sum(blocks))


def block_indices(blocks: Sequence[int], latents: int) -> tuple[tuple[int, ...], ...]:
    """Which latents belong together: each s^i, then c in pairs, an odd last one alone.

    >>> block_indices((2, 1), 6)
    ((0, 1), (2,), (3, 4), (5,))
    """
    found, start = [], 0
    for size in blocks:
        found.append(tuple(range(start, start + size)))
        start += size
    return (*found, *(tuple(range(i, min(i + 2, latents))) for i in range(start, latents, 2)))


def maybe_gaussian(outputs: Tensor, spread: bool) -> Gaussian:
    """Outputs as means and clamped log-variances; as a point mass without spread."""
    if not spread:
        return Gaussian(outputs, None)
    mean, logvar = outputs.chunk(2, dim=-1)
    return Gaussian(mean, torch.clamp(logvar, *LOGVAR_RANGE))


def code_of(layers: Sequence[Layer]) -> Gaussian:
    """The Gaussian over (s^1, …, s^L, c); a point mass where its parts are."""
    parts = [*(layer.q_s for layer in layers), layers[-1].q_h]
    logvars = [q.logvar for q in parts if q.logvar is not None]
    return Gaussian(torch.cat([q.mean for q in parts], -1), torch.cat(logvars, -1) if logvars else None)
