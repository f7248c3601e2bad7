"""Explicitness: can a linear classifier read every level of every factor off the code?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unweave.metrics.base import Metric
from unweave.metrics.checks import at_least, check_jobs, threads
from unweave.metrics.logistic import fit, quietly, standardise
from unweave.metrics.rows import Floats, Ints, split, table
from unweave.references import LOCATELLO_2019, RIDGEWAY_2018
from unweave.types import Codes, Reference, Score, UserError


@dataclass(frozen=True)
class Explicitness(Metric):
    """Explicitness (Ridgeway & Mozer, 2018, Sec. 3): area under the ROC curve of a linear classifier of each level.

    E = (1/F) Σ_k mean_l AUC_kl, where AUC_kl is the chance that an image with level l of factor k is given a higher
    probability of l than an image without (ties count half), by multinomial logistic regression on all latents,
    standardised (Locatello et al., 2019). The value is that of test images. It does not ask how the latents divide
    the work: a rotated code is as explicit as a perfect one, and blocks of latents make no difference. A code that
    tells nothing scores .5; a perfect code of factors with many levels less than 1, because one straight line through
    the levels cannot single out a middle one.

    Args:
        train: training rows.
        test: test rows, none of them a training row; both shrink in proportion when there are fewer images.
        n_jobs: factors worked on at once, as in joblib: −1 for one a processor. Never changes the score.

    Parts: ``train``, the same on the training rows, and ``auc.NAME`` of each factor. A latent that does not vary in
    the training rows is 0 to the classifier. Levels without an image among the test rows, or with nothing but such
    images, have no curve and are left out of the mean; factors with a single level in either half are left out and
    named under ``constant_factors``. ``not_converged`` counts fits stopped at 1,000 iterations.

    Raises UserError for codes without factors or fewer than 10 images, or when no factor has two levels to tell apart.

    >>> import torch
    >>> levels = torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(20))[:, :2]
    >>> score = Explicitness()(Codes.of(levels.float(), levels, names=("shape", "x")))
    >>> score.parts["auc.shape"]
    1.0
    """

    name: ClassVar[str] = "explicitness"
    references: ClassVar[tuple[Reference, ...]] = (RIDGEWAY_2018, LOCATELLO_2019)
    cost: ClassVar[str] = "3.7 s"

    train: int = 10_000
    test: int = 5_000
    n_jobs: int = -1

    def check(self) -> None:
        """Raises UserError for settings that no score can be computed with."""
        at_least("Explicitness", 5, train=self.train, test=self.test)
        check_jobs("Explicitness", self.n_jobs)

    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        import sklearn

        self.check()
        rows = table(codes, "Explicitness", together=True)
        train, test = split(len(rows.z), self.train, self.test, seed)
        still = (np.ptp(rows.levels[train], axis=0) == 0) | (np.ptp(rows.levels[test], axis=0) == 0)
        rows = rows.without(still, "Explicitness")
        z, z_test = standardise(rows.z[train], rows.z[test])
        arguments = [(z, rows.levels[train, k], z_test, rows.levels[test, k]) for k in range(len(rows.names))]
        with quietly():
            found = threads("Explicitness", _one, arguments, self.n_jobs)
        on_train, on_test, converged = zip(*found, strict=True)
        unread = [name for name, area in zip(rows.names, on_test, strict=True) if area is None]
        if len(unread) == len(rows.names):
            raise UserError(
                "Explicitness: no level of a factor is in both the training and the test rows; "
                "allowed are codes of more images"
            )
        areas = {name: area for name, area in zip(rows.names, on_test, strict=True) if area is not None}
        parts = {"train": float(np.mean(on_train))} | {f"auc.{name}": area for name, area in areas.items()}
        settings = {
            **self.settings(codes, seed),
            "train": len(train),
            "test": len(test),
            "images": len(train) + len(test),
            "not_converged": len(converged) - sum(converged),
            "sklearn": sklearn.__version__,
            **rows.notes,
        }
        if unread:
            settings["unread_factors"] = unread
        del settings["n_jobs"]
        return Score(float(np.mean(list(areas.values()))), parts, settings)


def auc(score: Floats, positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counted half.

    >>> auc(np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True]))
    0.875
    """
    from scipy.stats import rankdata

    many = int(positive.sum())
    few = len(positive) - many
    return float((rankdata(score)[positive].sum() - many * (many + 1) / 2) / (many * few))


def _one(z: Floats, levels: Ints, test: Floats, test_levels: Ints) -> tuple[float | None, float | None, bool]:
    model, converged = fit(z, levels)
    return _areas(model, z, levels), _areas(model, test, test_levels), converged


def _areas(model: object, z: Floats, levels: Ints) -> float | None:
    """Mean area over the levels that some but not all of the rows have; None without such a level."""
    probability = model.predict_proba(z)  # type: ignore[attr-defined]
    areas = [
        auc(column, levels == level)
        for level, column in zip(model.classes_, probability.T, strict=True)  # type: ignore[attr-defined]
        if 0 < np.count_nonzero(levels == level) < len(levels)
    ]
    return float(np.mean(areas)) if areas else None
