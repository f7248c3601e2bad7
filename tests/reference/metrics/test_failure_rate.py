"""Failure rate: counts, and intervals against sums of binomial probabilities and published formulas."""

from __future__ import annotations

import math

import pytest

from unweave.metrics import failure_rate
from unweave.types import Score, UserError


def tail(k, n, p, upper):
    """P(X ≥ k) or P(X ≤ k) of a binomial, term by term."""
    terms = range(k, n + 1) if upper else range(k + 1)
    return sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in terms)


def scores(failures, runs):
    return [0.0] * failures + [0.5] * (runs - failures)


@pytest.mark.parametrize(("failures", "runs"), [(0, 50), (1, 5), (4, 50), (12, 50), (50, 50)])
@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_exact_interval_is_clopper_and_pearsons(failures, runs, confidence):
    found = failure_rate(scores(failures, runs), confidence=confidence)
    assert (found.rate, found.failures, found.runs) == (failures / runs, failures, runs)
    rest = (1 - confidence) / 2
    if failures:
        assert tail(failures, runs, found.low, upper=True) == pytest.approx(rest, abs=1e-8)
    else:
        assert found.low == 0
    if failures < runs:
        assert tail(failures, runs, found.high, upper=False) == pytest.approx(rest, abs=1e-8)
    else:
        assert found.high == 1


@pytest.mark.parametrize(("failures", "runs"), [(0, 50), (3, 10), (12, 50)])
def test_wilsons_interval(failures, runs):
    found = failure_rate(scores(failures, runs), interval="wilson")
    z, p = 1.959963984540054, failures / runs
    centre = (p + z * z / (2 * runs)) / (1 + z * z / runs)
    half = z / (1 + z * z / runs) * math.sqrt(p * (1 - p) / runs + z * z / (4 * runs * runs))
    assert (found.low, found.high) == pytest.approx((max(centre - half, 0), centre + half), abs=1e-9)


def test_below_is_failed_and_at_is_not():
    assert failure_rate([0.1, 0.0999, 0.2]).failures == 1
    assert failure_rate([0.1, 0.0999, 0.2], threshold=0.15).failures == 2
    assert failure_rate([Score(0.05), Score(0.4)]).rate == 0.5


def test_published_rate_and_what_fifty_seeds_can_say():
    """None of 50 failed: the true rate may still be seven in a hundred."""
    assert failure_rate(scores(0, 50)).high == pytest.approx(1 - 0.025 ** (1 / 50), abs=1e-9)


def test_refusals():
    for given, message in (
        ({"scores": []}, "no scores"),
        ({"scores": [0.1, math.nan]}, "number 1 are not finite"),
        ({"scores": [0.1], "confidence": 1.0}, "confidence = 1.0"),
        ({"scores": [0.1], "threshold": math.nan}, "threshold = nan"),
        ({"scores": [0.1], "interval": "wald"}, "unknown interval of failure_rate 'wald'"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            failure_rate(**given)
        assert "\n" not in str(caught.value)
