"""Mutual information by critics that learn on frozen features: what a model's own critics may have stopped seeing."""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from unweave.data.base import Images
from unweave.engine.codes import BATCH, nuisance
from unweave.engine.noise import draw
from unweave.methods import Method, RecurD
from unweave.methods import mutual_information as mi
from unweave.metrics.rows import Floats
from unweave.networks import Judged, Model, PairCritic
from unweave.networks.pairs import unordered
from unweave.types import Draw, UserError

BOUND, RATE = 10.0, 0.01
"""Largest score, and weight of the newest batch in the moving average: those of RecurD."""
SHIFTS, CHUNK = 4, 8
"""Independent samples made of the images held out, and pairs judged at once (for the memory)."""
MEASURED = ("dv", "jsd", "nwj", "infonce", "smile")
"""Estimators whose trained critics score the ratio of densities; those of CLUB give log-densities."""


class Refreshed(NamedTuple):
    """The information of the pairs of one part of a representation, in nats, each (P,)."""

    pairs: tuple[tuple[int, int], ...]
    trained: Floats | None
    """As the critic trained beside the model sees it on the same images; None where there is none that can be asked."""
    fresh: Floats
    """As a new critic sees it."""


def critic_information(
    left: Tensor,
    right: Tensor,
    pairs: tuple[Tensor, Tensor] | None = None,
    *,
    steps: int = 2000,
    batch: int = 256,
    hidden: int = 256,
    layers: int = 3,
    lr: float = 1e-3,
    own: bool = False,
    seed: int = 0,
) -> Floats:
    """I(left_i; right_j) ≥ E_J[T] − log E_M[exp T] in nats, from a critic T that learns on three quarters of the rows.

    Belghazi et al. (2018), eq. 10, with a moving average in the gradient. The rows held out are measured, so the result
    is a lower bound up to the noise of a sample, and a critic that learned its rows by heart gains nothing; of
    independent parts it may be a little below 0.

    Args:
        left, right: (N, I, ·) and (N, J, ·) features; row n of both belongs to image n, and rows are in no order.
        pairs: (P,) indices into I and into J; when None all i < j where ``right`` is ``left`` itself, else all I · J.
        steps, batch, lr: of Adam on the critic.
        hidden, layers: width and number of its hidden layers.
        own: a critic for each pair, else one for all.
        seed: of its weights and batches.

    Returns:
        (P,).

    Raises:
        UserError: fewer than 40 rows, not as many of both, other shapes, no pairs or pairs of parts that are not there,
            no steps, batches of one, no hidden layers, or numbers that are not finite.

    >>> z = torch.randn(2000, 1, 1, generator=torch.Generator().manual_seed(0))
    >>> pair = (torch.tensor([0]), torch.tensor([0]))
    >>> bool(critic_information(z, z + 0.1, pair, steps=50, hidden=32)[0] > 0.5)
    True
    """
    if left.ndim != 3 or right.ndim != 3:
        raise UserError(
            f"critic_information: features of shapes {tuple(left.shape)} and {tuple(right.shape)}; allowed: (images, "
            "parts, numbers) of both"
        )
    if len(left) != len(right) or len(left) < 40:
        raise UserError(f"critic_information: {len(left)} and {len(right)} rows; allowed: as many of both, 40 or more")
    if steps < 1 or batch < 2:
        raise UserError(f"critic_information: steps = {steps}, batch = {batch}; allowed: 1 or more, and 2 or more")
    if not (torch.isfinite(left).all() and torch.isfinite(right).all()):
        raise UserError("critic_information: features with NaN or Inf; allowed: finite numbers")
    if hidden < 1 or layers < 1:
        raise UserError(f"critic_information: hidden = {hidden}, layers = {layers}; allowed: 1 or more of both")
    i, j = _pairs(left, right) if pairs is None else pairs
    parts = left.shape[1], right.shape[1]
    if not len(i) or len(i) != len(j) or min(i.min(), j.min()) < 0 or i.max() >= parts[0] or j.max() >= parts[1]:
        raise UserError(
            f"critic_information: {len(i)} pairs of {parts[0]} and {parts[1]} parts; "
            "allowed: one pair or more, of parts that are there"
        )
    left, right = standardised(left), standardised(right)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        critic = PairCritic(left.shape[2], right.shape[2], hidden, layers, len(i) if own else 0)
    critic.to(left)
    held = len(left) // 4
    learning = len(left) - held
    adam = torch.optim.Adam(critic.parameters(), lr)
    average = torch.full((len(i),), mi.UNSET, dtype=left.dtype)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        # Without replacement: a row beside itself would be taken for two that are independent.
        rows = torch.randperm(learning, generator=generator)[: min(batch, learning)]
        scores = mi.bounded(critic(left[rows], right[rows], i, j), BOUND)
        average = mi.moving_average(average, scores[1:], RATE)
        adam.zero_grad()
        (-mi.donsker_varadhan(scores[0], scores[1:], average).mean()).backward()
        adam.step()
    return _measured(critic, left[learning:], right[learning:], i, j)


def _pairs(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """All pairs of two representations, or of the parts of one."""
    if left is right:
        return unordered(left.shape[1], left.device)
    every = torch.cartesian_prod(torch.arange(left.shape[1]), torch.arange(right.shape[1])).to(left.device)
    return every[:, 0], every[:, 1]


def refreshed_information(
    model: Model,
    method: Method,
    images: Images,
    *,
    count: int = 10_000,
    steps: int = 2000,
    hidden: int = 256,
    seed: int = 0,
) -> dict[str, Refreshed]:
    """What new critics see in a trained model's frozen features, beside what its own critics say.

    Minimising a lower bound gives no guarantee: an encoder may have learned to hide dependence from the critics that it
    was trained with. For RecurD every part of its objective is measured (``sufficient.l``, ``disentangled.l``,
    ``disentangled.z``), for any other model ``disentangled.z``, the pairs of its latents.

    Args:
        model, method, images: such as ``run.model``, ``run.experiment.method`` and ``run.images``.
        count: how many images; a quarter of them is held out and measured.
        steps: of Adam on the new critics.
        hidden: their width.
        seed: of the images, of the codes drawn and of the critics.

    Raises:
        UserError: see ``critic_information``.

    >>> import unweave
    >>> run = unweave.fit("vae", "triangle", steps=2, batch=8, latents=3, network=unweave.MLP((16,)))
    >>> found = refreshed_information(run.model, run.experiment.method, run.images, count=200, steps=5, hidden=8)
    >>> found["disentangled.z"].pairs, found["disentangled.z"].trained
    (((0, 1), (0, 2), (1, 2)), None)
    """
    found = {}
    for name, (left, right, pairs) in _parts(model, method, images, count, seed).items():
        own = isinstance(method, RecurD) and not method.shared
        fresh = critic_information(left, right, pairs, steps=steps, hidden=hidden, own=own, seed=seed)
        trained = None
        if isinstance(model, Judged) and isinstance(method, RecurD) and method.estimator in MEASURED:
            held = slice(len(left) - len(left) // 4, None)
            critic = model.critics[name.replace(".", "_")]
            trained = _measured(critic, left[held], right[held], *pairs, bound=method.bound)
        found[name] = Refreshed(tuple(zip(*(p.tolist() for p in pairs), strict=True)), trained, fresh)
    return found


@torch.no_grad()
def _parts(
    model: Model, method: Method, images: Images, count: int, seed: int
) -> dict[str, tuple[Tensor, Tensor, tuple[Tensor, Tensor]]]:
    """Name -> left and right features of the same images in a random order, and the pairs to measure."""
    parameter = next(model.parameters())
    device, dtype = parameter.device, parameter.dtype
    every = draw(torch.tensor([seed], device=device), 0, "critic rows", Draw((images.rows,), "permutation"))[0]
    kept: dict[str, list[tuple[Tensor, Tensor]]] = {}
    pairs = {}
    for some in every[:count].split(BATCH):
        x = images.batch(some, nuisance(images, some, seed, "codes")).to(dtype)
        noise = draw(some, seed, "codes z", Draw((model.latents,)), dtype)
        if isinstance(method, RecurD) and isinstance(model, Judged):
            q, seen = model.model.passes(x)  # type: ignore[operator]
            parts = method.parts(seen, q.sample(noise).unflatten(-1, (-1, method.size)))
            each = {name: (part.left, part.right, part.pairs) for name, part in parts.items()}
        else:
            z = model.encode(x).sample(noise)[..., None]
            each = {"disentangled.z": (z, z, unordered(z.shape[1], device))}
        for name, (left, right, indices) in each.items():
            kept.setdefault(name, []).append((left.cpu(), right.cpu()))
            pairs[name] = (indices[0].cpu(), indices[1].cpu())
    return {
        name: (torch.cat([one for one, _ in parts]), torch.cat([one for _, one in parts]), pairs[name])
        for name, parts in kept.items()
    }


@torch.no_grad()
def _measured(
    critic: torch.nn.Module, left: Tensor, right: Tensor, i: Tensor, j: Tensor, bound: float = BOUND
) -> Floats:
    """E_J[T] − log E_M[exp T] of every pair on the rows given."""
    # A copy: the model keeps its own critic where and as it was.
    critic = copy.deepcopy(critic).cpu()
    critic.shifts = min(SHIFTS, len(left) - 1)  # type: ignore[assignment]
    found = []
    # A critic of its own for each pair is one stacked network: it judges all of them or none.
    for places in torch.arange(len(i)).split(len(i) if critic.own else CHUNK):
        scores = mi.bounded(critic(left, right, i[places], j[places]), bound).double()
        found.append(scores[0].mean(0) - torch.logsumexp(scores[1:], (0, 1)) + math.log(scores[1:, :, 0].numel()))
    return np.asarray(torch.cat(found))


def standardised(features: Tensor) -> Tensor:
    """Every feature with mean 0 and deviation 1 over the rows; a constant one is 0. Information does not change."""
    spread = features.std(0)
    return (features - features.mean(0)) / torch.where(spread > 0, spread, torch.ones_like(spread))
