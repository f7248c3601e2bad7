"""SAP: how much better does the best single latent predict a factor than the second best?"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from unweave.metrics.base import Metric
from unweave.metrics.checks import at_least, threads
from unweave.metrics.rows import Floats, Ints, Table, generator, split, table
from unweave.references import LOCATELLO_2019
from unweave.types import Codes, Reference, Score

_DEAD = 1e-12
"""A latent of smaller variance counts as constant."""


@dataclass(frozen=True)
class SAP(Metric):
    """Separated Attribute Predictability (Kumar et al., 2018, Sec. 3): the gap between the two best latents.

    SAP = (1/F) Σ_k [S_(1)k − S_(2)k], where S_dk is the test accuracy of a linear support vector machine that predicts
    factor k from latent d alone (C = 0.01, classes weighted by inverse frequency, one against the rest), or, with
    ``continuous``, the squared correlation of latent and level on the training rows.

    A latent that is constant (variance at most 1e-12) on the training rows has no classifier: its S is the share,
    among the test rows, of the commonest training level, and 0 with ``continuous``. With one latent, the second best is
    such a constant.

    Args:
        continuous: squared correlation with the level number in place of a classifier.
        train: training rows.
        test: test rows, none of them a training row; both shrink in proportion when there are fewer images.
        n_jobs: classifiers fitted at once, as in joblib: −1 for one a processor. Never changes the score.

    Parts: ``gap.NAME`` of each factor, ``best`` and ``second``: means over factors of the largest and second largest S.
    A factor with a single level among the training rows is left out; ``not_converged`` in the settings counts
    classifiers that stopped at scikit-learn's 1,000 iterations.

    Raises UserError for codes without factors or fewer than 10 images.

    >>> import torch
    >>> levels = torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.arange(50))[:, :2]
    >>> round(SAP()(Codes.of(2.0 * levels - 1, levels)).value, 2)
    0.52
    """

    name: ClassVar[str] = "sap"
    references: ClassVar[tuple[Reference, ...]] = (
        Reference(
            "kumar2018variational",
            "Kumar, Abhishek and Sattigeri, Prasanna and Balakrishnan, Avinash",
            "Variational Inference of Disentangled Latent Concepts from Unlabeled Observations",
            "International Conference on Learning Representations",
            2018,
            "https://arxiv.org/abs/1711.00848",
        ),
        LOCATELLO_2019,
    )

    continuous: bool = False
    train: int = 10_000
    test: int = 5_000
    n_jobs: int = -1

    @property
    def label(self) -> str:
        """``sap``, and ``sap-continuous`` for the squared correlation."""
        return f"{self.name}-continuous" if self.continuous else self.name

    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        import sklearn

        at_least("SAP", 5, train=self.train, test=self.test)
        rows = table(codes, "SAP")
        train, test = split(len(rows.z), self.train, self.test, seed)
        rows = rows.without(np.ptp(rows.levels[train], axis=0) == 0, "SAP")
        if self.continuous:
            matrix, unfinished = _correlation(rows.take(train)), 0
        else:
            number = int(generator(seed, "classifier").integers(2**31))
            matrix, unfinished = _accuracy(rows.take(train), rows.take(test), number, self.n_jobs)
        ranked = -np.sort(-matrix, axis=0)
        gaps = ranked[0] - ranked[1]
        parts = {f"gap.{name}": float(gap) for name, gap in zip(rows.names, gaps, strict=True)}
        parts |= {"best": float(ranked[0].mean()), "second": float(ranked[1].mean())}
        settings = {
            **self.settings(codes, seed),
            "train": len(train),
            "test": len(test),
            "images": len(train) + len(test),
        }
        settings |= {"not_converged": unfinished, "sklearn": sklearn.__version__, **rows.notes}
        del settings["n_jobs"]
        return Score(float(gaps.mean()), parts, settings)


def _correlation(train: Table) -> Floats:
    """(D, F) squared correlations, and a row of zeros below when there is one latent."""
    z, levels = train.z - train.z.mean(0), train.levels - train.levels.mean(0)
    variances = (z**2).mean(0)
    live = variances > _DEAD
    covariance = z.T @ levels / len(z)
    out = np.zeros_like(covariance)
    out[live] = covariance[live] ** 2 / (variances[live, None] * (levels**2).mean(0))
    return out if len(out) > 1 else np.vstack([out, np.zeros_like(out)])


def _accuracy(train: Table, test: Table, seed: int, n_jobs: int) -> tuple[Floats, int]:
    """(D, F) test accuracies, below them a constant's when there is one latent, and how many fits did not converge."""
    from sklearn.exceptions import ConvergenceWarning

    factors = range(len(train.names))
    common = [np.bincount(column).argmax() for column in train.levels.T]
    chance = np.array([np.mean(test.levels[:, k] == common[k]) for k in factors])
    live = np.flatnonzero(train.z.var(0) > _DEAD)
    # The filter is set once around all threads, because it is shared by them; what it hides is counted instead.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        arguments = [
            (train.z[:, [d]], train.levels[:, k], test.z[:, [d]], test.levels[:, k], seed)
            for d in live
            for k in factors
        ]
        results = threads("SAP", _one, arguments, n_jobs)
    out = np.tile(chance, (max(train.z.shape[1], 2), 1))
    if len(live):
        out[live] = np.array([share for share, _ in results]).reshape(len(live), -1)
    return out, sum(not finished for _, finished in results)


def _one(z: Floats, levels: Ints, test: Floats, test_levels: Ints, seed: int) -> tuple[float, bool]:
    from sklearn.svm import LinearSVC

    # The primal problem has the same solution as the dual and its solver draws no random numbers.
    model = LinearSVC(C=0.01, class_weight="balanced", dual=False, random_state=seed).fit(z, levels)
    return float(np.mean(model.predict(test) == test_levels)), bool(model.n_iter_ < model.max_iter)
