"""What the engine costs an experiment beside its steps: many small experiments through ``unweave.train``.

    python benchmarks/overhead.py [--experiments 1000] [--steps 200] [--out results/overhead.csv]

β-VAE with one small dense layer on ``triangle``, one experiment a seed, folders and checkpoints written. The time of
every part is taken where it is called: completing and packing the descriptions, locking and reading the folder,
building the model, writing what begins, the steps themselves, recording their terms, writing what ends. The overhead is
all that is not inside a step; the processor's share of it is told apart from waiting for the disk. One thread: the
steps are far too small for two.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from unweave import MLP, Experiment, train
from unweave.engine.records import Records
from unweave.engine.step import Alone
from unweave.engine.trace import Trace
from unweave.store import RunFolder, environment, machine

engine = importlib.import_module("unweave.engine.train")
PARTS = {
    "describe and pack": (engine, "pack"),
    "read the folder": (engine, "_cohorts"),
    "build the model": (Alone, "__init__"),
    "write what begins": (Records, "begin"),
    "steps": (Alone, "step"),
    "record terms": (Trace, "add"),
    "look for infinities": (Alone, "guard"),
    "write what ends": (Records, "keep"),
}
"""What is timed -> where it is called."""


def now() -> tuple[float, float]:
    """Seconds on the wall and on the processor."""
    return time.perf_counter(), time.thread_time()


def timed(spent: dict[str, list[float]], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with its time added to ``spent[name]``."""

    def call(*given: Any, **more: Any) -> Any:
        start = now()
        try:
            return function(*given, **more)
        finally:
            for place, (a, b) in enumerate(zip(start, now(), strict=True)):
                spent[name][place] += b - a

    return call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--runs", type=Path, help="where run folders go; a temporary folder by default")
    parser.add_argument("--out", type=Path, help="write the table as CSV too")
    args = parser.parse_args()
    torch.set_num_threads(1)
    spent: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    given = {"network": MLP((16,)), "batch": 4, "latents": 4}
    for _ in train(Experiment("beta-vae", "triangle", steps=5, **given), device="cpu"):
        pass
    for name, (owner, attribute) in PARTS.items():
        setattr(owner, attribute, timed(spent, name, getattr(owner, attribute)))
    with tempfile.TemporaryDirectory() as place:
        out = args.runs or Path(place)
        start = now()
        many = [Experiment("beta-vae", "triangle", steps=args.steps, seed=k, **given) for k in range(args.experiments)]
        done = sum(snapshot.done for snapshot in train(many, out=out, device="cpu"))
        total = [b - a for a, b in zip(start, now(), strict=True)]
        states = {RunFolder(path).read("status")["state"] for path in out.iterdir()}
    assert done == args.experiments and states == {"done"}, (done, states)
    spent["everything else"] = [total[k] - sum(one[k] for one in spent.values()) for k in (0, 1)]
    beside = [total[k] - spent["steps"][k] for k in (0, 1)]
    count = args.experiments
    print(f"{machine()}; {count:,} experiments of {args.steps} steps in {total[0]:.1f} s\n")
    print(f"{'ms an experiment':22} {'wall':>10} {'processor':>10}")
    rows = []
    for name, seconds in [*spent.items(), ("overhead", beside), ("all", total)]:
        wall, processor = (1e3 * one / count for one in seconds)
        print(f"{name:22} {wall:10.2f} {processor:10.2f}")
        row = {"part": name, "wall_ms": round(wall, 3), "processor_ms": round(processor, 3)}
        rows.append(row | {"experiments": count, "steps": args.steps, "machine": machine()})
    if args.out:
        command = f"python benchmarks/overhead.py --experiments {count} --steps {args.steps}"
        extra = {"commit": environment()["commit"], "command": command}
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with args.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*rows[0], *extra], lineterminator="\n")
            writer.writeheader()
            writer.writerows({**row, **extra} for row in rows)


if __name__ == "__main__":
    main()
