"""What bf16 does from one state on: a run's weights, trained further in float32 and in bf16 on the same batches.

    python benchmarks/precision_from.py runs/precision/KEY [--steps 2000]

Seeds trained apart differ by which factors they have found after so many steps, and rounding sends a seed down
another path, so that differences at the end are mostly chance (``benchmarks/precision.py``). From one state on, with
the same images and noise, both precisions either learn alike or do not. Prints the mean loss over each quarter of the
steps; Adam begins anew in both. Of β-VAE at a constant pressure, one after the other.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from statistics import fmean

import torch

from unweave.engine.cpu import keep_memory
from unweave.methods import BetaVAE
from unweave.networks import set_channels_last, set_precision
from unweave.run import Run, load


def losses(run: Run, precision: str, steps: int) -> list[float]:
    """The loss of every step from the run's weights on."""
    method = run.experiment.method
    assert isinstance(method, BetaVAE)
    model = copy.deepcopy(run.model)
    set_channels_last(set_precision(model, precision))
    adam = torch.optim.Adam(model.parameters(), lr=run.experiment.optimiser.lr, fused=True)
    generator = torch.Generator().manual_seed(0)
    found = []
    for _ in range(steps):
        rows = torch.randint(run.data.rows, (run.experiment.batch,), generator=generator)
        noise = torch.randn(len(rows), run.experiment.latents, generator=generator)
        x = run.images.batch(rows, {}).float()
        q = model.encode(x)
        loss = model.distortion(model.decode(q.sample(noise)), x).mean() + method.beta * q.kl().sum(-1).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        found.append(float(loss.detach()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=2_000)
    args = parser.parse_args()
    keep_memory()
    run = load(args.run, device="cpu")
    if not isinstance(run.experiment.method, BetaVAE) or run.experiment.method.end is not None:
        parser.error(f"{args.run} is of {run.experiment.method!r}; allowed: β-VAE at a constant pressure")
    quarter = max(1, args.steps // 4)
    for precision in ("float32", "bf16"):
        every = losses(run, precision, args.steps)
        means = [fmean(every[start : start + quarter]) for start in range(0, len(every), quarter)]
        print(f"{precision:8} {'  '.join(f'{mean:.2f}' for mean in means)}", flush=True)


if __name__ == "__main__":
    main()
