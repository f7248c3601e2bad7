"""Everything there is to measure on a GPU, by one command: steps of one model, packs in every way, the same numbers.

    python benchmarks/gpu.py [--quick] [--parts equal one packs roofline] [--out results/gpu.csv]

Each row is one measurement; ``value`` is in ``unit``. ``--device cpu --quick`` runs the same code without a card, which
says nothing about speed. Parts:

equal     the largest difference, relative to the largest number, between steps repeated as a graph, in blocks one by
          one and looked at singly, and between alone and in lockstep, in every way, in float64, for every method
one       milliseconds a step of one model: as a graph, in blocks, looked at singly; by method, batch, precision
packs     milliseconds a model-step by pack size and way of lockstep, memory, throughput beside one after the other
roofline  FLOPs and bytes of a step, the card's own ceilings for both, the share of each that steps reach, busy time
"""

from __future__ import annotations

import argparse
import csv
import gc
import statistics
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from unweave.data import Dataset, DSprites
from unweave.data.base import Images
from unweave.data.card import on_card
from unweave.engine import Experiment
from unweave.engine.blocks import LENGTH, Blocks
from unweave.engine.experiment import Complete
from unweave.engine.graph import Eager, Graphs, Runner, settings
from unweave.engine.step import Learner
from unweave.engine.trace import Trace
from unweave.engine.train import LOCKSTEP, learner_of, place
from unweave.methods import METHODS, Method
from unweave.networks import MLP
from unweave.testing import Dots
from unweave.types import UserError

COLUMNS = ("part", "what", "method", "batch", "precision", "models", "way", "value", "unit")
CRITIC = {"critic_hidden": 16, "critic_layers": 2}
SMALL: dict[str, dict[str, Any]] = {
    "bhivae": {"width": 8, "part_width": 8, **CRITIC},
    "bhivae-supervised": {"width": 8, "part_width": 8, "classifier_hidden": 8},
    "factor-vae": CRITIC,
    "nvae": {"groups": (1, 1), "width": 8},
    "recurd": CRITIC,
    "vamp-prior": {"pseudo_inputs": 8},
}
PATIENCE = 3.0
"""Seconds after which no further block is measured."""
Row = dict[str, Any]


class Bench:
    """The device, an opened data set, and how long to measure."""

    def __init__(self, device: torch.device, quick: bool, data: Dataset) -> None:
        self.device, self.quick, self.data = device, quick, data
        self.blocks = 1 if quick else 5
        self.images = on_card(data.open(device=device), device)

    def experiment(self, method: str, batch: int, precision: str, seed: int = 0, steps: int = 10**6) -> Complete:
        # DEFT's latents divide into four groups.
        latents = 12 if method == "deft" else 10
        return Experiment(
            method, self.data, latents=latents, batch=batch, precision=precision, steps=steps, seed=seed
        ).complete()

    def runner(self, precision: str, how: str) -> Runner:
        return Graphs(self.device, precision, how == "graph") if self.device.type == "cuda" else Eager()

    def learner(self, members: Sequence[Complete], way: str) -> Learner:
        return learner_of(list(members), self.images, self.device, False if way == "alone" else way)

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def settled(self) -> int:
        """Bytes that are taken on the card once all is given back that nothing uses; the peak is counted from here.

        cuBLAS keeps memory for every stream that it has met. No graph may be alive that was recorded with it."""
        if self.device.type != "cuda":
            return 0
        gc.collect()
        self.wait()
        torch._C._cuda_clearCublasWorkspaces()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)
        return torch.cuda.memory_allocated(self.device)

    def seconds(self, learner: Learner, how: str) -> float:
        """Median seconds a step."""
        length = 4 if self.device.type == "cpu" else LENGTH
        precision = learner.experiments[0].precision
        if how == "single":
            with settings(precision):
                return self._median(lambda block: [learner.step(block * 16 + k) for k in range(16)], 16)
        blocks = Blocks(learner, Trace(10**6, len(learner.experiments)), 0, length, self.runner(precision, how))
        return self._median(lambda block: blocks.run(length), length)

    def _median(self, run: Callable[[int], object], steps: int) -> float:
        run(0)
        found: list[float] = []
        while len(found) < self.blocks and steps * sum(found) < PATIENCE:
            self.wait()
            start = time.perf_counter()
            run(1 + len(found))
            self.wait()
            found.append((time.perf_counter() - start) / steps)
        return statistics.median(found)


def equal(bench: Bench) -> Iterator[Row]:
    """Largest differences, relative to the largest number of each tensor (or 1)."""
    dots = Dots(0.2)
    images = dots.open(device=bench.device)
    for name in METHODS if not bench.quick else ("beta-vae", "factor-vae", "deft"):
        try:
            members = [_tiny(name, dots, seed) for seed in (0, 1, 2)]
        except UserError as error:
            print(f"equal: {name}: {error}", file=sys.stderr)
            continue
        ways = {"alone": members[:1], **dict.fromkeys(LOCKSTEP, members)}
        base = _trained(bench, members[:1], images, "alone", "single")
        for way, some in ways.items():
            for how in ("single", "blocks", "graph"):
                try:
                    found = _trained(bench, some, images, way, how)
                except RuntimeError as error:
                    print(f"equal: {name}, {way}, {how}: {error}", file=sys.stderr)
                    continue
                apart = max(_apart(found[n], base[n]) for n in base)
                yield _row("equal", f"{how} against single steps alone", name, 6, "float64", len(some), way, apart, "")


def _tiny(name: str, dots: Dataset, seed: int) -> Complete:
    kind = METHODS[name]
    method: Method = kind(**(dict(kind.presets[""].fields) | SMALL.get(name, {})))
    refused = UserError(name)
    for latents in (4, 6, 8, 10):
        try:
            body = MLP((16,))
            return Experiment(method, dots, body, None, latents, 24, 6, precision="float64", seed=seed).complete()
        except UserError as error:
            refused = error
    raise refused


def _trained(bench: Bench, members: Sequence[Complete], images: Images, way: str, how: str) -> dict[str, torch.Tensor]:
    """What the first member is after 24 steps."""
    learner = learner_of(list(members), images, bench.device, False if way == "alone" else way)
    if how == "single":
        for step in range(24):
            learner.step(step)
    else:
        trace = Trace(24, len(members))
        Blocks(learner, trace, 0, LENGTH, bench.runner("float64", how)).run(24)
    return learner.memory(0)


def _apart(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max().clamp(min=1.0)) if a.numel() else 0.0


def one(bench: Bench) -> Iterator[Row]:
    """Steps of one model, and what 300,000 of DeVAE's take."""
    methods = ("beta-vae", "devae") if bench.quick else ("beta-vae", "devae", "factor-vae", "beta-tcvae", "deft")
    for method in methods:
        for batch in (64, 256):
            for precision in ("bf16",) if bench.quick else ("bf16", "tf32", "float32"):
                for how in ("graph", "blocks", "single"):
                    learner = bench.learner([bench.experiment(method, batch, precision)], "alone")
                    spent = bench.seconds(learner, how)
                    yield _row("one", how, method, batch, precision, 1, "alone", 1e3 * spent, "ms a step")
                    if (method, how, precision) == ("devae", "graph", "bf16"):
                        yield _row("one", "300,000 steps", method, batch, precision, 1, "alone", 5e3 * spent, "minutes")


def packs(bench: Bench) -> Iterator[Row]:
    """Packs of every size in every way, and the throughput beside one model after the other."""
    sizes = (1, 2) if bench.quick else (1, 2, 5, 10, 20, 50)
    for batch in (64,) if bench.quick else (64, 256):
        first = bench.experiment("beta-vae", batch, "bf16")
        turn = bench.seconds(bench.learner([first], "alone"), "graph")
        for size in sizes:
            members = [bench.experiment("beta-vae", batch, "bf16", seed) for seed in range(size)]
            for way in LOCKSTEP:
                spent = memory = float("nan")
                try:
                    before = bench.settled()
                    spent = bench.seconds(bench.learner(members, way), "graph") / size
                    if bench.device.type == "cuda":
                        memory = (torch.cuda.max_memory_allocated(bench.device) - before) / 2**30
                except torch.OutOfMemoryError:
                    print(f"packs: {size} models by {way} do not fit", file=sys.stderr)
                rest = ("beta-vae", batch, "bf16", size, way)
                yield _row("packs", "model-step", *rest, 1e3 * spent, "ms")
                yield _row("packs", "throughput against one after the other", *rest, turn / spent, "times")
                yield _row("packs", "peak memory beside the images", *rest, memory, "GiB")


def roofline(bench: Bench) -> Iterator[Row]:
    """What the card can do, what a step asks of it, and how much of the time it works."""
    flops, traffic = _ceilings(bench)
    usual = ("", 0, "bf16", 0, "")
    yield _row("roofline", "product of bf16 matrices", *usual, flops / 1e12, "TFLOP/s")
    yield _row("roofline", "copy", *usual, traffic / 1e9, "GB/s")
    for batch in (64, 256):
        for size, way in ((1, "alone"), *((2 if bench.quick else 10, way) for way in LOCKSTEP)):
            members = [bench.experiment("beta-vae", batch, "bf16", seed) for seed in range(size)]
            counted = Counted()
            # The last of two steps: no further block is laid out during it.
            two = [bench.experiment("beta-vae", batch, "bf16", seed, steps=2) for seed in range(size)]
            with settings("bf16"):
                blocks = Blocks(bench.learner(two, way), Trace(2, size), 0, LENGTH, bench.runner("bf16", "blocks"))
                blocks.run(1)
                with counted:
                    blocks.run(1)
            spent = bench.seconds(bench.learner(members, way), "graph")
            rest = ("beta-vae", batch, "bf16", size, way)
            yield _row("roofline", "FLOPs", *rest, counted.flops / 1e9, "GFLOP a step")
            yield _row("roofline", "bytes, every operation by itself", *rest, counted.bytes / 1e9, "GB a step")
            bound = max(counted.flops / flops, counted.bytes / traffic)
            yield _row("roofline", "share of the ceiling", *rest, bound / spent, "")
            if bench.device.type == "cuda":
                yield _row("roofline", "busy", *rest, _busy(bench, batch, size, way), "of the time")


class Counted(TorchDispatchMode):
    """FLOPs of all products and convolutions, and the bytes that every operation reads and writes."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = self.bytes = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        from torch.utils.flop_counter import flop_registry

        out = func(*args, **(kwargs or {}))
        if func.overloadpacket in flop_registry:
            self.flops += flop_registry[func.overloadpacket](*args, **(kwargs or {}), out_val=out)
        if not func.is_view:
            used = [t for t in tree_leaves((args, kwargs, out)) if isinstance(t, torch.Tensor)]
            self.bytes += sum(t.numel() * t.element_size() for t in used)
        return out


def _ceilings(bench: Bench) -> tuple[float, float]:
    """FLOP/s of a large product in bf16, and bytes a second of a large copy, read and written."""
    side = 512 if bench.device.type == "cpu" else 8192
    # Products of constants take less current, and run faster, than those of numbers.
    a = torch.randn(side, side, device=bench.device).to(torch.bfloat16)
    large = torch.ones(side * side * 4, dtype=torch.float32, device=bench.device)
    other = torch.empty_like(large)
    product = bench._median(lambda _: [a @ a for _ in range(10)], 10)
    copy = bench._median(lambda _: [other.copy_(large) for _ in range(10)], 10)
    return 2 * side**3 / product, 2 * large.nbytes / copy


def _busy(bench: Bench, batch: int, size: int, way: str) -> float:
    """The part of the time in which the card runs a kernel, by its own account, over a few steps at the very end."""
    from torch.profiler import ProfilerActivity, profile

    steps, last = LENGTH + 8, 8  # thousands of kernels a step, each an object of Python's
    members = [bench.experiment("beta-vae", batch, "bf16", seed, steps=steps) for seed in range(size)]
    blocks = Blocks(bench.learner(members, way), Trace(steps, size), 0, LENGTH, bench.runner("bf16", "graph"))
    blocks.run(LENGTH)
    bench.wait()
    with profile(activities=[ProfilerActivity.CUDA]) as found:
        blocks.run(last)
        bench.wait()
    spans = sorted((e.time_range.start, e.time_range.end) for e in found.events() if e.device_type.name == "CUDA")
    if not spans:
        return float("nan")
    busy, until = 0.0, spans[0][0]
    for start, end in spans:
        busy += max(0.0, end - max(start, until))
        until = max(until, end)
    return busy / (until - spans[0][0])


def _row(*values: Any) -> Row:
    return dict(zip(COLUMNS, values, strict=True))


PARTS: dict[str, Callable[[Bench], Iterator[Row]]] = {"equal": equal, "one": one, "packs": packs, "roofline": roofline}


def _going_on(name: str, rows: Iterator[Row]) -> Iterator[Row]:
    """A part that fails ends itself alone; where the card answers no more, the others fail too."""
    try:
        yield from rows
    except RuntimeError:
        traceback.print_exc()
        print(f"{name} ended early", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="few sizes, one block each")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, help="write the table as CSV too")
    args = parser.parse_args()
    from unweave.store import environment, machine

    device = place(args.device)
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else machine()
    print(f"{card}, torch {torch.__version__}\n")
    warnings.simplefilter("always")
    small = device.type == "cpu"
    bench = Bench(device, args.quick, Dots() if small else DSprites())
    commit, command = environment()["commit"], " ".join(["python", "benchmarks/gpu.py", *sys.argv[1:]])
    rows: list[Row] = []
    for name in args.parts:
        for row in _going_on(name, PARTS[name](bench)):
            row["value"] = float(f"{row['value']:.5g}")
            rows.append({**row, "machine": card, "torch": torch.__version__, "commit": commit, "command": command})
            print("  ".join(str(row[column]) for column in COLUMNS), flush=True)
            if args.out:
                args.out.parent.mkdir(parents=True, exist_ok=True)
                with args.out.open("w", newline="", encoding="utf-8") as file:
                    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
                    writer.writeheader()
                    writer.writerows(rows)


if __name__ == "__main__":
    main()
