"""What it costs to plan many experiments, and to hand them out: seconds and peak memory.

    python benchmarks/planner_time.py [--count 100000] [--out results/planner_time.csv]

The grid is read from TOML, every experiment is completed, checked and given its key, grouped into units and packs and
estimated, as ``unweave sweep --dry`` does. Handing out is measured without the work: pickling every unit as the driver
sends it to a worker, local or Ray.
"""

from __future__ import annotations

import argparse
import csv
import pickle
import resource
import sys
import tempfile
import time
from pathlib import Path

GRID = """
[experiment]
data = "dsprites"
[[chain]]
experiment.method = "beta-vae"
product.method__beta = [1, 2, 4, 6, 8, 16]
product.optimiser__lr = {{ from = 1e-5, to = 1e-3, count = 10, scale = "log" }}
[[chain]]
experiment.method = "beta-tcvae"
product.method__beta = [1, 2, 4, 6, 8, 10]
product.optimiser__lr = {{ from = 1e-5, to = 1e-3, count = 10, scale = "log" }}
[[chain]]
experiment.method = "dip-vae-i"
product.method__lambda_od = [1, 2, 5, 10, 20, 50]
product.optimiser__lr = {{ from = 1e-5, to = 1e-3, count = 10, scale = "log" }}
[[chain]]
experiment.method = "deft"
product.optimiser__lr = {{ from = 1e-5, to = 1e-3, count = 20, scale = "log" }}
[product]
seed = {{ count = {seeds} }}
"""


def main() -> None:
    from unweave.store import environment, machine
    from unweave.sweep import plan, read
    from unweave.sweep.units import units

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--out", type=Path, help="write the table as CSV too")
    args = parser.parse_args()
    table = []
    clocks = [time.perf_counter(), time.process_time()]

    def told(what: str) -> None:
        wall, own = time.perf_counter() - clocks[0], time.process_time() - clocks[1]
        scale = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e9
        print(f"{what:28} {wall:8.2f} {own:10.2f} {peak:8.2f}", flush=True)
        row = {"part": what, "experiments": len(jobs), "seconds": round(wall, 2), "processor_seconds": round(own, 2)}
        table.append(row | {"peak_gb": round(peak, 2), "machine": machine(), "commit": environment()["commit"]})
        clocks[:] = [time.perf_counter(), time.process_time()]

    print(f"{machine()}\n\n{'part':28} {'seconds':>8} {'processor':>10} {'peak GB':>8}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "grid.toml"
        path.write_text(GRID.format(seeds=args.count // 200))
        jobs = read(path).jobs()
        told("grid to jobs")
        found = plan(jobs, Path(folder) / "runs", device="cpu")
        told("plan")
        packs = units(jobs, "cuda")
        told("packs for GPUs")
        sent = sum(len(pickle.dumps(unit)) for unit in units(jobs, "cpu"))
        told("units and pickling them")
    print(f"\n{found.jobs:,} experiments, {len(packs):,} packs, {sent / 1e6:.0f} MB to send")
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with args.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(table)


if __name__ == "__main__":
    main()
