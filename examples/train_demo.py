"""Train the small model that comes with the package, and write it where ``unweave explore --demo`` looks.

    python examples/train_demo.py            # a minute or two on one thread of a processor
    python examples/train_demo.py somewhere  # writes elsewhere, and leaves the package as it is

Ada-GVAE with dense layers on dSprites. It sees pairs of images that share all factors but some, weak supervision which
keeps position and scale apart after a few thousand steps. Only what the explorer needs is kept, the weights in half
precision; the trace is thinned.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch

import unweave
from unweave.explorer import Exhibit
from unweave.explorer.demo import FOLDER
from unweave.run import load
from unweave.store import Checkpoint, RunFolder

STEPS = 6000
WINDOWS = 400
"""Rows of the trace that are kept."""


def experiment(steps: int = STEPS) -> unweave.Experiment:
    """What is trained."""
    network, rate = unweave.MLP((96, 256)), unweave.Adam(lr=1e-3)
    return unweave.Experiment(
        unweave.AdaGVAE(),
        "dsprites",
        network=network,
        latents=6,
        steps=steps,
        batch=64,
        optimiser=rate,
        precision="bf16",
    )


def pack(trained: Path, target: Path, images: int = 15_000) -> unweave.Run:
    """Write a trained run without optimiser state, scored and looked at, in less than 2 MB."""
    source, folder = RunFolder(trained), RunFolder(target)
    checkpoint = source.load()
    assert checkpoint is not None
    weights = {name: one.half() for name, one in checkpoint.tensors.items() if name.startswith("model/")}
    trace = source.read_trace()
    every = max(1, len(trace["step"]) // WINDOWS)
    with folder.lock():
        folder.save(Checkpoint(checkpoint.step, weights, checkpoint.terms, checkpoint.key))
        folder.write("experiment", source.read("experiment"))
        folder.write("status", {"state": "done", "step": checkpoint.step})
        folder.write_trace({name: values[every - 1 :: every] for name, values in trace.items()})
    run = load(target, device="cpu")
    codes = run.codes(images)
    run.score(["mig", "reconstruction"], count=images, codes=codes)
    run.limits([unweave.MIG()], codes)
    exhibit = Exhibit(run, images)
    for space in range(run.model.spaces):
        exhibit.summary(space)
    for lock in target.glob(".*lock"):
        lock.unlink()
    return run


def main(target: Path = FOLDER, steps: int = STEPS) -> unweave.Run:
    """Train and pack."""
    with tempfile.TemporaryDirectory() as place:
        run = unweave.fit(
            experiment(steps), out=place, every=250, progress=lambda s: print(f"step {s.step:,}", flush=True)
        )
        assert run.folder is not None
        return pack(run.folder.path, target)


if __name__ == "__main__":
    torch.set_num_threads(1)
    done = main(*map(Path, sys.argv[1:2]))
    size = sum(file.stat().st_size for file in done.folder.path.glob("*.*")) if done.folder else 0
    print(f"wrote {done.folder.path if done.folder else ''}: {size / 1e6:.2f} MB, MIG {done.scores['mig'].value:.3f}")
