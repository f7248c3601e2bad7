"""RecurD, Figure 7: how much of the training images a classifier of frozen codes needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from unweave.data import Dataset
from unweave.data.base import Images
from unweave.engine.codes import nuisance
from unweave.job import Cost, Job, Result, Told, Training, once, quiet
from unweave.studies.base import Entry, Row, Scale, Study, experiment, grouped
from unweave.studies.figures import Curves, Figure
from unweave.studies.recurd.runs import COMPARED, PAPER, SILENT, SMALL, SMOKE, fitted
from unweave.studies.sets import ANGLES, digits, turned_digits
from unweave.studies.tiny import tiny
from unweave.studies.unseen import Accuracy, accuracies

FRACTIONS = (0.2, 0.4, 0.6, 0.8, 1.0)
ROWS = tuple(row for row in COMPARED if row not in ("β-VAE β = 16", "β-VAE β = 60"))


@dataclass(frozen=True)
class PixelAccuracy(Job):
    """The same linear softmax layer on the pixels themselves: the dotted line of the figure.

    Values: as ``Accuracy``.

    Args:
        data: the training part.
        fractions: shares of its images that the layer learns from.
        train: images there are, at most.
        test: unseen images, at most.
    """

    name: ClassVar[str] = "pixel-accuracy"

    data: Dataset
    fractions: tuple[float, ...] = FRACTIONS
    train: int = 10_000
    test: int = 10_000

    @property
    def title(self) -> str:
        """The data set's name."""
        return f"a linear layer on the pixels of {self.data.name}"

    @property
    def cost(self) -> Cost:
        """Of the fits."""
        return Cost(2e-7 * self.train * float(np.prod(self.data.shape)) * sum(self.fractions))

    def run(self, out: Path, *, root: Path | None = None, device: str | None = None, told: Told = quiet) -> Result:
        """Read the pixels, fit, and keep the accuracies."""
        return once(self, out, lambda folder: (self._fit(root), {}))

    def _fit(self, root: Path | None) -> dict[str, float]:
        whole: Any = self.data
        (x, told), (x_test, told_test) = (
            pixels(one.open(root), count)
            for one, count in ((whole, self.train), (replace(whole, part="test"), self.test))
        )
        return accuracies(x, told, x_test, told_test, self.fractions)


def pixels(images: Images, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(M, P) pixels of evenly spread images, and (M,) levels of their first factor."""
    rows = torch.linspace(0, images.rows - 1, min(count, images.rows)).long()
    found = [images.batch(some, nuisance(images, some, 0, "codes")).flatten(1) for some in rows.split(500)]
    return torch.cat(found).double().numpy(), images.levels(rows)[:, 0].numpy()


@dataclass(frozen=True)
class RecurDFig7(Study):
    """Figure 7: accuracy on MNIST, and on an angle that was never seen, from shares of the training images."""

    name: ClassVar[str] = "recurd-fig7"
    paper: ClassVar[str] = "recurd"
    where: ClassVar[str] = "Figure 7, section 5.2"
    title: ClassVar[str] = (
        "Data efficiency of a linear layer on frozen codes: MNIST, and unseen angles of MNIST-Rotation"
    )
    decided: ClassVar[tuple[str, ...]] = (
        *SILENT,
        "The classifier is multinomial logistic regression on standardised codes of 8 latents; at small scale of at "
        "most 10,000 of the training images, so that the axis is per cent of those. The model itself sees all training "
        "images: section 5.2 learns the layer from the shares, the caption says it of the model.",
        "The size of the digits is not said: 64×64, as the networks want them; 32×32 at small scale. The line of a "
        "single layer is on pixels of 28×28.",
        "Unseen angles: the model and the layer learn from five of the six, the accuracy is that on the sixth, "
        "averaged over all six (at small scale over the first and the last).",
        "Without MNIST's files dSprites stand in, shape for digit and scale for angle; MNIST needs its four idx files "
        "(train-images-idx3-ubyte.gz …) in the folder mnist of the data root.",
    )
    scales: ClassVar[Mapping[str, Scale]] = {
        "smoke": SMOKE,
        "small": SMALL._replace(steps=2_000, seeds=1, note="digits of 32×32, two angles"),
        "paper": PAPER,
    }

    def jobs(self, scale: str) -> list[Entry]:
        size = self.scale(scale)
        found: list[Entry] = []
        side = 64 if scale == "paper" else 32
        angles = {"smoke": (0,), "small": (0, ANGLES - 1)}.get(scale, tuple(range(ANGLES)))
        rows = ("β-VAE β = 4", "RecurD") if scale == "smoke" else ROWS
        sets: list[tuple[str, str, Dataset, Dataset]] = [
            ("mnist", "MNIST", digits(self.root, side), digits(self.root, 28)),
            *(
                ("mnist-rotation", f"angle {k}", turned_digits(self.root, side, k), turned_digits(self.root, 28, k))
                for k in angles
            ),
        ]
        most = 60_000 if scale == "paper" else min(size.images, 10_000)
        accuracy = Accuracy(FRACTIONS, train=most, test=min(most, 10_000))
        for name, part, data, small in sets:
            pixel = PixelAccuracy(small, FRACTIONS, accuracy.train, accuracy.test)
            found.append(({"data": name, "row": "pixels", "part": part, "seed": 0}, pixel))
            for seed in range(size.seeds):
                for row in rows:
                    method = tiny(COMPARED[row]) if scale == "smoke" else COMPARED[row]
                    full = experiment(method, data, fitted(size, method, data), PAPER, seed, latents=8)
                    job = Training(full, measures=(accuracy,), count=10)
                    found.append(({"data": name, "row": row, "part": part, "seed": seed}, job))
        return found

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        found: list[Figure] = []
        for data, title in (("mnist", "MNIST"), ("mnist-rotation", "An unseen angle of MNIST-Rotation")):
            lines: dict[str, list[tuple[list[float], list[float]]]] = {}
            for (_, row), each in grouped([one for one in results if one[0]["data"] == data], "data", "row").items():
                lines[str(row)] = [
                    ([100 * f for f in FRACTIONS], [result.values[f"accuracy.{100 * f:g}"] for f in FRACTIONS])
                    for _, result in each
                ]
            if lines:
                found.append(Curves(title, lines, "per cent of the training images", "accuracy, per cent", points=True))
        return found


STUDIES: Mapping[str, type[Study]] = {RecurDFig7.name: RecurDFig7}
