"""Failure rate: how often does a method, over its seeds, not disentangle at all?"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal, NamedTuple

from unweave.names import known
from unweave.types import Score, UserError


class FailureRate(NamedTuple):
    """The share of runs that failed, with the interval in which the true rate lies."""

    rate: float
    """failures / runs."""
    low: float
    """Lower end of the confidence interval."""
    high: float
    """Upper end of the confidence interval."""
    failures: int
    """Runs that scored below the threshold."""
    runs: int
    """All runs."""


def failure_rate(
    scores: Iterable[float | Score],
    threshold: float = 0.1,
    *,
    confidence: float = 0.95,
    interval: Literal["exact", "wilson"] = "exact",
) -> FailureRate:
    """The share of runs whose score is below a threshold (Wu et al., 2022: MIG < 0.1 over 50 seeds).

    With k failures in n runs the exact interval is that of Clopper & Pearson (1934): the rates p under which k or more,
    and k or fewer, failures have a probability of at least (1 − confidence) / 2; it covers the true rate at least as
    often as it says. Wilson's (1927) is narrower and covers it about as often.

    Args:
        scores: one a run: numbers, or Scores whose value is read.
        threshold: a run below it failed; one at it did not.
        confidence: of the interval.
        interval: ``exact`` or ``wilson``.

    Raises:
        UserError: no runs, a score that is not finite (a run without one has neither failed nor not), a confidence
            out of (0, 1), or an unknown interval.

    >>> rate = failure_rate([0.05, 0.3, 0.25, 0.31, 0.1])
    >>> rate.rate, rate.failures, round(rate.low, 3), round(rate.high, 3)
    (0.2, 1, 0.005, 0.716)
    """
    from scipy.stats import binomtest

    known(interval, ("exact", "wilson"), "interval of failure_rate")
    values = [float(one.value if isinstance(one, Score) else one) for one in scores]
    if not values:
        raise UserError("failure_rate: no scores; allowed is one or more")
    if not math.isfinite(threshold) or not 0 < confidence < 1:
        raise UserError(
            f"failure_rate: threshold = {threshold}, confidence = {confidence}; allowed: a finite number, "
            "and above 0 and below 1"
        )
    broken = [place for place, value in enumerate(values) if not math.isfinite(value)]
    if broken:
        raise UserError(
            f"failure_rate: scores number {', '.join(map(str, broken))} are not finite; leave those runs out, or count "
            "them as failures by giving them a score below the threshold"
        )
    failures = sum(value < threshold for value in values)
    ends = binomtest(failures, len(values)).proportion_ci(confidence, method=interval)
    return FailureRate(failures / len(values), float(ends.low), float(ends.high), failures, len(values))
