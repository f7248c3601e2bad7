"""What trainings are measured by unless a study brings its own: scores, terms of the loss."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from unweave.analysis.trajectory import mean_rate
from unweave.data import Dataset, HeldOut, Split
from unweave.engine import Complete, encode
from unweave.engine.place import home
from unweave.engine.plain import settled
from unweave.job.base import Arrays, Measure, Values
from unweave.kept import apart
from unweave.metrics import METRICS, Metric
from unweave.names import known
from unweave.run import Run
from unweave.types import Codes, UserError


@dataclass(frozen=True)
class Scores(Measure):
    """Metrics: ``mig`` … and, for each part, ``mig.gap.shape`` …

    Args:
        metrics: metrics or their names; the quick ones that apply, DCI with its fast estimator, when empty.
        seed: of the metrics.

    Raises UserError for an unknown name.

    >>> Scores(("mig",)).label
    'mig'
    """

    metrics: tuple[Metric | str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        # One question has one key, whether a metric is named or given.
        named = tuple(METRICS[known(m, METRICS, "metric")]() if isinstance(m, str) else m for m in self.metrics)
        object.__setattr__(self, "metrics", named)

    @property
    def label(self) -> str:
        """The metrics' labels."""
        return ", ".join(one.label for one in self.metrics if isinstance(one, Metric)) or "scores"

    def check(self, experiment: Complete) -> None:
        """Raises UserError for settings of a metric that it cannot be computed with, and for two of one label."""
        apart([one for one in self.metrics if isinstance(one, Metric)])
        for one in self.metrics:
            if isinstance(one, Metric):
                settled(one).check()

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


@dataclass(frozen=True)
class HeldOutELBO(Measure):
    """The evidence lower bound on images that training never showed: the criterion that needs no factors.

    ELBO = E_q [log p(x|z)] − KL(q(z|x) ‖ p(z)), p the model's own prior, with one draw of z an image, averaged over
    images; nats for Bernoulli pixels, minus the squared error for others. Values: ``elbo``, ``elbo.recon`` and
    ``elbo.kl`` (both to be small).

    Args:
        data: held-out images; the other part of the split that was trained on when None.
        images: how many are read, drawn with seed 0; None for all.

    Raises UserError for a training on a whole data set where ``data`` is None, and for models without widths.

    >>> from unweave.networks import MLP
    >>> from unweave.run import fit
    >>> run = fit("vae", "triangle:train", steps=2, batch=4, network=MLP((8,)))
    >>> values, _ = HeldOutELBO(images=50)(run, run.codes(10))
    >>> values["elbo"] == -(values["elbo.recon"] + values["elbo.kl"])
    True
    """

    data: Dataset | None = None
    images: int | None = 10_000

    @property
    def label(self) -> str:
        """``held-out ELBO``."""
        return "held-out ELBO"

    def check(self, experiment: Complete) -> None:
        """Raises UserError for a training on a whole data set where ``data`` is None, and for no images."""
        if self.images is not None and self.images < 1:
            raise UserError(f"held-out ELBO: images = {self.images}; allowed: a whole number from 1, or None for all")
        if self.data is None:
            _other(experiment.data)

    def __call__(self, run: Run, codes: Codes) -> tuple[Values, Arrays]:
        device = next(run.model.parameters()).device
        data = self.data or _other(run.data)
        found = encode(run.model, data, data.open(run.root, home(device)), count=self.images)
        if found.logvar is None:
            raise UserError(f"held-out ELBO: the codes of {run.experiment.method.name} have no widths, so no KL")
        error = found.distortion["bce" if run.experiment.likelihood == "bernoulli" else "squared_error"]
        recon, rate = float(error.double().mean()), mean_rate(found)
        return {"elbo": -(recon + rate), "elbo.recon": recon, "elbo.kl": rate}, {}


def _other(data: Dataset) -> Dataset:
    if isinstance(data, Split | HeldOut) and data.part == "train":
        return replace(data, part="test")
    raise UserError(
        f"held-out ELBO: {data.name} was trained on whole; allowed: training on a part, such as "
        f"{data.name}:train, or naming other data"
    )
