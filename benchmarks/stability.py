"""Does any method diverge? Every method at its published strength, at a tenth and at ten times of it.

    python benchmarks/stability.py [--methods NAME ...] [--steps 300] [--long 1000] [--out results/stability.csv]

Each method trains on dSprites at batch 64 with its published settings: --steps steps at its own strength and at a tenth
of it, and --long steps at ten times of it, each in float32 and bf16. Its strengths are multiplied together: the fields
named in STRENGTHS, which weigh one term of the loss against another (rates, targets and shapes stay). Schedules are
shortened to the run, so that every stage is passed. A row says whether every number stayed finite, what the distortion
was at the first step and in the last tenth, and what stopped it if it stopped. Rows that the table has are not trained
again.
"""

from __future__ import annotations

import argparse
import csv
import io
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

from unweave import METHODS, Experiment, Method, fit
from unweave.engine.experiment import NUMBERS, preset_for
from unweave.methods.dynamic_vae import PUBLISHED
from unweave.store import environment, machine
from unweave.store.files import write_text

STRENGTHS: dict[str, tuple[str, ...]] = {
    "beta-vae": ("beta",),
    "factor-vae": ("gamma",),
    "control-vae": ("beta_min", "kp", "ki"),
    "devae": ("betas",),
    "deft": ("betas",),
    "beta-tcvae": ("beta",),
    "hfvae": ("beta", "within_weight"),
    "beta-stcvae": ("beta",),
    "bhivae": ("recon_weight", "gamma"),
    "bhivae-supervised": ("beta", "gamma"),
    "annealed-vae": ("gamma",),
    "cascade-vae-c": ("beta_low", "beta_high"),
    "dynamic-vae": ("beta_start", "beta_min", "kp", "ki"),
    "dip-vae-i": ("lambda_od", "lambda_d"),
    "dip-vae-ii": ("lambda_od", "lambda_d"),
    "info-vae": ("lambda_mmd",),
    "ada-gvae": ("beta",),
    "ada-ml-vae": ("beta",),
    "guided-vae": ("light", "orthogonality"),
    "guided-vae-supervised": ("excitation", "inhibition"),
    "infogan": ("info",),
    "nvae": ("spectral",),
    "recurd": ("l1", "l2"),
}
"""The fields of each method that weigh one term of its loss against another; VAE and VampPrior have none."""


def stronger(method: Method, factor: float) -> Method:
    """The method with its strengths multiplied."""
    values: dict[str, Any] = {}
    for name in STRENGTHS.get(method.name, ()):
        value = getattr(method, name)
        if value is None:
            value = PUBLISHED[method.variant][name]  # type: ignore[attr-defined]
        values[name] = tuple(factor * each for each in value) if isinstance(value, tuple) else factor * value
    return replace(method, **values)


def trained(name: str, factor: float, precision: str, steps: int) -> dict[str, Any]:
    """One row: a method trained at one strength in one precision."""
    preset = preset_for(METHODS[name], "dsprites")
    method = stronger(METHODS[name](**preset.fields).over(steps / preset.steps), factor)
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
        "strengths": "; ".join(f"{one}={getattr(method, one)}" for one in STRENGTHS.get(name, ())),
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
        for factor, precision, steps in [*short, (10.0, "float32", args.long), (10.0, "bf16", args.long)]:
            how = (name, str(factor), precision, str(steps))
            if how in {(row["method"], str(row["strength"]), row["precision"], str(row["steps"])) for row in rows}:
                continue
            row = trained(name, factor, precision, steps)
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
