"""What encoding and each metric cost: dSprites, all 737,280 images encoded, 10 latents.

    python benchmarks/metric_time.py [--run FOLDER] [--boosting] [--out results/metric_time.csv]

Reads a trained run, or trains a β-VAE for 300 steps first; encodes the whole set once; then times every metric with its
definition's settings on those codes, the standard set first (with its sum), then those that are counted apart: among
them the rate in its parts (``analysis.kl_decompose``) over all images, from --samples draws; how long it will take is
told first, from a hundredth of them. With --boosting also DCI by scikit-learn's boosting, which takes minutes. Peak
memory is that of the whole process so far.
"""

from __future__ import annotations

import argparse
import csv
import resource
import time
from pathlib import Path
from typing import Any

from unweave import DCI, METRICS, BetaVAE, Metric, fit, load
from unweave.analysis import kl_decompose
from unweave.store import environment, machine

STANDARD = (
    "mig", "dci", "sap", "factor-vae-score", "beta-vae-score", "modularity", "explicitness", "irs", "infomec",
    "gaussian-tc", "gaussian-wasserstein", "mean-pairwise-mi", "active-units",
)  # fmt: skip
"""What publications report side by side; the others are timed apart."""


def peak() -> int:
    """Megabytes of memory this process has used at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="folder of a run on dsprites")
    parser.add_argument("--boosting", action="store_true")
    parser.add_argument("--samples", type=int, default=1_000, help="draws that the rate's parts are means of")
    parser.add_argument("--out", type=Path, help="write the table as CSV too")
    args = parser.parse_args()
    run = load(args.run) if args.run else fit(BetaVAE(), "dsprites", steps=300, batch=64)
    images = run.images.rows
    start = time.perf_counter()
    codes = run.codes(None)
    seconds = time.perf_counter() - start
    rows: list[dict[str, Any]] = []

    def told(what: str, kind: str, seconds: float, value: float | str = "") -> None:
        shown = f"{value:.4f}" if isinstance(value, float) else value
        print(f"{what:24} {kind:9} {seconds:8.2f} s {shown:>10} {peak():6} MB", flush=True)
        rows.append({"what": what, "kind": kind, "seconds": round(seconds, 3), "value": shown, "peak_mb": peak()})

    print(f"{machine()}; {run!r}\n")
    told(f"encode {images:,} images", "encoding", seconds, f"{images / seconds:,.0f}/s")
    total = 0.0
    chosen: list[tuple[str, Metric]] = [
        ("standard", DCI(estimator="fast") if n == "dci" else METRICS[n]()) for n in STANDARD
    ]
    chosen += [("apart", kind()) for name, kind in METRICS.items() if name not in STANDARD]
    chosen += [("apart", DCI())] if args.boosting else []
    for kind, metric in chosen:
        start = time.perf_counter()
        score = metric(codes)
        seconds = time.perf_counter() - start
        total += seconds if kind == "standard" else 0.0
        told(metric.label, kind, seconds, float(score.value))
        if metric.name == STANDARD[-1]:
            told("the standard set", "sum", total)
    first = max(2, args.samples // 100)
    start = time.perf_counter()
    kl_decompose(codes, samples=first)
    print(f"parts of the rate: about {(time.perf_counter() - start) * args.samples / first:.0f} s", flush=True)
    start = time.perf_counter()
    rate = kl_decompose(codes, samples=args.samples)
    told("parts of the rate", "apart", time.perf_counter() - start, rate.mi)
    if args.out:
        about = {"machine": machine(), "commit": environment()["commit"]}
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with args.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*rows[0], *about], lineterminator="\n")
            writer.writeheader()
            writer.writerows({**row, **about} for row in rows)


if __name__ == "__main__":
    main()
