"""The same training in unweave, in a plain PyTorch loop, and in that loop with a DataLoader.

    python benchmarks/against_plain.py [--rounds 5] [--steps 24] [--batches 64 256] [--out results/against_plain.csv]

Every measurement runs in a process of its own, because allocator and thread settings hold for a whole process; the
contenders alternate, and medians over the rounds are compared. All train on the same 64×64 sprites, which the plain
loops hold in memory:

* ``plain``: float32, ``torch.optim.Adam``, PyTorch's settings; batches are picked out of one tensor.
* ``loader``: the same with a ``Dataset`` that hands out one image at a time and a shuffling ``DataLoader``, as public
  libraries do it; in the process itself, and ``loader 2`` with two workers.
* ``unweave float32`` and ``unweave bf16``: ``unweave.train`` as anyone calls it, drawing, noise and recording included.

Memory is the most that the process held beyond what it held before the first step, images and programs loaded.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import torch
from common import PLAIN, child, in_turn, keep, of_training, peak, plain_step, settled
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

CONTENDERS = ("plain", "loader", "loader 2", "unweave float32", "unweave bf16")
IMAGES = 16_384


class Sprites(Dataset[Tensor]):
    """One image at a time, from bytes to numbers between 0 and 1."""

    def __init__(self, pixels: Tensor) -> None:
        self.pixels = pixels.numpy()

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, place: int) -> Tensor:
        return torch.from_numpy(self.pixels[place]).to(torch.float32).div(255)


def one(contender: str, method: str, batch: int, steps: int) -> dict[str, float]:
    """Seconds a step and bytes of one contender, in this process."""
    from unweave import Conv, DSprites, Experiment

    name, _, setting = contender.partition(" ")
    experiment = Experiment(
        method, "dsprites", network=Conv("standard"), batch=batch, steps=8 + steps, precision=setting or "float32"
    ) if name == "unweave" else None  # fmt: skip
    images = DSprites().open()
    if experiment is not None:
        before = settled()
        return {
            "seconds": of_training(experiment, steps, "cpu", images={DSprites(): images}),
            "memory": peak() - before,
        }
    rows = torch.randperm(images.rows)[:IMAGES].split(512)
    pixels = torch.cat([(images.batch(some, {}) * 255).to(torch.uint8) for some in rows])
    step = plain_step(method)
    if name == "plain":
        pool = pixels.to(torch.float32).div(255)
        before = settled()
        seconds = in_turn(lambda: step(pool[torch.randint(len(pool), (batch,))]), steps)
    else:
        loader = DataLoader(Sprites(pixels), batch, shuffle=True, drop_last=True, num_workers=int(setting or 0))
        before = settled()
        batches = iter(loader)
        seconds = in_turn(lambda: step(next(batches)), min(steps, len(loader) - 8))
    return {"seconds": seconds, "memory": peak() - before}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--methods", nargs="+", default=PLAIN, choices=PLAIN)
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--out", type=Path, help="write the table as CSV too")
    parser.add_argument("--child", choices=CONTENDERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(one(args.child, args.methods[0], args.batches[0], args.steps)))
        return
    from unweave.store import machine

    rows = []
    print(f"{machine()}; medians of {args.rounds} processes, {args.steps} steps timed in each\n")
    print(f"{'method':9} {'batch':>5} {'contender':16} {'ms a step':>10} {'MB':>7} {'loader /':>9} {'plain /':>8}")
    for method in args.methods:
        for batch in args.batches:
            found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
            for _ in range(args.rounds):
                for name in CONTENDERS:
                    words = ["--child", name, "--methods", method, "--batches", str(batch), "--steps", str(args.steps)]
                    found[name].append(child(__file__, words))
            middle = {
                name: {key: statistics.median(each[key] for each in some) for key in some[0]}
                for name, some in found.items()
            }
            # The quicker of the two loaders is what is compared with.
            loader = min(middle["loader"]["seconds"], middle["loader 2"]["seconds"])
            for name, own in middle.items():
                seconds, memory = own["seconds"], own["memory"]
                times = [each["seconds"] for each in found[name]]
                row = {
                    "method": method,
                    "batch": batch,
                    "contender": name,
                    "ms_per_step": round(1e3 * seconds, 2),
                    "lowest": round(1e3 * min(times), 2),
                    "highest": round(1e3 * max(times), 2),
                    "loader_over_this": round(loader / seconds, 3),
                    "plain_over_this": round(middle["plain"]["seconds"] / seconds, 3),
                    "memory_mb": round(memory / 1e6, 1),
                    "memory_over_plain": round(memory / middle["plain"]["memory"], 3),
                    "rounds": args.rounds,
                }
                rows.append(row)
                print(
                    f"{method:9} {batch:5} {name:16} {1e3 * seconds:10.1f} {memory / 1e6:7.0f} "
                    f"{loader / seconds:8.2f}× {middle['plain']['seconds'] / seconds:7.2f}×",
                    flush=True,
                )
    keep(args.out, rows, f"python benchmarks/against_plain.py --rounds {args.rounds} --steps {args.steps}")


if __name__ == "__main__":
    main()
