"""Downstream accuracy: how well, and from how few images, do simple classifiers read the factors off the codes?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from unweave.metrics.base import Metric
from unweave.metrics.boosting import boost
from unweave.metrics.checks import at_least, check_jobs, threads
from unweave.metrics.logistic import fit, live, quietly, standardise
from unweave.metrics.rows import Floats, Ints, generator, split, table
from unweave.names import known
from unweave.references import LOCATELLO_2019
from unweave.types import Codes, Reference, Score, UserError

CLASSIFIERS = ("linear", "boosting", "fast")


@dataclass(frozen=True)
class Downstream(Metric):
    """Downstream accuracy and data efficiency (Locatello et al., 2019): factors read off frozen codes.

    For each size n a classifier of all latents is trained on the first n training images and judged on the test images;
    the value is its accuracy at the largest n, averaged over factors. Efficiency at n is the accuracy at n divided by
    that at the largest n. Training sets are nested, and every size has the same test images. All latents are read
    together, so that blocks of latents make no difference.

    Args:
        classifier: ``linear``: multinomial logistic regression on latents standardised on the training images;
            ``boosting``: scikit-learn's GradientBoostingClassifier with its defaults; ``fast``: the same algorithm on
            64 quantile groups a latent, as in DCI.
        sizes: training images; those above what there is become all there is.
        fractions: in place of ``sizes``, shares of the training images, above 0 and at most 1.
        train: training images there are, at most.
        test: test images, none of them a training image; both shrink in proportion when there are fewer images.
        strength: of ``linear``, the inverse weight C of the penalty; None chooses it for each fit among ten from 1e-4
            to 1e4 by five-fold cross-validation, as Locatello et al. do, at some fifty times the cost.
        n_jobs: fits at once, as in joblib: −1 for one a processor. Never changes the score.

    Parts: ``efficiency``, the mean of efficiencies over all sizes but the largest (1 with a single size);
    ``accuracy.N`` and ``efficiency.N`` for each size N, ``accuracy.N.NAME`` for each factor and ``train_accuracy.N``. A
    factor with a single level among all training images is left out and named in the settings, which hold the ``sizes``
    used.

    The range is [0, 1]. A perfect code reaches 1 with trees and many images; noise gets the share of the commonest
    level, which differs between data sets: read it against ``floor``.

    Raises UserError for codes without factors, fewer than 10 images, or sizes or fractions out of range.

    >>> import torch
    >>> levels = torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(20))[:, :2]
    >>> score = Downstream(sizes=(20, 60))(Codes.of(levels.float(), levels, names=("shape", "x")))
    >>> score.value, score.parts["accuracy.60.shape"], score.settings["sizes"]
    (1.0, 1.0, [20, 60])
    """

    name: ClassVar[str] = "downstream"
    references: ClassVar[tuple[Reference, ...]] = (LOCATELLO_2019,)
    cost: ClassVar[str] = "3 s"

    classifier: Literal["linear", "boosting", "fast"] = "linear"
    sizes: tuple[int, ...] = (10, 100, 1_000, 10_000)
    fractions: tuple[float, ...] = ()
    train: int = 10_000
    test: int = 5_000
    strength: float | None = 1.0
    n_jobs: int = -1

    @property
    def label(self) -> str:
        """``downstream`` for the linear classifier, else with the classifier behind it; then other sizes."""
        words: list[str] = ["chosen"] if self.strength is None else self.words("strength")
        words = words if self.classifier == "linear" else [self.classifier]
        return "-".join([self.name, *words, *self.words("sizes", "fractions")])

    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        import sklearn

        self.check()
        rows = table(codes, "Downstream", together=True)
        train, test = split(len(rows.z), self.train, self.test, seed)
        rows = rows.without(np.ptp(rows.levels[train], axis=0) == 0, "Downstream")
        asked = [max(round(share * len(train)), 1) for share in self.fractions] or self.sizes
        sizes = sorted({min(size, len(train)) for size in asked})
        number = int(generator(seed, "classifier").integers(2**31))
        arguments = [
            (self.classifier, self.strength, rows.z[train[:n]], column[train[:n]], rows.z[test], number)
            for n in sizes
            for column in rows.levels.T
        ]
        with quietly():
            fits = threads("Downstream", _fit, arguments, self.n_jobs)
        right = [
            (np.mean(told == rows.levels[train[:n], k]), np.mean(guess == rows.levels[test, k]))
            for (n, k), (told, guess, _) in zip(
                ((n, k) for n in sizes for k in range(len(rows.names))), fits, strict=True
            )
        ]
        shares = np.array(right, dtype=np.float64).reshape(len(sizes), len(rows.names), 2)
        parts = _parts(sizes, rows.names, shares[:, :, 0], shares[:, :, 1])
        settings = {**self.settings(codes, seed), **rows.notes, "sizes": sizes, "train": len(train), "test": len(test)}
        settings |= {"fractions": list(self.fractions), "images": len(train) + len(test)}
        settings |= {"not_converged": sum(not done for _, _, done in fits), "sklearn": sklearn.__version__}
        del settings["n_jobs"]
        return Score(float(shares[-1, :, 1].mean()), parts, settings)

    def check(self) -> None:
        """Raises UserError for settings that no score can be computed with."""
        known(self.classifier, CLASSIFIERS, "classifier of Downstream")
        at_least("Downstream", 5, train=self.train, test=self.test)
        check_jobs("Downstream", self.n_jobs)
        for name, several in (("sizes", self.sizes), ("fractions", self.fractions)):
            if not isinstance(several, tuple):
                raise UserError(f"Downstream: {name} = {several!r}; allowed is a tuple of numbers")
        if not self.fractions:
            for size in self.sizes or (0,):
                at_least("Downstream", 2, sizes=size)
        if any(not 0 < share <= 1 for share in self.fractions):
            raise UserError(f"Downstream: fractions = {self.fractions}; allowed is above 0 and at most 1")
        if self.strength is not None and not self.strength > 0:
            raise UserError(f"Downstream: strength = {self.strength}; allowed is above 0, or None to choose it")


def _parts(sizes: Sequence[int], names: Sequence[str], train: Floats, test: Floats) -> dict[str, float]:
    """Named numbers from accuracies (sizes, factors) on training and test images."""
    mean = test.mean(1)
    share = np.divide(mean, mean[-1], out=np.zeros_like(mean), where=mean[-1] > 0)
    parts = {"efficiency": float(share[:-1].mean()) if len(sizes) > 1 else 1.0}
    for i, n in enumerate(sizes):
        parts |= {f"accuracy.{n}": float(mean[i]), f"efficiency.{n}": float(share[i])}
        parts |= {f"train_accuracy.{n}": float(train[i].mean())}
        parts |= {f"accuracy.{n}.{name}": float(test[i, k]) for k, name in enumerate(names)}
    return parts


def _fit(
    kind: str, strength: float | None, z: Floats, levels: Ints, test: Floats, seed: int
) -> tuple[Ints, Ints, bool]:
    """Predicted levels of the training and of the test images, and whether the fit converged."""
    seen, classes = np.unique(levels, return_inverse=True)
    classes = classes.reshape(-1)
    if len(seen) == 1:
        return np.full(len(z), seen[0]), np.full(len(test), seen[0]), True
    if kind == "linear":
        told, guess, done = _linear(strength, z, classes, test, seed)
        return seen[told], seen[guess], done
    if kind == "fast":
        trees = boost(z, classes, test)
        return seen[trees.train], seen[trees.test], True
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(random_state=seed).fit(z, classes)
    return seen[model.predict(z)], seen[model.predict(test)], True


def _linear(strength: float | None, z: Floats, classes: Ints, test: Floats, seed: int) -> tuple[Ints, Ints, bool]:
    if not live(z).any():
        common = np.bincount(classes).argmax()
        return np.full(len(z), common), np.full(len(test), common), True
    z, test = standardise(z, test)
    model, done = fit(z, classes, strength if strength is not None else _chosen(z, classes, seed))
    return model.predict(z), model.predict(test), done


def _chosen(z: Floats, classes: Ints, seed: int) -> float:
    """The C of ten, from 1e-4 to 1e4, with the best mean accuracy over five folds; the smallest of equals."""
    folds = np.array_split(np.random.default_rng(seed).permutation(len(z)), min(5, len(z)))
    grid = np.logspace(-4, 4, 10)
    scores = np.zeros(len(grid))
    for held in folds:
        rest = np.setdiff1d(np.arange(len(z)), held)
        if len(np.unique(classes[rest])) == 1:
            scores += np.mean(classes[held] == classes[rest][0])
            continue
        models = [fit(z[rest], classes[rest], float(c))[0] for c in grid]
        scores += [np.mean(model.predict(z[held]) == classes[held]) for model in models]
    return float(grid[scores.argmax()])
