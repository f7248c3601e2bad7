"""``unweave select``: which setting, and which of its models, is best by some number, and how sure that is."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from unweave.cli.console import Console, one_line
from unweave.cli.options import parse
from unweave.report.text import table
from unweave.results import Row, rows, safe
from unweave.store import RunFolder, StoreError
from unweave.sweep.select import MOST, Difference, Summary, correlations, differences, score_udr, summaries
from unweave.types import UserError

LOOKED_AT = 2000
"""Runs of which it is looked at how their scores were asked for."""
WAYS = 4
"""Ways that are told of, the commonest first."""


@dataclass(frozen=True)
class Options:
    """The settings of all runs, best first: mean, bootstrap interval, failures, best run; and which differ.

    A setting is everything but the seed. Settings are compared by the two-sided Mann-Whitney U test, with p adjusted by
    Holm for all pairs (of more than 100, only the first with each other). udr ranks without labels: it compares the
    runs of a setting with one another, and is computed when first asked for; elbo needs a sweep that measured it on
    held-out images (docs/sweeps.md).

    Args:
        metric: any column of `unweave results` that holds numbers: mig, elbo, udr, dci_fast_completeness.
        by: columns that make a setting, such as method method_beta; all in which runs differ when empty.
        threshold: count runs that are worse than this as failed.
        lower: smaller is better; as the metric says when not given.
        correlate: other columns whose rank correlation with the metric, and among each other, is shown.
        confidence: of the intervals.
        data_root: folder of data files, for udr.
        out: folder of run folders.
        json: print one JSON document.
    """

    metric: Annotated[str, tyro.conf.Positional] = "mig"
    by: tuple[str, ...] = ()
    threshold: float | None = None
    lower: bool = False
    correlate: tuple[str, ...] = ()
    confidence: float = 0.95
    data_root: Path | None = None
    out: Path = Path("runs")
    json: bool = False


def run(argv: Sequence[str]) -> int:
    """Print the settings, the differences and the correlations."""
    options = parse(Options, argv, "select")
    if not options.out.is_dir():
        raise UserError(f"there is no folder {options.out}; allowed: the folder that `unweave sweep --out` names")
    if not 0 < options.confidence < 1:
        raise UserError(f"confidence = {options.confidence}; allowed: above 0 and below 1")
    console = Console(options.json)
    column, by = safe(options.metric), [safe(one) for one in options.by] or None
    with console.busy(f"reading {options.out}"):
        found, skipped = rows(options.out)
        if not found and not skipped:
            raise UserError(f"{options.out} holds no runs; train some first, or name another folder with --out")
        if not found:
            folder, why = next(iter(skipped.items()))
            raise UserError(f"none of the {len(skipped):,} runs of {options.out} can be read; {folder}: {why}")
        if column == "udr":
            # What a run's folder holds may be of other runs: only what was found for these counts.
            scores = score_udr(found, by=by, root=options.data_root)
            found = [one._replace(measured={**one.measured, "udr": scores.get(str(one.head["key"]))}) for one in found]
    for folder, why in skipped.items():
        print(one_line(f"unweave select: note: passed over {folder}: {why}"), file=sys.stderr)
    ways = _ways(found, column)
    if len(ways) > 1:
        told = "; ".join(f"{how} in {count:,} run{'s'[: count != 1]}" for how, count in ways.most_common(WAYS))
        print(one_line(f"unweave select: note: {column} was not made in one way: {told}"), file=sys.stderr)
    best = summaries(
        found,
        column,
        by=by,
        lower=options.lower or None,
        threshold=options.threshold,
        confidence=options.confidence,
    )
    apart = differences(found, column, best)
    names = [column, *(safe(one) for one in options.correlate)]
    matrix = correlations(found, names) if options.correlate else None
    console.say(table([_line(place, one, column, options) for place, one in enumerate(best)]))
    for line in _said(best, apart, options):
        console.say(line)
    if matrix is not None:
        console.say("\nrank correlations (Spearman) over runs")
        lines = zip(names, matrix.tolist(), strict=True)
        console.say(table([{"": name, **dict(zip(names, row, strict=True))} for name, row in lines]))
    console.result(
        {
            "metric": column,
            "settings": [_json(one) for one in best],
            "test": "two-sided Mann-Whitney U, p adjusted by Holm",
            "differences": [one._asdict() for one in apart],
            "correlations": None if matrix is None else {"columns": names, "spearman": matrix.tolist()},
        }
    )
    return 0


def _ways(found: Sequence[Row], column: str) -> Counter[str]:
    """In how many ways the scores of a column were asked for; of many runs the first are looked at."""
    ways: Counter[str] = Counter()
    for one in found[:LOOKED_AT]:
        with suppress(StoreError, TypeError, KeyError, AttributeError, ValueError):
            kept = RunFolder(one.folder).read("scores")
            there = kept["scores"] if kept.get("step") == one.head["step"] else {}
            for entry in [entry for name, entry in there.items() if safe(name) == column]:
                asked = entry["asked"]
                count = entry.get("read", asked["images"])
                images = "all images" if count is None else f"{count:,} images"
                settings = ", ".join(f"{name} {value}" for name, value in asked["settings"].items())
                ways[f"{images}, seed {asked['seed']}{f' ({settings})' if settings else ''}"] += 1
    return ways


def _line(place: int, one: Summary, column: str, options: Options) -> dict[str, Any]:
    low, high = one.interval.low, one.interval.high
    line: dict[str, Any] = {"": place + 1, **one.setting, "runs": one.interval.runs, column: one.interval.mean}
    line[f"{options.confidence:.0%} interval"] = f"{low:.4g} … {high:.4g}" if one.interval.runs else ""
    if one.failures is not None:
        line["failed"] = f"{one.failures.rate:.0%} ({one.failures.low:.0%} … {one.failures.high:.0%})"
    if one.broken:
        line["without"] = one.broken
    return line | {"best run": one.best}


def _said(best: Sequence[Summary], apart: Sequence[Difference], options: Options) -> list[str]:
    """Which settings the first one is shown to differ from, in words."""
    level = 1 - options.confidence
    first = [one for one in apart if one.first == 0]
    if not first:
        return ["too few runs a setting to test for differences: two of two settings are needed"] if best else []
    clear = [str(one.second + 1) for one in first if one.p < level]
    unclear = [str(one.second + 1) for one in first if one.p >= level]
    how = f"(two-sided Mann-Whitney U, Holm, p < {level:.2g})"
    lines = [f"setting 1 differs from {', '.join(clear)} {how}"] if clear else []
    lines += [f"setting 1 is not shown to differ from {', '.join(unclear)} {how}"] if unclear else []
    lines += [f"of more than {MOST} settings only the first is compared with the others"] if len(best) > MOST else []
    return lines


def _json(one: Summary) -> dict[str, Any]:
    failures = None if one.failures is None else one.failures._asdict()
    return one._asdict() | {"setting": dict(one.setting), "interval": one.interval._asdict(), "failures": failures}
