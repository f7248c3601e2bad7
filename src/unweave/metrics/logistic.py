"""Standardised latents and logistic regression on them: what explicitness, MED and the BetaVAE score fit."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unweave.metrics.rows import Floats, Ints

ITERATIONS = 1000
"""Most steps of the solver. Fits on standardised latents are done after some fifty."""

_ROUNDING = 1e-12
"""A latent whose values differ by less than this share of their size differs by rounding only."""
_HUGE = 1e100


def live(z: Floats) -> NDArray[np.bool_]:
    """(D,) which latents vary by more than the rounding of their values.

    >>> live(np.array([[0.1, 1.0], [0.1, 2.0]])).tolist()
    [False, True]
    """
    return np.asarray(np.ptp(z, axis=0) > _ROUNDING * np.abs(z).max(axis=0))


def standardise(train: Floats, *others: Floats) -> list[Floats]:
    """``train`` and the ``others`` in units of the mean and standard deviation of ``train``.

    A latent that does not vary in ``train`` is 0 everywhere, so that no classifier can read it.

    Args:
        train: (M, D) representation.
        others: representations of the same latents.

    >>> [part.tolist() for part in standardise(np.array([[1.0, 5], [3.0, 5]]), np.array([[5.0, 6]]))]
    [[[-1.0, 0.0], [1.0, 0.0]], [[3.0, 0.0]]]
    """
    mean, alive = train.mean(0), live(train)
    # Divided by the largest deviation first, because the squares of very small numbers are 0.
    size = np.where(alive, np.abs(train - mean).max(0), 1.0)
    deviation = np.where(alive, ((train - mean) / size).std(0), 1.0)
    with np.errstate(over="ignore"):
        return [
            np.where(alive, np.clip((part - mean) / size / deviation, -_HUGE, _HUGE), 0.0) for part in (train, *others)
        ]


def fit(z: Floats, classes: Ints, strength: float = 1.0) -> tuple[Any, bool]:
    """Scikit-learn's ``LogisticRegression`` with its defaults and up to 1,000 iterations, and whether it converged.

    Args:
        z: (M, D) what is read.
        classes: (M,) what is predicted, two different values at least.
        strength: C, the inverse of the penalty.
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=ITERATIONS).fit(z, classes)
    return model, bool(np.max(model.n_iter_) < ITERATIONS)


@contextmanager
def quietly() -> Iterator[None]:
    """Keeps scikit-learn from warning of fits that did not converge, which are counted, and of many classes.

    The filter belongs to the whole process, so it is set once around all threads and not within them.
    """
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        yield
