"""UDR: do models that were trained alike agree on their latents? A score of models without factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unweave.metrics.active_units import kl
from unweave.metrics.checks import at_least
from unweave.metrics.logistic import quietly
from unweave.metrics.rows import Floats, Ints, representation, sample
from unweave.names import known
from unweave.types import Codes, Reference, UserError

DUAN_2020 = Reference(
    "duan2020unsupervised",
    "Duan, Sunny and Matthey, Loic and Saraiva, Andre and Watters, Nicholas and Burgess, Christopher P. and "
    "Lerchner, Alexander and Higgins, Irina",
    "Unsupervised Model Selection for Variational Disentangled Representation Learning",
    "International Conference on Learning Representations",
    2020,
    "https://arxiv.org/abs/1905.12614",
)


class Agreement(NamedTuple):
    """UDR of some models and what it is made of."""

    scores: Floats
    """(K,) UDR of each model: the median of its pairs."""
    pairs: Floats
    """(K, K) UDR_ij, how well latents of model i stand for those of model j; 0 on the diagonal."""
    similarity: tuple[tuple[Floats, ...], ...]
    """At ``[i][j]``: (D_i, D_j) similarity of latent a of model i and latent b of model j, before any is left out."""
    informative: tuple[tuple[int, ...], ...]
    """The informative latents of each model."""
    settings: dict[str, Any]
    """What made it."""


def udr(
    models: Sequence[Codes],
    similarity: str = "lasso",
    *,
    threshold: float = 0.01,
    penalty: float = 0.1,
    images: int | None = 1_000,
    seed: int = 0,
) -> Agreement:
    """Unsupervised Disentanglement Ranking (Duan et al., 2020): agreement of models up to order and sign.

    For each ordered pair of models, R_ab is the similarity of latent a of model i with latent b of model j, and

        UDR_ij = ½ [ mean_b r_b² / Σ_a R_ab + mean_a r_a² / Σ_b R_ab ],   r_b = max_a R_ab,  r_a = max_b R_ab,

    over the informative latents of both, those whose mean KL(q(z|x) ‖ N(0, 1)) is above ``threshold``. The score of
    model j is the median of UDR_ij over the others i. A row or column without similarity counts as 0; so does a pair in
    which a model has no informative latent. Latents are standardised first.

    ``lasso``: R_ab = |w_ab| of the L1-penalised linear regression of latent b of model j on all latents of model i;
    ``spearman``: the absolute rank correlation. Lasso gives at most 1 − penalty to a perfect match, so its scores end
    there; Spearman's end at 1. Which models are compared is for the caller: the paper compares seeds of one setting.

    Args:
        models: codes of two models or more on the same images in the same order; they may differ in latents.
        similarity: ``lasso`` or ``spearman``.
        threshold: nats a latent must have to be informative; 0 keeps all but constants. Codes without log-variances
            are judged by whether they vary.
        penalty: of ``lasso``: scikit-learn's alpha.
        images: number of images read, drawn without replacement when there are more; None for all.
        seed: of that sample.

    Raises:
        UserError: fewer than two models, codes of other images, fewer than 10 images, or an unknown similarity.

    >>> import torch
    >>> z = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    >>> same = udr([Codes.of(z), Codes.of(-z[:, [2, 0, 1]])], "spearman")
    >>> same.scores.round(1).tolist()
    [1.0, 1.0]
    """
    known(similarity, ("lasso", "spearman"), "similarity of udr")
    at_least("udr", 2, models=len(models))
    at_least("udr", 10, images=images)
    if not threshold >= 0 or not penalty > 0:
        raise UserError(f"udr: threshold = {threshold}, penalty = {penalty}; allowed is 0 or more, and above 0")
    _same_images(models)
    rows = sample(len(models[0].mean), images, seed)
    every = [representation(codes, "udr") for codes in models]
    live = [_informative(codes, rows, threshold) for codes in models]
    columns = [_standardised(z[rows]) * mask for z, mask in zip(every, live, strict=True)]
    if similarity == "spearman":
        columns = [_standardised(_ranks(z)) * mask for z, mask in zip(columns, live, strict=True)]
    pairs = np.zeros((len(models), len(models)))
    found: list[list[Floats]] = [[np.zeros((a.shape[1], b.shape[1])) for b in columns] for a in columns]
    unfinished = 0
    for i, a in enumerate(columns):
        for j, b in enumerate(columns):
            if i != j:
                if similarity == "spearman":
                    found[i][j] = np.abs(a.T @ b) / len(rows)
                else:
                    found[i][j], count = _lasso(a, b, penalty)
                    unfinished += count
                pairs[i, j] = relative_strength(found[i][j][np.ix_(live[i], live[j])])
    scores = np.array([np.median(np.delete(pairs[:, i], i)) for i in range(len(models))])
    settings = {"similarity": similarity, "threshold": threshold, "penalty": penalty, "images": len(rows), "seed": seed}
    settings |= {"models": len(models), "not_converged": unfinished}
    which = tuple(tuple(np.flatnonzero(mask).tolist()) for mask in live)
    return Agreement(scores, pairs, tuple(tuple(row) for row in found), which, settings)


def relative_strength(matrix: Floats) -> float:
    """½ [mean over columns of max² / sum + mean over rows of max² / sum]: 1 for a permutation, 0 for zeros.

    >>> relative_strength(np.eye(3)), round(relative_strength(np.ones((3, 3))), 4)
    (1.0, 0.3333)
    """
    if not matrix.size:
        return 0.0
    means = []
    for axis in (0, 1):
        top, total = matrix.max(axis) ** 2, matrix.sum(axis)
        means.append(np.divide(top, total, out=np.zeros_like(total), where=total > 0).mean())
    return float(np.mean(means))


def _informative(codes: Codes, rows: Ints, threshold: float) -> NDArray[np.bool_]:
    """(D,) which latents vary over some rows and have more than ``threshold`` nats there."""
    logvar = None if codes.logvar is None else codes.logvar[rows]
    some = codes._replace(mean=codes.mean[rows], logvar=logvar)
    moves = np.ptp(representation(some, "udr"), axis=0) > 0
    return moves if some.logvar is None else moves & (kl(some, "udr") > threshold)


def _same_images(models: Sequence[Codes]) -> None:
    first = models[0]
    for place, codes in enumerate(models):
        if len(codes.mean) != len(first.mean):
            raise UserError(
                f"udr: model 0 has codes of {len(first.mean)} images and model {place} of {len(codes.mean)}; "
                "allowed are codes of the same images"
            )
        if codes.levels.shape != first.levels.shape or bool((codes.levels != first.levels).any()):
            raise UserError(f"udr: models 0 and {place} have other factor levels; allowed are codes of the same images")


def _standardised(z: Floats) -> Floats:
    spread = z.std(0)
    return (z - z.mean(0)) / np.where(spread > 0, spread, 1.0)


def _ranks(z: Floats) -> Floats:
    from scipy.stats import rankdata

    return np.asarray(rankdata(z, axis=0), dtype=np.float64)


def _lasso(a: Floats, b: Floats, penalty: float) -> tuple[Floats, int]:
    """(D_a, D_b) absolute weights of the regressions of each column of b on all columns of a; how many did not end."""
    from sklearn.linear_model import Lasso

    # Without a state of its own it would move NumPy's global one, though it draws nothing.
    with quietly():
        model = Lasso(alpha=penalty, random_state=0).fit(a, b)
    weights = np.abs(np.asarray(model.coef_, dtype=np.float64).reshape(b.shape[1], a.shape[1]).T)
    return weights, int((np.atleast_1d(model.n_iter_) >= model.max_iter).sum())
