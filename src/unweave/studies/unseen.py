"""Measures on images that the training did not see: the other part of a data set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from unweave.data.part import Part, PartImages, chosen
from unweave.engine import encode
from unweave.job import Arrays, Measure, Values
from unweave.metrics.logistic import fit, quietly, standardise
from unweave.names import known
from unweave.run import Run
from unweave.types import Codes, UserError


@dataclass(frozen=True)
class OnTest(Measure):
    """Other measures, of the part ``test`` of the data set whose part ``train`` the model was trained on.

    Args:
        measures: what to measure.
        count: images of that part, drawn with seed 0.

    Raises:
        UserError: a data set without parts.
    """

    measures: tuple[Measure, ...]
    count: int = 10_000

    @property
    def label(self) -> str:
        """Theirs."""
        return f"{', '.join(one.label for one in self.measures)} of unseen images"

    def __call__(self, run: Run, codes: Codes) -> tuple[Values, Arrays]:
        there = unseen(run)
        seen = there.codes(self.count)
        values: dict[str, float] = {}
        arrays: dict[str, np.ndarray] = {}
        for measure in self.measures:
            more, pictures = measure(there, seen)
            values |= more
            arrays |= pictures
        return values, arrays


@dataclass(frozen=True)
class PixelError(Measure):
    """The reconstruction error of one pixel and channel: binary cross-entropy or squared error, as in the training.

    Values: ``recon.pixel``.
    """

    @property
    def label(self) -> str:
        """``error a pixel``."""
        return "error a pixel"

    def __call__(self, run: Run, codes: Codes) -> tuple[Values, Arrays]:
        kind = "bce" if run.experiment.likelihood == "bernoulli" else "squared_error"
        return {"recon.pixel": float(codes.distortion[kind].double().mean()) / codes.pixels}, {}


@dataclass(frozen=True)
class Accuracy(Measure):
    """How well a linear softmax layer on the frozen code tells a factor on unseen images.

    Args:
        fractions: shares of the training images that the layer learns from.
        factor: the factor's name; the first one when empty.
        train: images of the training part there are, at most.
        test: images of the part ``test``, at most.

    Values: ``accuracy.20`` … in per cent for a share of 20 %; ``accuracy`` and ``accuracy@D`` for the largest one, with
    D the number of latents.

    Raises:
        UserError: a data set without parts or without that factor.
    """

    fractions: tuple[float, ...] = (1.0,)
    factor: str = ""
    train: int = 10_000
    test: int = 10_000

    @property
    def label(self) -> str:
        """``accuracy``, and of what."""
        return f"accuracy {self.factor}".strip()

    def __call__(self, run: Run, codes: Codes) -> tuple[Values, Arrays]:
        (z, told), (z_test, told_test) = (
            factor_of(encode(one.model, one.data, one.images, count=count, distortion=False), self.factor)
            for one, count in ((run, self.train), (unseen(run), self.test))
        )
        found = accuracies(z, told, z_test, told_test, self.fractions)
        return found | {f"accuracy@{run.experiment.latents}": found["accuracy"]}, {}


def accuracies(
    z: np.ndarray, told: np.ndarray, z_test: np.ndarray, told_test: np.ndarray, fractions: tuple[float, ...]
) -> dict[str, float]:
    """``accuracy.20`` … and ``accuracy`` in per cent: logistic regression on shares of the rows, the first of one
    shuffled order.

    >>> z = np.array([[0.0], [1.0]]).repeat(10, axis=0)
    >>> accuracies(z, z[:, 0].astype(int), z, z[:, 0].astype(int), (0.5, 1.0))["accuracy"]
    100.0
    """
    order = np.random.default_rng(0).permutation(len(z))
    found: dict[str, float] = {}
    for fraction in sorted(fractions):
        rows = order[: max(2, round(fraction * len(z)))]
        kinds = np.unique(told[rows])
        guess = np.full(len(z_test), kinds[0])
        if len(kinds) > 1:
            learned, asked = standardise(z[rows], z_test)
            with quietly():
                guess = fit(learned, told[rows])[0].predict(asked)
        found[f"accuracy.{100 * fraction:g}"] = found["accuracy"] = 100.0 * float(np.mean(guess == told_test))
    return found


def factor_of(codes: Codes, factor: str) -> tuple[np.ndarray, np.ndarray]:
    """(M, D) means and (M,) levels of a factor, the first one when no name is given."""
    column = codes.names.index(known(factor, codes.names, "factor")) if factor else 0
    return codes.mean.double().numpy(), codes.levels[:, column].numpy()


def unseen(run: Run) -> Run:
    """The same model over the part ``test`` of its data set.

    Raises:
        UserError: a data set without parts.

    >>> import unweave
    >>> from unweave.data import Split, Triangle
    >>> run = unweave.fit("vae", Split(Triangle()), steps=2, batch=4, network=unweave.MLP((8,)))
    >>> run.images.rows, unseen(run).images.rows
    (922, 102)
    """
    data: Any = run.data
    if getattr(data, "part", "test") == "test":
        raise UserError(f"{data.name} is no part to train on; allowed: a data set with parts, such as a split")
    other = replace(data, part="test")
    described = replace(run.experiment, data=other)
    found = Run(described, run.model, step=run.step, trace={"step": run.steps, **run.terms}, root=run._root)
    if isinstance(other, Part) and isinstance(run.images, PartImages):
        # The whole set is open already.
        rows = torch.tensor(chosen(other), device=run.images.chosen.device)
        found._images = PartImages(run.images.whole, rows)
    return found
