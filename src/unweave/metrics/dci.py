"""DCI: how well do latents predict the factors, and how is the work divided between them?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unweave.metrics.base import Metric
from unweave.metrics.blocks import Blocks, grouping, suffix
from unweave.metrics.boosting import boost
from unweave.metrics.checks import at_least, check_jobs, threads
from unweave.metrics.lasso import lasso
from unweave.metrics.logistic import quietly
from unweave.metrics.rows import Floats, Ints, generator, split, table
from unweave.names import known
from unweave.references import LOCATELLO_2019
from unweave.types import Codes, Reference, Score, UserError

ESTIMATORS = ("boosting", "fast", "lasso")
_FLOOR = 1e-11
"""Added to every importance before the entropy, as the published numbers were made."""


class Importance(NamedTuple):
    """What the estimators found: which latent tells which factor, and how well they are told."""

    matrix: Floats
    """(D, F) importance of latent, or block, d for factor k."""
    train: Floats
    """(F,) accuracy on the training rows; for lasso R², against the mean level of the training rows."""
    test: Floats
    """(F,) the same on the test rows; R² may be negative there."""
    names: tuple[str, ...]
    """The F factors."""
    notes: dict[str, Any]
    """Rows read, factors left out, versions: for the settings of the score."""


@dataclass(frozen=True)
class DCI(Metric):
    """Disentanglement, Completeness and Informativeness (Eastwood & Williams, 2018); the value is disentanglement.

    With R the (D, F) matrix of importances of latents for factors:
    disentanglement D = Σ_d ρ_d (1 − H_F(R_d·)), ρ_d = Σ_k R_dk / ΣR: does a latent serve one factor only;
    completeness C = Σ_k κ_k (1 − H_D(R_·k)), κ_k = Σ_d R_dk / ΣR: is a factor told by one latent only;
    informativeness I = mean accuracy on the test rows. H_n is the entropy in base n of the normalised numbers, to each
    of which 1e-11 is added; weights are uniform where every importance is 0 (Locatello et al., 2019).

    Args:
        estimator: ``boosting``, scikit-learn's GradientBoostingClassifier with its defaults, is what most publications
            used; ``fast`` is the same algorithm on 64 quantile groups a latent, some twenty-five times quicker
            (docs/metrics/dci.md has the measured agreement). ``lasso``, one of the two of Eastwood & Williams (2018):
            linear regression of the level number with an L1 penalty, latents and levels standardised,
            R_dk = |coefficient|; exact copies of a latent share its coefficient evenly.
        train: training rows.
        test: test rows, none of them a training row; both shrink in proportion when there are fewer images.
        n_jobs: factors worked on at once, as in joblib: −1 for one a processor. Never changes the score.
        alpha: strength of the lasso's penalty; the settings of other estimators record None.
        blocks: ``ignore``: each latent is a code; ``joint``: the latents of a block are one code d, whose importance is
            the sum of theirs. The predictions, and with them I, read all latents either way.

    Parts: ``disentanglement``, ``completeness``, ``informativeness``, ``informativeness_train``, and
    ``informativeness.NAME`` of each factor. For ``lasso`` these are R² in place of accuracies, 0 where it is
    negative, and the paper's error follows: ``nrmse`` and ``nrmse.NAME``, the root of the mean squared error on the
    test rows, where 1 is that of always naming the training rows' mean level; lower is better. The settings say which
    under ``informativeness_measure``. A factor with a single level among the training rows is left out and named in
    the settings.

    Raises UserError for codes without factors, fewer than 10 images, an unknown estimator, or an alpha that is not
    above 0.

    >>> import torch
    >>> levels = torch.cartesian_prod(torch.arange(3), torch.arange(3), torch.arange(20))[:, :2]
    >>> score = DCI(estimator="fast")(Codes.of(levels.float(), levels))
    >>> round(score.value, 3), round(score.parts["completeness"], 3), score.parts["informativeness"]
    (1.0, 1.0, 1.0)
    """

    name: ClassVar[str] = "dci"
    references: ClassVar[tuple[Reference, ...]] = (
        Reference(
            "eastwood2018framework",
            "Eastwood, Cian and Williams, Christopher K. I.",
            "A Framework for the Quantitative Evaluation of Disentangled Representations",
            "International Conference on Learning Representations",
            2018,
            "https://openreview.net/forum?id=By-7dz-AZ",
        ),
        Reference(
            "friedman2001greedy",
            "Friedman, Jerome H.",
            "Greedy Function Approximation: A Gradient Boosting Machine",
            "The Annals of Statistics 29(5)",
            2001,
            "https://doi.org/10.1214/aos/1013203451",
        ),
        LOCATELLO_2019,
    )
    errors: ClassVar[tuple[str, ...]] = ("nrmse",)
    cost: ClassVar[str] = "8 s with fast, 180 s with boosting"

    estimator: Literal["boosting", "fast", "lasso"] = "boosting"
    train: int = 10_000
    test: int = 5_000
    n_jobs: int = -1
    alpha: float = 0.02
    blocks: Blocks = "ignore"

    @property
    def label(self) -> str:
        """``dci`` as most publications compute it, ``dci-fast`` and ``dci-lasso`` else; ``blocks`` behind it."""
        words: list[str] = [] if self.estimator == "boosting" else [self.estimator]
        words += self.words("alpha") if self.estimator == "lasso" else []
        return "-".join([self.name, *words, *suffix(self.blocks)])

    def check(self) -> None:
        """Raises UserError for settings that no score can be computed with."""
        known(self.estimator, ESTIMATORS, "estimator of DCI")
        at_least("DCI", 5, train=self.train, test=self.test)
        check_jobs("DCI", self.n_jobs)
        if not 0 < self.alpha < np.inf:
            raise UserError(f"DCI: alpha = {self.alpha}; allowed is above 0")

    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        found = self.importance(codes, seed)
        parts = {
            "disentanglement": disentanglement(found.matrix),
            "completeness": completeness(found.matrix),
            "informativeness": float(np.maximum(found.test, 0).mean()),
            "informativeness_train": float(np.maximum(found.train, 0).mean()),
        }
        parts |= {
            f"informativeness.{name}": float(max(share, 0)) for name, share in zip(found.names, found.test, strict=True)
        }
        if self.estimator == "lasso":
            error = np.sqrt(1 - found.test)
            parts |= {"nrmse": float(error.mean())}
            parts |= {f"nrmse.{name}": float(one) for name, one in zip(found.names, error, strict=True)}
        settings = {**self.settings(codes, seed), **found.notes}
        del settings["n_jobs"]
        return Score(parts["disentanglement"], parts, settings)

    def importance(self, codes: Codes, seed: int = 0) -> Importance:
        """The matrix behind the score: (D, F) importances and the accuracies of each factor."""
        import sklearn

        self.check()
        rows = table(codes, "DCI")
        sets, noted = grouping(codes, self.blocks, "DCI", rows.notes)
        train, test = split(len(rows.z), self.train, self.test, seed)
        rows = rows._replace(notes=noted).without(np.ptp(rows.levels[train], axis=0) == 0, "DCI")
        halves = [
            (rows.z[train], rows.levels[train, k], rows.z[test], rows.levels[test, k]) for k in range(len(rows.names))
        ]
        seeds = generator(seed, "classifier").integers(2**31, size=codes.levels.shape[1]).tolist()
        notes = {
            "train": len(train),
            "test": len(test),
            "images": len(train) + len(test),
            "sklearn": sklearn.__version__,
            "alpha": None,
            "informativeness_measure": "accuracy",
            **rows.notes,
        }
        if self.estimator == "lasso":
            notes |= {"alpha": self.alpha, "informativeness_measure": "r2"}
            with quietly():
                fits = threads("DCI", lasso, [(*each, self.alpha) for each in halves], self.n_jobs)
            notes["not_converged"] = sum(not one.converged for one in fits)
            shares = np.array([(one.train, one.test) for one in fits])
        else:
            work = _boosting if self.estimator == "boosting" else _fast
            fits = threads("DCI", work, [(*each[:3], seeds[k]) for k, each in enumerate(halves)], self.n_jobs)
            hits = [
                (np.mean(told == levels), np.mean(told_test == levels_test))
                for (_, told, told_test), (_, levels, _, levels_test) in zip(fits, halves, strict=True)
            ]
            shares = np.array(hits, dtype=np.float64)
        each = np.stack([fit[0] for fit in fits], axis=1)
        matrix = np.stack([each[list(unit)].sum(0) for unit in sets])
        return Importance(matrix, shares[:, 0], shares[:, 1], rows.names, notes)


def disentanglement(matrix: NDArray[Any]) -> float:
    """Σ_d ρ_d (1 − H_F(R_d·)) of a (D, F) importance matrix: 1 if each latent serves one factor, 0 if all serve all.

    >>> round(disentanglement(np.eye(3)), 6), round(disentanglement(np.zeros((3, 3))), 6)
    (1.0, 0.0)
    """
    return _concentration(np.asarray(matrix, dtype=np.float64))


def completeness(matrix: NDArray[Any]) -> float:
    """Σ_k κ_k (1 − H_D(R_·k)) of a (D, F) importance matrix: 1 when each factor is told by one latent.

    >>> round(completeness(np.vstack([np.eye(5), np.eye(5)])), 6)
    0.69897
    """
    return _concentration(np.asarray(matrix, dtype=np.float64).T)


def concentrations(matrix: NDArray[Any]) -> Floats:
    """(D,) 1 − H_F(R_d·) of each row of a (D, F) importance matrix: 1 for a row with one entry, 0 for an even one.

    >>> concentrations(np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 0.0]])).round(6).tolist()
    [1.0, 0.0, 0.0]
    """
    p = np.asarray(matrix, dtype=np.float64) + _FLOOR
    if p.shape[1] == 1:
        return np.ones(len(p))  # one choice only: nothing to divide
    p = p / p.sum(1, keepdims=True)
    return np.maximum(1 + (p * np.log(p)).sum(1) / np.log(p.shape[1]), 0.0)


def _concentration(matrix: Floats) -> float:
    """Weighted mean over rows of 1 − entropy of the row in base of its length; 0 of a matrix of zeros."""
    weights = matrix.sum(1)
    return float((weights * concentrations(matrix)).sum() / weights.sum()) if weights.sum() > 0 else 0.0


def _boosting(z: Floats, levels: Ints, test: Floats, seed: int) -> tuple[Floats, Ints, Ints]:
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(random_state=seed).fit(z, levels)
    return np.abs(model.feature_importances_), model.predict(z), model.predict(test)


def _fast(z: Floats, levels: Ints, test: Floats, seed: int) -> tuple[Floats, Ints, Ints]:
    seen, classes = np.unique(levels, return_inverse=True)  # nothing is drawn: the seed chooses only the rows
    fit = boost(z, classes, test)
    return fit.importance, seen[fit.train], seen[fit.test]
