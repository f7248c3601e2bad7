"""Every metric keeps the shipped contract, and the contract notices metrics that do not."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch

from unweave.metrics import METRICS, Metric
from unweave.metrics.rows import table
from unweave.testing import check_metric
from unweave.types import Codes, Reference, Score

FAST: dict[str, dict[str, Any]] = {"dci": {"estimator": "fast"}}
"""Fields that only make it faster; the slow way has tests of its own."""


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_keeps_the_contract(name: str) -> None:
    check_metric(METRICS[name](**FAST.get(name, {})))


@dataclass(frozen=True)
class Own(Metric):
    """How well the first latent follows the first factor.

    >>> Own().power
    1.0
    """

    power: float = 1.0
    name: ClassVar[str] = "own"
    references: ClassVar[tuple[Reference, ...]] = (Reference("own", "A. Uthor", "Own", "Nowhere", 2024),)

    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        table(codes, self.name)
        return own(self, codes, seed)


def own(metric: Metric, codes: Codes, seed: int) -> Score:
    z, y = codes.mean[:, 0].double(), codes.levels[:, 0].double()
    z, y = z - z.mean(), y - y.mean()
    value = float((z * y).sum().abs() / (z.norm() * y.norm() + 1e-12))
    return Score(value, {"own.part": value}, metric.settings(codes, seed))


def test_a_metric_of_somebody_elses_passes() -> None:
    check_metric(Own())


def scoring(change: Callable[[Score, Codes], Score]) -> dict[str, Any]:
    def call(self: Any, codes: Codes, seed: int = 0) -> Score:
        table(codes, "own")
        return change(own(self, codes, seed), codes)

    return {"__call__": call}


def changed(score: Score, codes: Codes) -> Score:
    codes.mean.mul_(0.5)
    return score


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "random": (scoring(lambda s, c: s._replace(value=s.value + random.random() / 1e6)), "random|for the same codes"),
    "NaN": (scoring(lambda s, c: s._replace(value=float("nan"))), "value is nan|gives nan"),
    "a tensor": (scoring(lambda s, c: s._replace(value=c.mean.sum())), "value is tensor"),
    "a part that is infinite": (scoring(lambda s, c: s._replace(parts={"p": float("inf")})), "p is inf"),
    "changes the codes": (scoring(changed), "changes the codes"),
    "the wrong way round": ({"better": "lower"}, "gives perfect codes .* and noise .*; lower is better"),
    "an unknown direction": ({"better": "more"}, "better = 'more'; allowed: higher, lower"),
    "beyond its limits": (scoring(lambda s, c: s._replace(value=3 * s.value)), "gives 2.9.*; its limits are 0 and 1"),
    "limits without room": ({"limits": (1.0, 1.0)}, "limits = .*; allowed: the least value, then a larger one"),
    "reads nothing": ({"reads": "pixels"}, "reads = 'pixels'"),
    "no settings": (scoring(lambda s, c: s._replace(settings={})), "its score does not say power, seed"),
    "settings of tensors": (scoring(lambda s, c: s._replace(settings={**s.settings, "m": c.mean})), "no plain values"),
    "one latent too few": (
        scoring(lambda s, c: s._replace(value=s.value / (c.mean.shape[1] - 1 or math.nan))),
        "own with one latent: value is nan",
    ),
    "not for a hundred latents": (
        scoring(lambda s, c: s._replace(value=math.inf if c.mean.shape[1] > 50 else s.value)),
        "own with a hundred latents: value is inf",
    ),
    "of one precision": (
        scoring(lambda s, c: s._replace(value=s.value * (0.9 if c.mean.dtype == torch.float64 else 1.0))),
        "for float32 codes and .* in float64",
    ),
    "scores NaN": (
        {
            "__call__": lambda self, codes, seed=0: (
                own(self, codes._replace(mean=codes.mean.nan_to_num()), seed)
                if codes.levels.shape[1]
                else table(codes, "own")
            )
        },
        "scores codes that carry no numbers",
    ),
    "no references": ({"references": ()}, "has no references"),
    "no example": ({"__doc__": "Nothing."}, "its docstring has no example"),
    "scores anything": (
        {"__call__": lambda self, codes, seed=0: _anything(self, codes, seed)},
        "it must raise UserError",
    ),
    "a bare number": (scoring(lambda s, c: s.value), "returns a float, not a Score"),  # type: ignore[arg-type, return-value]
}


def _anything(metric: Metric, codes: Codes, seed: int) -> Score:
    if not codes.levels.shape[1] or bool(codes.mean.isnan().any()):
        return Score(0.0, {}, metric.settings(codes, seed))
    return own(metric, codes, seed)


@pytest.mark.parametrize("changes, message", BROKEN.values(), ids=BROKEN)
def test_a_broken_metric_is_noticed(changes: dict[str, Any], message: str) -> None:
    made = type("Changed", (Own,), {"__doc__": Own.__doc__, "__module__": __name__, **changes})
    with pytest.raises(AssertionError, match=message) as caught:
        check_metric(dataclass(frozen=True)(made)())
    assert "\n" not in str(caught.value)
