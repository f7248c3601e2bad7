"""Sufficiency, minimal sufficiency and disentanglement of mini-batches: one point each."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from unweave.analysis.density import AggregatePosterior, Latents
from unweave.names import known
from unweave.types import Codes, Score, UserError


class BatchProperties(NamedTuple):
    """The three properties of one mini-batch."""

    sufficiency: float
    """Mean reconstruction error an image (lower is more sufficient)."""
    minimality: float
    """I(x; z) in nats (lower is more minimal)."""
    disentanglement: float
    """Σ_{i<j} I(z_i; z_j) in nats (lower is better), or what ``score`` gave."""


def batch_properties(
    codes: Codes,
    batch: int = 64,
    error: str = "bce",
    score: Callable[[Codes], Score | float] | None = None,
    batches: int | None = 50,
    seed: int = 0,
) -> list[BatchProperties]:
    """The three properties of paper 003 for mini-batches of encoded images: what its scatter plots draw.

    Chen et al. (2022), Figure 3: reconstruction error across, disentanglement upwards, I(x; z) as area. For a batch B
    of draws z ~ q(z|x),

        I(x; z) = mean_B [ log q(z|x) − log q(z) ]
        Σ_{i<j} I(z_i; z_j) = Σ_{i<j} mean_B [ log q(z_i, z_j) − log q(z_i) − log q(z_j) ]

    with q(z) the exact mixture over **all** images given, not over the batch: a batch's own mixture could not tell more
    than log |B| nats, and bins of 64 images see information where there is none. So the mean over batches is the value
    for all the draws. The authors estimate both with a critic and leave its settings open.

    Args:
        codes: with log-variances and distortion, as ``run.codes()`` gives.
        batch: images in a mini-batch.
        error: ``bce`` or ``squared_error``.
        score: what to take for disentanglement instead, such as ``lambda codes: MIG()(codes)``, called with the batch's
            codes; take batches of some hundred images then.
        batches: how many batches at most; None for as many as there are images for.
        seed: which draws, and which images form a batch.

    Raises:
        UserError: codes without log-variances or without that error, fewer images than a batch.

    >>> codes = Codes.of(torch.zeros(20, 2), logvar=torch.zeros(20, 2))._replace(distortion={"bce": torch.ones(20)})
    >>> [(p.sufficiency, abs(round(p.minimality, 6))) for p in batch_properties(codes, batch=10)]
    [(1.0, 0.0), (1.0, 0.0)]
    """
    if not codes.distortion:
        raise UserError("batch_properties: these codes carry no distortion; allowed: codes of a model that decodes")
    known(error, codes.distortion, "reconstruction error")
    count = len(codes.mean) // batch if batch > 0 else 0
    count = count if batches is None else min(count, batches)
    if batch < 2 or count < 1:
        raise UserError(
            f"batch_properties: {len(codes.mean)} images, batches of {batch}, at most {batches}; allowed: batches of 2 "
            "or more and at least one of them"
        )
    posterior = AggregatePosterior(codes, count * batch, seed)
    latents, rows = range(posterior.latents), posterior.rows()
    singles: list[Latents] = [(j,) for j in latents]
    pairs: list[Latents] = [(i, j) for i in latents for j in range(i + 1, posterior.latents)] if score is None else []
    whole: Latents = tuple(latents)
    sets = list(dict.fromkeys([whole, *singles, *pairs]))
    log_q = dict(zip(sets, posterior.log_densities(sets), strict=True))
    minimal = (posterior.draws().own - log_q[whole]).view(count, batch).mean(1)
    errors = codes.distortion[error].double().cpu()[rows].view(count, batch).mean(1)
    shared = torch.zeros(count * batch, dtype=torch.float64)
    for i, j in pairs:
        shared += log_q[(i, j)] - log_q[(i,)] - log_q[(j,)]
    apart = shared.view(count, batch).mean(1).tolist()
    if score is not None:
        given = [score(take(codes, rows[k * batch : (k + 1) * batch])) for k in range(count)]
        apart = [one.value if isinstance(one, Score) else float(one) for one in given]
    return [BatchProperties(*each) for each in zip(errors.tolist(), minimal.tolist(), apart, strict=True)]


def take(codes: Codes, rows: torch.Tensor) -> Codes:
    """The codes of some images only.

    >>> take(Codes.of([[1.0], [2.0], [3.0]]), torch.tensor([2, 0])).mean.tolist()
    [[3.0], [1.0]]
    """
    logvar = None if codes.logvar is None else codes.logvar[rows]
    distortion = {name: values[rows] for name, values in codes.distortion.items()}
    return codes._replace(mean=codes.mean[rows], logvar=logvar, levels=codes.levels[rows], distortion=distortion)
