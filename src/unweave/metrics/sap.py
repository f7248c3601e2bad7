"""SAP: how much better does the best single latent predict a factor than the second best?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from unweave.metrics.base import Metric
from unweave.metrics.blocks import Blocks, Sets, among, grouping, suffix
from unweave.metrics.checks import at_least, check_jobs, threads
from unweave.metrics.logistic import quietly, standardise
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

    A latent that is constant (variance at most 1e-12) on the training rows has no classifier: its S is 1/K of the K
    levels that occur there, what guessing among levels of equal weight is right at, and 0 with ``continuous``. With one
    latent, the second best is such a constant.

    Args:
        continuous: squared correlation with the level number in place of a classifier.
        train: training rows.
        test: test rows, none of them a training row; both shrink in proportion when there are fewer images.
        n_jobs: classifiers fitted at once, as in joblib: −1 for one a processor. Never changes the score.
        blocks: ``ignore``: each latent is a code; ``joint``: the latents of a block are one code d, and S_dk is that of
            a classifier of all of them (standardised, since they share a penalty), or with ``continuous`` the R² of the
            level regressed on all of them.

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
    cost: ClassVar[str] = "0.5 s"

    continuous: bool = False
    train: int = 10_000
    test: int = 5_000
    n_jobs: int = -1
    blocks: Blocks = "ignore"

    @property
    def label(self) -> str:
        """``sap``, and ``sap-continuous`` for the squared correlation; ``blocks`` behind it where they are codes."""
        return "-".join([self.name, *(["continuous"] if self.continuous else []), *suffix(self.blocks)])

    def check(self) -> None:
        """Raises UserError for settings that no score can be computed with."""
        at_least("SAP", 5, train=self.train, test=self.test)
        check_jobs("SAP", self.n_jobs)

    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        import sklearn

        self.check()
        rows = table(codes, "SAP")
        sets, noted = grouping(codes, self.blocks, "SAP", rows.notes)
        train, test = split(len(rows.z), self.train, self.test, seed)
        rows = rows._replace(notes=noted).without(np.ptp(rows.levels[train], axis=0) == 0, "SAP")
        if self.continuous:
            matrix, unfinished = _correlation(rows.take(train), sets), 0
        else:
            number = int(generator(seed, "classifier").integers(2**31))
            matrix, unfinished = _accuracy(rows.take(train), rows.take(test), sets, number, self.n_jobs)
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


def _correlation(train: Table, sets: Sets) -> Floats:
    """(B, F) squared correlations, R² of blocks, and a row of zeros below when there is one code."""
    z, levels = train.z - train.z.mean(0), train.levels - train.levels.mean(0)
    variances = (z**2).mean(0)
    live = variances > _DEAD
    covariance = z.T @ levels / len(z)
    each = np.zeros_like(covariance)
    each[live] = np.minimum(covariance[live] ** 2 / (variances[live, None] * (levels**2).mean(0)), 1.0)
    out = np.zeros((max(len(sets), 2), levels.shape[1]))
    for place, unit in enumerate(sets):
        own = [j for j in unit if live[j]]
        if len(own) < 2:
            out[place] = each[own[0]] if own else 0.0
            continue
        inputs = z[:, own] / np.sqrt(variances[own])
        rest = levels - inputs @ np.linalg.lstsq(inputs, levels, rcond=None)[0]
        out[place] = np.clip(1 - (rest**2).sum(0) / (levels**2).sum(0), 0.0, 1.0)
    return out


def _accuracy(train: Table, test: Table, sets: Sets, seed: int, n_jobs: int) -> tuple[Floats, int]:
    """(B, F) test accuracies, below them a constant's when there is one code, and how many fits did not converge."""
    factors = range(len(train.names))
    chance = 1 / np.array([len(np.unique(column)) for column in train.levels.T])
    alive = train.z.var(0) > _DEAD
    live = [place for place, unit in enumerate(sets) if alive[list(unit)].any()]
    inputs = [_inputs(train.z[:, alive][:, unit], test.z[:, alive][:, unit]) for unit in among(sets, alive)]
    # The filter is set once around all threads, because it is shared by them; what it hides is counted instead.
    with quietly():
        arguments = [(z, train.levels[:, k], other, test.levels[:, k], seed) for z, other in inputs for k in factors]
        results = threads("SAP", _one, arguments, n_jobs)
    out = np.tile(chance, (max(len(sets), 2), 1))
    if live:
        out[live] = np.array([share for share, _ in results]).reshape(len(live), -1)
    return out, sum(not finished for _, finished in results)


def _inputs(train: Floats, test: Floats) -> tuple[Floats, Floats]:
    """One latent as it is, as the definition has it; several in units of their own spread."""
    if train.shape[1] == 1:
        return train, test
    one, other = standardise(train, test)
    return one, other


def _one(z: Floats, levels: Ints, test: Floats, test_levels: Ints, seed: int) -> tuple[float, bool]:
    from sklearn.svm import LinearSVC

    # The primal problem has the same solution as the dual and its solver draws no random numbers.
    model = LinearSVC(C=0.01, class_weight="balanced", dual=False, random_state=seed).fit(z, levels)
    return float(np.mean(model.predict(test) == test_levels)), bool(model.n_iter_ < model.max_iter)
