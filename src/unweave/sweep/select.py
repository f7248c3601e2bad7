"""Which model: means with intervals, failures, agreement of metrics, tests between settings, and UDR without labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unweave.job import digest
from unweave.metrics import METRICS, failure_rate, udr
from unweave.metrics.failure import FailureRate
from unweave.names import nearest
from unweave.results import Row, safe
from unweave.run import load
from unweave.store import RunFolder, now
from unweave.types import UserError

LOWER = ("loss_", "elbo_", "seconds_per_step")
"""How names begin of which smaller values are better: terms of the loss, the parts of the ELBO, and time."""
DRAWS = 1_000_000
"""Numbers that the bootstrap draws at a time at most: enough to be quick, few enough to hold."""
MOST = 100
"""Settings of which every pair is tested; with more, only the best is with each other one."""
NEVER = ("seed", "source", "written", "seconds_per_step", "failed_term")
"""Columns that do not make a setting."""


class Interval(NamedTuple):
    """A mean and where it would lie with other seeds."""

    mean: float
    low: float
    high: float
    runs: int


class Summary(NamedTuple):
    """The runs of one setting."""

    setting: Mapping[str, Any]
    interval: Interval
    failures: FailureRate | None
    """Runs below the threshold; None where none was asked for."""
    broken: int
    """Runs without this number: not finished, not scored, or no longer finite."""
    best: str
    """The key of the best run."""


class Difference(NamedTuple):
    """Two settings compared."""

    first: int
    second: int
    """Their places among the summaries."""
    difference: float
    """Of the means, first minus second."""
    p: float
    """Of the two-sided Mann-Whitney U test, adjusted by Holm for all pairs compared."""


def bootstrap(values: Sequence[float], confidence: float = 0.95, *, resamples: int = 10_000, seed: int = 0) -> Interval:
    """The mean and its percentile bootstrap interval (Efron, 1979): from the means of samples drawn with replacement.

    With one value there is nothing to draw from: both ends are that value.

    Raises:
        UserError: no values, values that are not finite, or a confidence out of (0, 1).

    >>> found = bootstrap([0.1, 0.2, 0.3])
    >>> round(found.mean, 6), 0.1 <= found.low < found.high <= 0.3
    (0.2, True)
    """
    x = np.asarray(values, np.float64)
    if not len(x) or not np.isfinite(x).all():
        raise UserError(f"bootstrap: {len(x)} values, some not finite; allowed: one finite number or more")
    if not 0 < confidence < 1 or resamples < 1:
        raise UserError(
            f"bootstrap: confidence = {confidence}, resamples = {resamples}; allowed: above 0 and below 1; from 1"
        )
    chance = np.random.default_rng(seed)
    each = max(1, DRAWS // len(x))
    shares = (min(each, resamples - done) for done in range(0, resamples, each))
    means = np.concatenate([x[chance.integers(0, len(x), (share, len(x)))].mean(1) for share in shares])
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(x.mean()), float(low), float(high), len(x))


def settings(rows: Sequence[Row]) -> list[str]:
    """The columns that make a setting: method and data where runs differ in them, and everything besides seeds in which
    runs of one method on one data set differ."""
    flat = [{**one.head, **one.settings} for one in rows]
    names = [
        n for n in dict.fromkeys(name for one in flat for name in one) if n not in (*NEVER, "key", "state", "step")
    ]
    found = [name for name in ("method", "data") if len({one[name] for one in flat}) > 1]
    alike: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in flat:
        alike.setdefault((one["method"], one["data"]), []).append(one)
    return found + [
        name
        for name in names
        if name not in ("method", "data")
        and any(len({repr(one.get(name)) for one in members}) > 1 for members in alike.values())
    ]


def prefers_lower(column: str) -> bool:
    """Whether smaller values of a column are better, as its metric says.

    >>> prefers_lower("reconstruction"), prefers_lower("mig_gap_shape"), prefers_lower("elbo"), prefers_lower("loss_kl")
    (True, False, False, True)
    >>> prefers_lower("dci_lasso"), prefers_lower("dci_lasso_nrmse_shape")
    (False, True)
    """
    names = {safe(name): kind for name, kind in METRICS.items()}
    near = max((name for name in names if column == name or column.startswith(f"{name}_")), key=len, default="")
    if not near:
        return column.startswith(LOWER)
    part = f"{column.removeprefix(near)}_"
    return names[near].better == "lower" or any(f"_{safe(one)}_" in part for one in names[near].errors)


def summaries(
    rows: Sequence[Row],
    column: str,
    *,
    by: Sequence[str] | None = None,
    lower: bool | None = None,
    threshold: float | None = None,
    confidence: float = 0.95,
) -> list[Summary]:
    """The settings of some runs, the best mean first; those without any number last.

    Args:
        rows: runs, as ``results.rows`` gives them.
        column: any number: ``mig``, ``elbo``, ``udr``, ``dci_fast_completeness`` …; of finished runs, since what is
            under way or has failed shows an earlier step's.
        by: what makes a setting; every column in which the runs differ, seeds aside, when None.
        lower: whether smaller is better; as the metric says when None.
        threshold: a run that is worse than this has failed.
        confidence: of the intervals of means and of failure rates.

    Raises:
        UserError: no runs, a column that no run has, or one that holds no numbers.
    """
    flat = [one.flat() for one in rows]
    columns = dict.fromkeys(name for one in flat for name in one)
    for name in (column, *(by or ())):
        if name not in columns:
            raise UserError(_unknown(name, list(columns), flat))
    _check_numbers(column, list(columns), flat)
    by = settings(rows) if by is None else list(by)
    down = prefers_lower(column) if lower is None else lower
    sign = -1.0 if down else 1.0
    found = []
    for members in _grouped(flat, by).values():
        values = [(value, str(one["key"])) for one in members if (value := _scored(one, column)) is not None]
        numbers_ = [value for value, _ in values]
        nothing = Interval(math.nan, math.nan, math.nan, 0)
        failed = None
        if threshold is not None and values:
            failed = failure_rate([sign * v for v in numbers_], threshold=sign * threshold, confidence=confidence)
        found.append(
            Summary(
                {name: members[0].get(name) for name in by},
                bootstrap(numbers_, confidence) if values else nothing,
                failed,
                len(members) - len(values),
                max(values, key=lambda pair: sign * pair[0])[1] if values else "",
            )
        )
    return sorted(found, key=lambda s: (s.interval.runs == 0, -sign * s.interval.mean if s.interval.runs else 0.0))


def differences(rows: Sequence[Row], column: str, found: Sequence[Summary]) -> list[Difference]:
    """Every pair of settings, tested: two-sided Mann-Whitney U (exact for few runs without ties), p adjusted by Holm.

    Settings with fewer than two numbers are left out: no test can tell them apart. Of more than ``MOST`` settings only
    the first is tested against each other one.
    """
    from scipy.stats import mannwhitneyu

    if not found:
        return []
    groups = _grouped((one.flat() for one in rows), list(found[0].setting))
    samples = [
        [value for one in groups[repr(list(each.setting.values()))] if (value := _scored(one, column)) is not None]
        for each in found
    ]
    every = combinations(range(len(found)), 2) if len(found) <= MOST else ((0, j) for j in range(1, len(found)))
    pairs = [(i, j) for i, j in every if min(len(samples[i]), len(samples[j])) > 1]
    raw = [float(mannwhitneyu(samples[i], samples[j], alternative="two-sided").pvalue) for i, j in pairs]
    means = [each.interval.mean for each in found]
    return [Difference(i, j, means[i] - means[j], p) for (i, j), p in zip(pairs, holm(raw), strict=True)]


def holm(p: Sequence[float]) -> list[float]:
    """P values adjusted for being looked at together (Holm, 1979), in the order given.

    >>> [round(one, 6) for one in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    adjusted, so_far = [0.0] * len(p), 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        so_far = max(so_far, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = so_far
    return adjusted


def correlations(rows: Sequence[Row], columns: Sequence[str]) -> NDArray[np.float64]:
    """(C, C) Spearman rank correlations of columns over runs, each pair over the finished runs that have both.

    NaN for fewer than three of them, or where one column does not vary.

    Raises UserError for a column that no run has, or one that holds no numbers.
    """
    from scipy.stats import rankdata

    flat = [one.flat() for one in rows]
    names = list(dict.fromkeys(name for one in flat for name in one))
    for column in columns if rows else ():
        _check_numbers(column, names, flat)
    table = np.array([[math.nan if (v := _scored(one, c)) is None else v for c in columns] for one in flat]).reshape(
        len(rows), len(columns)
    )
    matrix = np.full((len(columns), len(columns)), math.nan)
    for i in range(len(columns)):
        for j in range(len(columns)):
            both = table[np.isfinite(table[:, i]) & np.isfinite(table[:, j])][:, [i, j]]
            if len(both) > 2 and np.ptp(both[:, 0]) > 0 and np.ptp(both[:, 1]) > 0:
                ranks = rankdata(both, axis=0)
                matrix[i, j] = np.corrcoef(ranks[:, 0], ranks[:, 1])[0, 1]
    return matrix


def score_udr(
    rows: Sequence[Row],
    *,
    by: Sequence[str] | None = None,
    images: int = 1000,
    similarity: str = "lasso",
    root: Path | None = None,
    told: Callable[[str], object] = lambda key: None,
) -> dict[str, float]:
    """UDR of every run among the runs of its setting (Duan et al., 2020): key -> score, kept with each run.

    Settings with a single run, and runs without a model, are left out. It needs no factors; a run's score is read back
    where it was computed among the same runs in the same way before.

    Raises:
        UserError: no setting has two runs.
    """
    by = settings(rows) if by is None else list(by)
    groups: dict[str, list[Row]] = {}
    for one in rows:
        if one.head["state"] == "done":
            flat = one.flat()
            groups.setdefault(repr([flat.get(name) for name in by]), []).append(one)
    alike = [members for members in groups.values() if len(members) > 1]
    if not alike:
        raise UserError("udr compares runs that differ in their seeds only; allowed: two finished runs of one setting")
    found: dict[str, float] = {}
    refused: list[str] = []
    for members in alike:
        keys = sorted(str(one.head["key"]) for one in members)
        asked = digest({"udr": keys, "images": images, "similarity": similarity})
        kept = {str(one.head["key"]): _kept(RunFolder(one.folder), asked) for one in members}
        if any(value is None for value in kept.values()):
            codes = []
            try:
                for one in members:
                    told(str(one.head["key"]))
                    codes.append(load(one.folder, root=root).codes(images))
            except UserError as why:
                # Runs of a method that is not known here say nothing against the others.
                refused.append(str(why))
                continue
            scores = udr(codes, similarity, images=images).scores.tolist()
            for one, score in zip(members, scores, strict=True):
                folder = RunFolder(one.folder)
                row = {
                    "asked": asked,
                    "measure": "udr",
                    "step": one.head["step"],
                    "values": {"udr": score},
                    "at": now(),
                }
                with folder.lock(wait=10.0):
                    folder.append(row)
                kept[str(one.head["key"])] = score
        found |= {key: value for key, value in kept.items() if value is not None}
    if refused and not found:
        raise UserError(refused[0])
    return found


def _kept(folder: RunFolder, asked: str) -> float | None:
    return next((row["values"]["udr"] for row in folder.rows() if row.get("asked") == asked), None)


def _grouped(flat: Iterable[dict[str, Any]], by: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Runs by their settings in words: 1, 1.0 and True are not the same."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in flat:
        groups.setdefault(repr([one.get(name) for name in by]), []).append(one)
    return groups


def _scored(one: Mapping[str, Any], column: str) -> float | None:
    """A finished run's number; None for any other's, which is that of some earlier step."""
    return _number(one.get(column)) if one["state"] == "done" else None


def _check_numbers(name: str, columns: list[str], flat: Sequence[Mapping[str, Any]]) -> None:
    """Raises UserError for a column that no run has a number in."""
    if not any(_number(one.get(name)) is not None for one in flat):
        raise UserError(_unknown(name, columns, flat))


def _unknown(name: str, columns: list[str], flat: Sequence[Mapping[str, Any]]) -> str:
    """What is said of a column that no run has."""
    if name in {safe(one) for one in METRICS}:
        return f"no run has a score {name!r} yet: unweave score RUN ... --metrics {name.replace('_', '-')} gives it one"
    # beta is what is typed for training, and method_beta its column.
    typed = {column.removeprefix("method_"): column for column in columns}
    ends = [column for column in columns if column.endswith(f"_{name}")]
    near = typed.get(name) or (ends[0] if ends else typed.get(nearest(name, typed) or ""))
    meant = f" — did you mean {near!r}?" if near else ""
    numbers = [n for n in columns if any(_number(one.get(n)) is not None for one in flat)]
    what = "has a number in" if name in columns else "has a"
    return f"no run {what} column {name!r}{'' if name in columns else meant} (numbers: {', '.join(numbers[:30])})"


def _number(value: Any) -> float | None:
    whole = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if whole else None
