"""A sweep of many tiny experiments, whole and with its driver killed on the way: is anything lost or done twice?

    python benchmarks/sweep_kill.py [--count 2000] [--steps 20] [--at 0.3] [--out results/sweep_kill.csv]

β-VAE with a dense network on the triangle. The driver is killed with SIGKILL when a share of the experiments is done,
then the same command runs to the end. Both sweeps are by ``unweave sweep`` in a process of its own; the time of the
interrupted one is that of both its drivers together, start-up and all. The whole
sweep is run between the two parts of the other, so that a machine that gets slower does so for both.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from safetensors.torch import load_file

GRID = """
[experiment]
method = "beta-vae"
data = "triangle"
steps = {steps}
batch = 8
latents = 4
network = {{ name = "mlp", hidden = [16] }}
[product]
seed = {{ count = {count} }}
method__beta = [1, 4, 8, 16]
[measure]
metrics = []
terms = true
"""


def finished(out: Path) -> int:
    if not out.is_dir():
        return 0
    return sum((path / "rows.jsonl").exists() for path in out.iterdir())


def driver(folder: Path, out: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "unweave", "sweep", "grid.toml", "--device", "cpu", "--out", out, "--json"]
    return subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def whole(folder: Path, out: str) -> float:
    began = time.perf_counter()
    code = driver(folder, out).wait()
    assert code == 0, f"the sweep ended with {code}"
    return time.perf_counter() - began


def killed(folder: Path, out: str, enough: int) -> float:
    began = time.perf_counter()
    process = driver(folder, out)
    while finished(folder / out) < enough:
        assert process.poll() is None, f"the sweep ended with {process.returncode} before it could be killed"
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return time.perf_counter() - began


def weights(out: Path) -> dict[str, str]:
    """Run -> hash of its checkpoint's tensors; the bytes of the file also hold notes in any order."""
    found = {}
    for path in out.glob("*/checkpoint.safetensors"):
        content = hashlib.sha256()
        for name, tensor in sorted(load_file(path).items()):
            content.update(name.encode() + tensor.numpy().tobytes())
        found[path.parent.name] = content.hexdigest()
    return found


def main() -> None:
    from unweave.store import environment, machine

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--at", type=float, default=0.3, help="share that is done when the driver is killed")
    parser.add_argument("--out", type=Path, help="write the row as CSV too")
    args = parser.parse_args()
    count = args.count // 4 * 4
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "grid.toml").write_text(GRID.format(steps=args.steps, count=count // 4))
        first = killed(folder, "killed", round(args.at * count))
        done = finished(folder / "killed")
        print(f"killed after {first:.1f} s with {done} of {count} begun or done", flush=True)
        uninterrupted = whole(folder, "whole")
        rest = whole(folder, "killed")
        same = weights(folder / "killed") == weights(folder / "whole")
        rows = [
            [json.loads(line) for line in path.read_text().splitlines()]
            for path in (folder / "killed").glob("*/rows.jsonl")
        ]
        once = all(sum("job" in row for row in lines) == 1 and len(lines) == 2 for lines in rows)
    found = {
        "experiments": count, "steps": args.steps, "killed_at": done, "seconds_whole": round(uninterrupted, 1),
        "seconds_killed": round(first + rest, 1), "ratio": round((first + rest) / uninterrupted, 3),
        "kept": len(rows), "each_once": once, "same_weights": same,
    }  # fmt: skip
    found |= {"machine": machine(), "cores": os.cpu_count(), "commit": environment()["commit"]}
    print("\n".join(f"{name:16} {value}" for name, value in found.items()))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with args.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(found), lineterminator="\n")
            writer.writeheader()
            writer.writerow(found)


if __name__ == "__main__":
    main()
