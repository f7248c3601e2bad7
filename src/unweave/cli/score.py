"""``unweave score``: how good trained models are, beside what their data allow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from unweave.cli.arrays import about, load_arrays, measure_arrays, usable_metrics
from unweave.cli.console import Console, Failed
from unweave.cli.options import parse
from unweave.cli.runs import find_all, images
from unweave.metrics import METRICS, Metric, full, quick
from unweave.metrics.blocks import Blocks
from unweave.names import known
from unweave.report.from_run import limits_of
from unweave.report.numbers import fixed, number
from unweave.report.text import table
from unweave.run import Run, load
from unweave.store import StoreError
from unweave.types import Score, UserError


@dataclass(frozen=True)
class Options:
    """Measure trained models; scores are kept in each run's folder, with what noise and the perfect code reach.

    With --codes, measure a representation of any other program instead: nothing is kept then.

    Args:
        runs: folders of runs, first letters of their keys, or last.
        codes: an .npz with mean (images, latents); if there are any, logvar, bce, squared_error, pixels and blocks.
        factors: an .npz with levels (images, factors) counted from 0 for the same images; names and sizes if wanted.
        metrics: which metrics; the quick ones that apply, DCI by its fast estimator, when empty.
        full: every metric as publications compute it, DCI by scikit-learn's boosting (minutes), and those of --metrics.
        images: how many images are read, or all.
        seed: of the sample of images and of the metrics.
        blocks: joint scores the latents of a block as one code, ignore each latent; every metric's own way when None.
        space: the latent space, for models with several; only scores of space 0 are kept.
        data_root: folder of data files; the environment variable UNWEAVE_DATA when None.
        device: cpu, cuda or cuda:1 …; a GPU where there is one when None.
        out: folder of run folders, in which keys and last are looked up.
        json: print one JSON document, and nothing else.
    """

    runs: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    codes: Path | None = None
    factors: Path | None = None
    metrics: tuple[str, ...] = ()
    full: bool = False
    images: str = "15000"
    seed: int = 0
    blocks: Blocks | None = None
    space: int = 0
    data_root: Path | None = None
    device: str | None = None
    out: Path = Path("runs")
    json: bool = False


def run(argv: Sequence[str]) -> int:
    """Score every run named."""
    options = parse(Options, argv, "score")
    console = Console(options.json)
    chosen = _chosen(options)
    count = images(options.images)
    if options.seed < 0:
        raise UserError(f"seed = {options.seed}; allowed: 0 or more")
    if options.codes is not None or options.factors is not None:
        return _arrays(console, options, chosen, count)
    folders = find_all(options.runs, options.out, "--out")

    def opened(folder: Path) -> Run:
        return load(folder, root=options.data_root, device=options.device)

    # One at a time, since there may be thousands; and all are looked at before the first is scored.
    one = None
    for folder in folders:
        one = opened(folder)
        _refuse(one, chosen, bool(options.metrics), options.space)
    documents = []
    for folder in folders:
        one = one if one is not None and len(folders) == 1 else opened(folder)
        e = one.experiment
        console.say(f"{folder}: {e.method.name} on {e.data.name}, seed {e.seed}, step {one.step:,} of {e.steps:,}")
        if one.failure is not None:
            console.say(
                f"  it failed at step {one.failure.step:,} ({one.failure.term}): this is its last good checkpoint"
            )
        try:
            scores, limits = measure(console, one, chosen, count, options.seed, options.space)
        except StoreError as error:
            raise Failed(str(error)) from None
        console.say(table(_rows(scores, limits)))
        documents.append(_document(folder, one, scores, limits))
    console.result({"runs": documents})
    return 0


def _arrays(console: Console, options: Options, chosen: Sequence[Metric], count: int | None) -> int:
    """Score a representation that lies in files."""
    if options.runs or options.codes is None:
        what = "--codes beside runs" if options.codes is not None else "--factors without --codes"
        raise UserError(f"{what}; allowed: runs, or --codes FILE with --factors FILE")
    if options.space:
        raise UserError(f"space = {options.space}; allowed with --codes: none, the file is one space")
    codes, rows = load_arrays(options.codes, options.factors, count, options.seed)
    usable = usable_metrics(codes, chosen, bool(options.metrics))
    read, latents = codes.mean.shape
    console.say(f"{options.codes}: {latents} latents, {len(codes.sizes)} factors, {rows:,} images")
    if read < rows:
        console.say(f"  read: {read:,} of them, seed {options.seed} (--images all for every one)")
    scores, limits = measure_arrays(console, codes, usable, options.seed)
    console.say(table(_rows(scores, limits)))
    console.result({"runs": [{**about(codes, options.codes, options.factors), "scores": _scores(scores, limits)}]})
    return 0


def measure(
    console: Console, one: Run, chosen: Sequence[Metric], count: int | None, seed: int = 0, space: int = 0
) -> tuple[dict[str, Score], dict[str, tuple[float, float]]]:
    """Scores and limits of the metrics that apply to a run, those already kept read back; progress on the console."""
    wanted = [metric for metric in chosen if metric.reads != "factors" or one.data.factors is not None]
    todo = [metric for metric in wanted if space or not one.kept(metric, count=count, seed=seed)]
    if not todo:
        console.say("  scored already, in the same way: nothing to compute")
        limits = one.known_limits()
        return {m.label: one.scores[m.label] for m in wanted}, {
            m.label: limits[m.label] for m in wanted if m.label in limits
        }
    read = min(count or one.data.rows, one.data.rows)
    names = ", ".join(metric.label for metric in todo)
    console.say(
        f"  {names} on {read:,} of {one.data.rows:,} images, seed {seed}" + (f", space {space}" if space else "")
    )
    with console.busy(f"encoding {read:,} images"):
        codes = one.codes(count, seed=seed, space=space)
    # Points have no density: of several metrics the others are computed, and one alone says why it cannot be.
    lost = [metric for metric in todo if metric.posteriors and codes.logvar is None] if len(todo) > 1 else []
    if lost:
        names = ", ".join(metric.label for metric in lost)
        console.say(f"  left out, because these codes have no log-variances: {names}")
        wanted, todo = ([metric for metric in some if metric not in lost] for some in (wanted, todo))
    with _naming(console) as told:
        found = one.score(todo, count=count, seed=seed, space=space, told=told, codes=codes)
    with _naming(console, "limits of ") as told:
        limits = limits_of(one, wanted, codes, seed=seed, told=told)
    scores = {m.label: found.get(m.label) or one.scores[m.label] for m in wanted}
    return scores, limits


def _chosen(options: Options) -> list[Metric]:
    labels = {metric.label: metric for metric in quick()}
    known_names = dict.fromkeys([*METRICS, *labels])
    # A label of a table, such as dci-fast, asks for the metric that it stands for.
    named = [
        METRICS[name]() if known(name, known_names, "metric") in METRICS else labels[name]
        for name in dict.fromkeys(options.metrics)
    ]
    chosen = full() if options.full else named or quick()
    there = {metric.label for metric in chosen}
    if options.full:
        chosen += [metric for metric in named if metric.label not in there]
    return [_with_blocks(metric, options.blocks) for metric in chosen]


def _with_blocks(metric: Metric, blocks: str | None) -> Metric:
    """The metric with the blocks asked for, where it has such a setting."""
    changes: dict[str, Any] = {} if blocks is None else {"blocks": blocks}
    return replace(metric, **changes) if any(one.name == "blocks" for one in fields(metric)) else metric


def _refuse(one: Run, chosen: Sequence[Metric], named: bool, space: int) -> None:
    """Raises UserError for what is known to be impossible before any image is encoded."""
    if not 0 <= space < one.model.spaces:
        raise UserError(f"latent space {space}; this model has 0 to {one.model.spaces - 1}")
    if one.data.factors is None and named:
        for metric in chosen:
            if metric.reads == "factors":
                free = ", ".join(name for name, kind in METRICS.items() if kind.reads != "factors")
                raise UserError(
                    f"{metric.name} compares latents with known factors, and {one.data.name} has none; allowed: {free}"
                )


def _rows(scores: dict[str, Score], limits: dict[str, tuple[float, float]]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for label, score in scores.items():
        low, high = limits.get(label, (None, None))
        parts = [(name, value) for name, value in score.parts.items() if "." not in name and value != score.value]
        main = "  ".join(f"{name} {number(value)}" for name, value in parts[:3])
        # As text: metrics are in different units, so one number of decimals down the column fits none of them.
        numbers = {"value": fixed(score.value), "floor": fixed(low), "ceiling": fixed(high)}
        rows.append({"metric": label, **numbers, "parts": main})
    return rows


def _document(
    folder: Path, one: Run, scores: dict[str, Score], limits: dict[str, tuple[float, float]]
) -> dict[str, Any]:
    e = one.experiment
    who = {"key": e.key, "folder": str(folder), "method": e.method.name, "data": e.data.name, "seed": e.seed}
    return {**who, "step": one.step, "scores": _scores(scores, limits)}


def _scores(scores: dict[str, Score], limits: dict[str, tuple[float, float]]) -> dict[str, Any]:
    found = {}
    for label, score in scores.items():
        low, high = limits.get(label, (None, None))
        settings = dict(score.settings)
        found[label] = {
            "value": score.value,
            "floor": low,
            "ceiling": high,
            "parts": dict(score.parts),
            "settings": settings,
        }
    return found


@contextmanager
def _naming(console: Console, prefix: str = "") -> Iterator[Any]:
    """A function that is told a metric's label and names it on the console until the next one, or the end."""
    with ExitStack() as stack:

        def told(label: str) -> None:
            stack.close()
            stack.enter_context(console.busy(f"computing {prefix}{label}"))

        yield told
