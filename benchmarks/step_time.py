"""Milliseconds a training step on this CPU, beside the same network in a plain PyTorch loop.

    python benchmarks/step_time.py [--rounds 5] [--steps 20] [--batches 64 256] [--out results/step_time.csv]

Every measurement runs in a fresh process of its own, because allocator and thread settings hold for a whole process;
the contenders alternate, and the medians of all rounds are compared. The plain loop is what a tutorial would write:
float32, ``torch.optim.Adam``, images picked from a tensor in memory. Ours is ``unweave.train`` as anyone calls it:
drawing the images, noise, recording and all.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
import time
from pathlib import Path

METHODS = ("beta-vae", "devae")
CONTENDERS = ("plain", "unweave float32", "unweave bf16")


def ours(method: str, batch: int, steps: int, precision: str) -> float:
    """Median seconds a step of ``unweave.train``, over windows of a few steps after a warm-up."""
    from unweave import Conv, Experiment, train

    window, warm = 8, 8
    experiment = Experiment(
        method, "dsprites", network=Conv("standard"), batch=batch, steps=warm + steps, precision=precision
    )
    times, last = [], 0.0
    for snapshot in train(experiment, every=window, device="cpu"):
        now = time.perf_counter()
        if snapshot.step > warm:
            times.append((now - last) / window)
        last = now
    return statistics.median(times)


def plain(method: str, batch: int, steps: int) -> float:
    """Median seconds a step of the loop a tutorial would write, for the same networks, objective and optimiser."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    from unweave import DSprites

    spaces = 2 if method == "devae" else 1
    betas = (1.0, 40.0) if spaces == 2 else (4.0,)
    encoder = nn.Sequential(
        nn.Conv2d(1, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 32, 4, 2, 1), nn.ReLU(),
        nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU(), nn.Conv2d(64, 64, 4, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(1024, 256), nn.ReLU(), nn.Linear(256, 20),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(10 * spaces, 256), nn.ReLU(), nn.Linear(256, 1024), nn.ReLU(), nn.Unflatten(1, (64, 4, 4)),
        nn.ConvTranspose2d(64, 64, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(),
        nn.ConvTranspose2d(32, 32, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(32, 1, 4, 2, 1),
    )  # fmt: skip
    codes = nn.Embedding(2, 10)
    w_mean, w_logvar = nn.Parameter(torch.zeros(10)), nn.Parameter(torch.zeros(10))
    parameters = [*encoder.parameters(), *decoder.parameters()]
    if spaces == 2:
        parameters += [*codes.parameters(), w_mean, w_logvar]
    optimiser = torch.optim.Adam(parameters, lr=1e-4)
    images = DSprites().open()
    pool = images.batch(torch.randint(images.rows, (8192,)), {})
    times = []
    for step in range(8 + steps):
        start = time.perf_counter()
        x = pool[torch.randint(len(pool), (batch,))]
        optimiser.zero_grad()
        mean, logvar = encoder(x).chunk(2, dim=1)
        loss = torch.zeros(())
        for space in range(spaces):
            if space:
                mean, logvar = mean * w_mean.exp(), logvar + w_logvar
            z = mean + (logvar / 2).exp() * torch.randn_like(mean)
            if spaces == 2:
                z = torch.cat([z, codes.weight[space].expand(batch, -1)], dim=1)
            kl = 0.5 * (mean**2 + logvar.exp() - logvar - 1).sum(1).mean()
            recon = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum") / batch
            loss = loss + recon + betas[space] * kl
        loss.backward()
        optimiser.step()
        if step >= 8:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(contender: str, method: str, batch: int, steps: int) -> float:
    """One measurement in a process of its own, in milliseconds a step."""
    words = ["--child", contender, "--methods", method, "--batches", str(batch), "--steps", str(steps)]
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--out", type=Path, help="write the table as CSV too")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        method, batch = args.methods[0], args.batches[0]
        seconds = (
            plain(method, batch, args.steps)
            if args.child == "plain"
            else ours(method, batch, args.steps, args.child.split()[1])
        )
        print(1e3 * seconds)
        return
    import unweave.store

    rows = []
    print(f"{unweave.store.machine()}; median of {args.rounds} processes each, {args.steps} steps timed in each\n")
    print(f"{'method':10} {'batch':>5}   " + "   ".join(f"{name:>16}" for name in CONTENDERS) + "   faster than plain")
    for method in args.methods:
        for batch in args.batches:
            found: dict[str, list[float]] = {name: [] for name in CONTENDERS}
            for _ in range(args.rounds):
                for name in CONTENDERS:
                    found[name].append(measure(name, method, batch, args.steps))
            medians = {name: statistics.median(values) for name, values in found.items()}
            ratios = {name: medians["plain"] / medians[name] for name in CONTENDERS[1:]}
            cells = "   ".join(f"{medians[name]:13.1f} ms" for name in CONTENDERS)
            print(f"{method:10} {batch:5}   {cells}   {', '.join(f'{r:.2f}×' for r in ratios.values())}", flush=True)
            for name in CONTENDERS:
                rows.append(
                    {
                        "method": method,
                        "batch": batch,
                        "contender": name,
                        "ms_per_step": round(medians[name], 2),
                        "lowest": round(min(found[name]), 2),
                        "highest": round(max(found[name]), 2),
                        "ratio_to_plain": round(medians["plain"] / medians[name], 3),
                        "rounds": args.rounds,
                        "machine": unweave.store.machine(),
                        "commit": unweave.store.environment()["commit"],
                        "command": f"python benchmarks/step_time.py --rounds {args.rounds} --steps {args.steps}",
                    }
                )
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with args.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
