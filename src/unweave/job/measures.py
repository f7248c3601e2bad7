"""What trainings are measured by unless a study brings its own: scores, terms of the loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unweave.job.base import Arrays, Measure, Values
from unweave.metrics import Metric
from unweave.run import Run
from unweave.types import Codes


@dataclass(frozen=True)
class Scores(Measure):
    """Metrics: ``mig`` … and, for each part, ``mig.gap.shape`` …

    Args:
        metrics: metrics or their names; every one that applies, with DCI's fast estimator, when empty.
        seed: of the metrics.

    >>> Scores(("mig",)).label
    'mig'
    """

    metrics: tuple[Metric | str, ...] = ()
    seed: int = 0

    @property
    def label(self) -> str:
        """The metrics' labels."""
        return ", ".join(one if isinstance(one, str) else one.label for one in self.metrics) or "scores"

    def __call__(self, run: Run, codes: Codes) -> tuple[Values, Arrays]:
        scores = run.score(self.metrics or None, count=len(codes.mean), seed=self.seed, codes=codes)
        found: dict[str, float] = {}
        for label, score in scores.items():
            found |= {label: score.value, **{f"{label}.{part}": value for part, value in score.parts.items()}}
        return found, {}


@dataclass(frozen=True)
class Terms(Measure):
    """Every term of the loss, ``loss.recon`` …: the mean over the last windows of the training's record.

    Args:
        last: the share of the record that is averaged.
    """

    last: float = 0.02

    @property
    def label(self) -> str:
        """``terms``."""
        return "terms"

    def __call__(self, run: Run, codes: Codes) -> tuple[Values, Arrays]:
        count = max(1, round(self.last * len(run.steps)))
        return {f"loss.{name}": float(np.mean(rows[-count:])) for name, rows in run.terms.items() if rows}, {}
