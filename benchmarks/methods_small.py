"""Every method at one small budget on dSprites, scored alike: evidence on two cores, not the papers' tables.

    python benchmarks/methods_small.py [--methods NAME ...] [--seeds 2] [--steps 5000] [--mlp 256 256] [--out CSV]

Each method trains with its published settings for dSprites, its schedules shortened to --steps, batch 64 and one
learning rate for all; the five that the papers compare most also at a few other pressures. With --mlp all but those
that have a network of their own use one dense network, which learns more in so few steps than a convolutional one.
Scores are those of ``unweave score`` on 15,000 images, with NMI of the best and the second best latent for each factor.
A model that the table has is not trained again, and one that was interrupted goes on from its checkpoint in --runs. The
table is sorted by MIG and rewritten whole after every model.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

from common import kept, table

from unweave import METHODS, MLP, Adam, Experiment, Method, fit
from unweave.engine.experiment import NUMBERS, Complete, preset_for
from unweave.metrics.information import nmi
from unweave.store import environment, machine
from unweave.store.files import write_text

FALLING = {"beta": 150.0, "end": 10.0, "schedule": "exp", "anneal_steps": 300_000}
"""A pressure that falls over the whole run, so that factors come in one after the other."""
NARROW = {"betas": (1.0, 12.0), "scale": 4.0}
"""The narrow space weighs four times the wide one."""
PRESSURES: dict[str, list[dict[str, Any]]] = {
    "beta-vae": [{"beta": 2.0}, {"beta": 4.0}, {"beta": 8.0}, {"beta": 16.0}, FALLING],
    "beta-tcvae": [{"beta": 4.0}, {"beta": 6.0}, {"beta": 12.0}],
    "factor-vae": [{"gamma": 6.4}, {"gamma": 20.0}, {"gamma": 40.0}],
    "devae": [{"betas": (1.0, 10.0)}, {"betas": (1.0, 40.0)}, {"betas": (1.0, 10.0, 40.0)}, NARROW],
    "deft": [{}, {"betas": (70.0, 30.0, 12.0, 4.0)}, {"betas": (35.0, 15.0, 6.0, 2.0)}],
}
"""Settings beside the published ones, tried where x and y are to come apart."""
OWN = ("bhivae", "bhivae-supervised", "recurd", "nvae", "infogan")
"""Methods whose network is part of the method; --mlp does not change it."""


def experiments(names: list[str], args: argparse.Namespace) -> list[Complete]:
    """What there is to train: every method and pressure, the seeds outermost so that a first round comes early."""
    found: dict[str, Complete] = {}
    for seed in range(args.seeds):
        for name in names:
            preset = preset_for(METHODS[name], args.data)
            for changes in [{}] if args.published else PRESSURES.get(name, [{}]):
                method: Method = METHODS[name](**{**preset.fields, **changes}).over(args.steps / preset.steps)
                plan: dict[str, Any] = {"steps": args.steps, "batch": args.batch, "optimiser": Adam(lr=args.lr)}
                if args.mlp and name not in OWN:
                    plan["network"] = MLP(tuple(args.mlp))
                one = Experiment(method, args.data, seed=seed, **plan).complete()
                found.setdefault(one.key, one)
    return list(found.values())


def settings(method: Method) -> str:
    """The fields that differ from the method's defaults."""
    plain = type(method)()
    told = [f"{one.name}={getattr(method, one.name)}" for one in fields(method)]
    usual = [f"{one.name}={getattr(plain, one.name)}" for one in fields(method)]
    return "; ".join(one for one in told if one not in usual).replace("(", "").replace(")", "")


def measure(one: Complete, args: argparse.Namespace) -> dict[str, Any]:
    """Train one model, or pick it up, and score it."""
    start = time.perf_counter()
    run = fit(one, out=args.runs, every=500)
    seconds = time.perf_counter() - start
    row: dict[str, Any] = {"method": one.method.name, "settings": settings(one.method), "seed": one.seed}
    row["failed"] = "" if run.failure is None else f"step {run.failure.step}: {run.failure.term}"
    codes = run.codes()
    scores = run.score(codes=codes)
    row |= {"mig": scores["mig"].value, "dci-fast": scores["dci-fast"].value, "sap": scores["sap"].value}
    row["factor-vae-score"] = scores["factor-vae-score"].value
    row |= {f"mean_{name}": float(value.mean()) for name, value in codes.distortion.items()}
    row["kl"] = run.terms["kl"][-1] if "kl" in run.terms else ""
    best = nmi(codes)
    for name, column in zip(codes.names, best.T, strict=True):
        ranked = [*sorted(column.tolist(), reverse=True), 0.0]
        row |= {f"nmi1.{name}": ranked[0], f"nmi2.{name}": ranked[1]}
    row["network"] = "" if one.network is None else repr(one.network)
    row |= {"latents": one.latents, "steps": run.step, "batch": one.batch, "lr": one.optimiser.lr}
    row |= {"data": one.data.name, "precision": one.precision, "seconds": round(seconds), "key": one.key}
    about = environment()
    return row | {"numbers": NUMBERS, "machine": machine(), "commit": about["commit"], "command": args.command}


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """The table, best MIG first, replaced whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, table(sorted(rows, key=lambda row: -float(row["mig"]))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="NAME")
    parser.add_argument("--data", default="dsprites")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--mlp", nargs="+", type=int, default=[], metavar="WIDTH", help="one dense network for all")
    parser.add_argument("--published", action="store_true", help="published pressures only")
    parser.add_argument("--runs", default="runs/methods-small")
    parser.add_argument("--out", type=Path, default=Path("results/methods-small.csv"))
    args = parser.parse_args()
    args.command = (
        f"python benchmarks/methods_small.py --data {args.data} --seeds {args.seeds} --steps {args.steps} "
        f"--batch {args.batch} --lr {args.lr:g}{' --mlp ' * bool(args.mlp)}{' '.join(map(str, args.mlp))}"
        f"{' --published' * args.published}"
    )
    todo = experiments(args.methods, args)
    for place, one in enumerate(todo):
        rows = kept(args.out)
        if one.key in {row["key"] for row in rows}:
            continue
        print(f"{place + 1} of {len(todo)}: {one.method!r}, seed {one.seed}", flush=True)
        row = measure(one, args)
        print(f"  MIG {row['mig']:.3f}, bce {row['mean_bce']:.1f}, {row['seconds']} s", flush=True)
        # Read again: another process may have added rows meanwhile.
        rows = [each for each in kept(args.out) if each["key"] != one.key]
        write(args.out, [*rows, row])


if __name__ == "__main__":
    main()
