"""Does any method diverge? Every method at its published strength, at a tenth and at ten times of it.

    python benchmarks/stability.py [--methods NAME ...] [--steps 300] [--long 1000] [--out results/stability.csv]

Each method trains on dSprites at batch 64 with its published settings: --steps steps at its own strength and at a tenth
of it, in float32 and in bf16, and --long steps at ten times of it in bf16. Its strengths are multiplied together: the
float fields named in STRENGTHS, which weigh one term of the loss against another (rates, targets and shapes stay).
Schedules are shortened to the run, so that every stage is passed. A row says whether every number stayed finite, what
the distortion was in the first and in the last steps, and what stopped it if it stopped. Rows that the table has are
not trained again.
"""

from __future__ import annotations

import argparse
import csv
import io
import statistics
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from unweave import METHODS, Experiment, Method, fit
from unweave.engine.experiment import NUMBERS, preset_for
from unweave.store import environment, machine
from unweave.store.files import write_text

STRENGTHS = (
    "alpha", "beta", "betas", "beta_high", "beta_low", "beta_max", "beta_min", "beta_start", "disc_weight",
    "dw", "end", "gamma", "kl_weight", "lambda_d", "lambda_od", "mi", "mmd_weight", "recon_weight", "tc", "within",
)  # fmt: skip
"""Names of fields that are strengths, in whatever method has them."""


def stronger(method: Method, factor: float) -> tuple[Method, str]:
    """The method with its strengths multiplied, and which they are."""
    values: dict[str, Any] = {}
    for one in fields(method):
        value = getattr(method, one.name)
        if one.name in STRENGTHS and isinstance(value, float):
            values[one.name] = factor * value
        elif one.name in STRENGTHS and isinstance(value, tuple) and value and isinstance(value[0], float):
            values[one.name] = tuple(factor * each for each in value)
    return replace(method, **values), " ".join(values)


def trained(name: str, factor: float, precision: str, steps: int) -> dict[str, Any]:
    """One row: a method trained at one strength in one precision."""
    preset = preset_for(METHODS[name], "dsprites")
    method, which = stronger(METHODS[name](**preset.fields).over(steps / preset.steps), factor)
    experiment = Experiment(method, "dsprites", steps=steps, batch=64, precision=precision)
    run = fit(experiment, every=steps)
    recon = run.terms["recon"]
    tenth = max(1, len(recon) // 10)
    return {
        "method": name,
        "strength": factor,
        "precision": precision,
        "steps": steps,
        "finite": run.failure is None,
        "stopped": "" if run.failure is None else f"step {run.failure.step}: {run.failure.term}",
        "recon_first": round(recon[0], 2),
        "recon_last": round(statistics.fmean(recon[-tenth:]), 2),
        "falls": statistics.fmean(recon[-tenth:]) < recon[0],
        "strengths": which,
        "numbers": NUMBERS,
        "machine": machine(),
        "commit": environment()["commit"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="NAME")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--long", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path("results/stability.csv"))
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if args.out.exists():
        with args.out.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    short = [(factor, precision, args.steps) for factor in (1.0, 0.1) for precision in ("float32", "bf16")]
    for name in args.methods:
        for factor, precision, steps in [*short, (10.0, "bf16", args.long)]:
            how = (name, str(factor), precision, str(steps))
            if how in {(row["method"], str(row["strength"]), row["precision"], str(row["steps"])) for row in rows}:
                continue
            try:
                row = trained(*how[:1], factor, precision, steps)
            except ValueError as error:
                print(f"{name} × {factor:g}: {error}", flush=True)
                continue
            print(*list(row.values())[:9], flush=True)
            rows.append(row)
            text = io.StringIO()
            writer = csv.DictWriter(text, list(row), lineterminator="\n")
            writer.writeheader()
            writer.writerows(sorted(rows, key=lambda each: list(METHODS).index(each["method"])))
            args.out.parent.mkdir(parents=True, exist_ok=True)
            write_text(args.out, text.getvalue())


if __name__ == "__main__":
    main()
