"""``unweave score --codes``: representations of any framework, measured as trained models are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from unweave.analysis.properties import take
from unweave.cli.console import Console
from unweave.data.tables import read_codes
from unweave.metrics import METRICS, Metric, applicable, ceiling, floor
from unweave.metrics.rows import sample
from unweave.types import Codes, Score, UserError


def load_arrays(codes: Path, factors: Path | None, count: int | None, seed: int) -> tuple[Codes, int]:
    """Codes from files, or a sample of them, and how many images the files have."""
    found = read_codes(codes, factors)
    rows = len(found.mean)
    if count is None or count >= rows:
        return found, rows
    return take(found, torch.from_numpy(sample(rows, count, seed)).sort().values), rows


def usable_metrics(codes: Codes, chosen: Sequence[Metric], named: bool) -> list[Metric]:
    """Those that apply to the codes. Raises UserError where none does, or one that was asked for by name does not."""
    usable = applicable(chosen, codes)
    lacking = [metric for metric in chosen if metric not in usable]
    if lacking and (named or not usable):
        free = ", ".join(name for name, kind in METRICS.items() if applicable([kind()], codes)) or "none of the metrics"
        need = {"factors": "factors (--factors)", "distortion": "bce or squared_error beside mean in --codes"}
        what = need.get(lacking[0].reads, "log-variances (logvar) beside mean in --codes")
        raise UserError(f"{lacking[0].name} reads {what}, which these files lack; allowed: {free}")
    return usable


def measure_arrays(
    console: Console, codes: Codes, usable: Sequence[Metric], seed: int
) -> tuple[dict[str, Score], dict[str, tuple[float, float]]]:
    """Scores and limits of codes."""
    scores, limits = {}, {}
    for metric in usable:
        with console.busy(f"computing {metric.label}"):
            scores[metric.label] = metric(codes, seed=seed)
        if metric.reads == "factors":
            with console.busy(f"computing limits of {metric.label}"):
                low, high = floor(metric, codes, seed), ceiling(metric, codes, seed)
            if low is not None and high is not None:
                limits[metric.label] = (low.value, high.value)
    return scores, limits


def about(codes: Codes, path: Path, factors: Path | None) -> dict[str, Any]:
    """What the JSON document says of codes that belong to no run."""
    files = {"codes": str(path), "factors": None if factors is None else str(factors)}
    return {**files, "images": len(codes.mean), "latents": codes.mean.shape[1]}
