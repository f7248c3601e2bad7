"""The lasso inside DCI: linear regression of a factor's level with an L1 penalty, whose weights are importances."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from unweave.metrics.logistic import standardise
from unweave.metrics.rows import Floats, Ints

_SAME = 1 - 1e-12
"""Latents whose correlation is at least this are copies of one another."""
_SWEEPS = 100_000
_TOLERANCE = 1e-13


class Line(NamedTuple):
    """What the lasso found out about one factor."""

    importance: Floats
    """(D,) absolute coefficient of each latent, in standard deviations of the level for one of the latent."""
    train: float
    """R² on the training rows: 1 − squared error / squared error of the training rows' mean level."""
    test: float
    """The same on the test rows, again against the training rows' mean."""
    converged: bool
    """Whether coordinate descent came to rest."""


def lasso(z: Floats, levels: Ints, test: Floats, test_levels: Ints, alpha: float) -> Line:
    """Minimise mean (y − w·z)² / 2 + alpha Σ |w_d| over the training rows, with z and y standardised on them.

    Where latents are copies of one another (or mirrored) the minimum leaves open how they share a weight: evenly here.

    Args:
        z: (M, D) training representation.
        levels: (M,) level of each training row, two different ones at least.
        test: (T, D) test representation.
        test_levels: (T,) their levels.
        alpha: strength of the penalty.

    >>> x = np.arange(12.0)[:, None]
    >>> line = lasso(np.hstack([x, -x, 0 * x]), np.arange(12), x[:2] * [1, -1, 0], np.array([0, 1]), alpha=0.1)
    >>> line.importance.round(6).tolist(), round(line.train, 6)
    ([0.45, 0.45, 0.0], 0.99)
    """
    from sklearn.linear_model import Lasso

    x, x_test = standardise(z, test)
    y, y_test = standardise(levels[:, None].astype(np.float64), test_levels[:, None].astype(np.float64))
    copies = np.abs(x.T @ x / len(x)) >= _SAME
    first = copies.argmax(axis=0)  # of a latent that does not vary 0, which does no harm: its importance is set to 0
    alive = copies.diagonal()
    read = np.flatnonzero(alive & (first == np.arange(len(first))))
    weight, converged = np.zeros(x.shape[1]), True
    if len(read):
        # Nothing is drawn, but without a seed the solver takes one from NumPy's global generator.
        model = Lasso(
            alpha=alpha, fit_intercept=False, precompute=True, max_iter=_SWEEPS, tol=_TOLERANCE, random_state=0
        )
        weight[read] = model.fit(x[:, read], y[:, 0]).coef_
        converged = bool(model.n_iter_ < _SWEEPS)
    shared = np.where(alive, np.abs(weight)[first] / np.bincount(first[alive], minlength=len(first)).clip(1)[first], 0)
    return Line(shared, _r2(y[:, 0], x @ weight), _r2(y_test[:, 0], x_test @ weight), converged)


def _r2(truth: Floats, told: Floats) -> float:
    """1 − error / error of always telling 0, which is the training mean; 0 where that is right everywhere."""
    whole = float(np.mean(truth**2))
    return 1 - float(np.mean((truth - told) ** 2)) / whole if whole > 0 else 0.0
