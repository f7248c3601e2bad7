"""What it costs to draw a batch of images, beside the training step that it is drawn for.

    python benchmarks/data_time.py [--sets NAME ...] [--rounds 3] [--steps 16] [--busy] [--out results/data_time.csv]

β-VAE, the standard convolutional network, the default precision of this machine. Each set is measured in a process of
its own. In every step of an ordinary training the time until the batch is there is taken apart: rows, images, nuisance
noise, labels, and the method's own noise. ``share`` is that part of the whole step, in medians; each step is compared
with itself, so other work on the machine weighs on both. As a check, every other window of steps trains on a batch that
is held: ``beyond`` is what steps with batches of their own take longer, reading ahead in the background included; it is
noisier. Only ``share`` is compared with the target. On a machine with other work, ``--busy`` counts processor time in
place of seconds; with one thread (``OMP_NUM_THREADS=1``) its ratios are then those of a quiet machine.

Kinds of sets: ``memory``, ready as bytes or numbers; ``drawn`` when asked for; ``streamed`` from a table of bytes that
is mapped from the disk, read one step ahead; ``streamed cold``, the same with the pages given back to the disk before
every step, as where the set is larger than memory; ``noise``, with random numbers for every pixel or a picture behind.
"""

from __future__ import annotations

import argparse
import csv
import json
import mmap
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

WARM = 4
FILE, FILE_ROWS = "{array}", 40_000
"""An ``.npy`` of 64 × 64 pixels in colour, written for the measurement, and how many images it has (492 MB)."""
TARGETS = {"memory": 0.05, "drawn": 0.15, "streamed": 0.15, "streamed cold": 0.15, "noise": 0.20}


class Case(NamedTuple):
    """A data set in words, what kind it is, and rows that are asked for first, so that what is made once is there."""

    data: str
    kind: str
    first: int = 0


CASES = {
    "triangle": Case("triangle", "memory"),
    "dsprites": Case("dsprites", "memory", 1 << 18),
    "shapes3d, a part": Case("shapes3d:only=scale=0,orientation=0-3,wall_hue=0", "memory"),
    "dsprites, one by one": Case("dsprites", "drawn"),
    "sprites": Case("sprites", "drawn"),
    "shapes3d": Case("shapes3d", "drawn", 480),
    "color-dsprites": Case("color-dsprites", "drawn", 1 << 18),
    "array": Case(FILE, "streamed"),
    "array, a part": Case(f"{FILE}:train", "streamed"),
    "array, cold": Case(FILE, "streamed cold"),
    "turntable": Case("turntable", "streamed", 4097),
    "noisy-dsprites": Case("noisy-dsprites", "noise", 1 << 18),
    "scream-dsprites": Case("scream-dsprites", "noise", 1 << 18),
    "triangle:noisy": Case("triangle:noisy", "noise"),
}


def measure(case: Case, steps: int, batch: int, folder: Path, busy: bool) -> dict[str, float]:
    """Medians over the steps of one training, in milliseconds, and their ratios."""
    import torch

    from unweave import Conv, Experiment
    from unweave.data.base import still
    from unweave.engine.cpu import keep_memory
    from unweave.engine.step import Alone

    keep_memory()
    clock = time.process_time if busy else time.perf_counter
    data = case.data.replace(FILE, str(folder / "images.npy"))
    one = Experiment("beta-vae", data, network=Conv("standard"), batch=batch, steps=1000).complete()
    images = one.data.open()
    for rows in torch.arange(min(case.first, images.rows)).split(1024):
        images.batch(rows, still(images.noise(len(rows))))
    learner = Alone(one, images, torch.device("cpu"))
    inner, taken = learner.feed.batch, []

    def timed(step: int) -> Any:
        start = clock()
        found = inner(step)
        taken.append(clock() - start)
        return found

    fresh, held, shares, number = [], [], [], 0
    learner.feed.batch = timed
    for _ in range(WARM):
        learner.step(number)
        number += 1
    last = inner(number)
    for window in range(2 * max(1, steps // 4)):
        own = window % 2 == 0
        learner.feed.batch = timed if own else lambda step: last
        for _ in range(4):
            if case.kind == "streamed cold" and own:
                forget(folder / "images.npy", images)
            start = clock()
            learner.step(number)
            seconds = clock() - start
            (fresh if own else held).append(seconds)
            if own:
                shares.append(taken[-1] / seconds)
            number += 1
    step, plain = statistics.median(fresh), statistics.median(held)
    return {
        "ms_per_step": 1e3 * step,
        "ms_for_batch": 1e3 * statistics.median(taken[WARM:]),
        "share": statistics.median(shares),
        "beyond": (step - plain) / step,
    }


def forget(path: Path, images: Any) -> None:
    """Give a mapped file's pages back to the disk."""
    base = images.table.pixels
    while not isinstance(base, mmap.mmap):
        base = base.base
    base.madvise(mmap.MADV_DONTNEED)
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def write_array(folder: Path) -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    shape = (FILE_ROWS, 64, 64, 3)
    table = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, shape)
    for start in range(0, FILE_ROWS, 2000):
        table[start : start + 2000] = rng.integers(0, 256, (2000, *shape[1:]), dtype=np.uint8)
    table.flush()
    os.sync()


def in_own_process(name: str, args: argparse.Namespace, folder: Path) -> dict[str, float]:
    words = ["--child", str(folder), "--sets", name, "--steps", str(args.steps), "--batch", str(args.batch)]
    words += ["--busy"] if args.busy else []
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    from unweave.engine.cpu import default_precision
    from unweave.store import environment, machine

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=CASES, default=list(CASES), metavar="NAME")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--busy", action="store_true", help="count processor time, not seconds")
    parser.add_argument("--out", type=Path, help="write the table as CSV too")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure(CASES[args.sets[0]], args.steps, args.batch, args.child, args.busy)))
        return
    rows = []
    print(
        f"{machine()}; batch {args.batch}, {default_precision()}, "
        f"medians of {args.rounds} processes of {args.steps} steps{', processor time' * args.busy}\n"
    )
    print(f"{'set':22} {'kind':14} {'step':>9} {'batch':>9} {'share':>7} {'target':>7} {'beyond':>7}")
    # On the disk of the working folder, not in memory as temporary folders may be; and where git does not look.
    Path("runs").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="runs") as folder:
        if any(FILE in CASES[name].data for name in args.sets):
            write_array(Path(folder))
        for name in args.sets:
            rounds = [in_own_process(name, args, Path(folder).absolute()) for _ in range(args.rounds)]
            found = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
            kind = CASES[name].kind
            times = f"{found['ms_per_step']:6.1f} ms {found['ms_for_batch']:6.2f} ms"
            told = "" if found["share"] < TARGETS[kind] else "  missed"
            print(
                f"{name:22} {kind:14} {times} {found['share']:7.1%} {TARGETS[kind]:7.0%} {found['beyond']:7.1%}{told}",
                flush=True,
            )
            kept = {key: round(value, 4) for key, value in found.items()}
            row = {"set": name, "kind": kind, **kept, "target": TARGETS[kind], "batch": args.batch}
            rows.append(row | {"precision": default_precision(), "rounds": args.rounds, "steps": args.steps})
            rows[-1]["clock"] = "processor" if args.busy else "wall"
            rows[-1] |= {"machine": machine(), "commit": environment()["commit"]}
            rows[-1]["command"] = f"python benchmarks/data_time.py --rounds {args.rounds} --steps {args.steps}"
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with args.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
