"""How long SQL over many runs takes: the first query of a folder, one after that, and one after a few runs changed.

    python benchmarks/results_time.py [--runs 100000] [--changed 100] [--out results/results_time.csv]

The runs are made up: folders in a temporary place with the files of one small real training, of which key, seed,
hyperparameter and scores differ. Times are of the query in a process that has its libraries loaded.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unweave import MIG, MLP, SAP, Experiment
from unweave.job import Scores, Terms, Training
from unweave.results import query
from unweave.store import environment, machine

SQL = "select method_beta, count(*) as n, avg(mig) as mig, avg(loss_kl) as kl from runs group by all order by all"


def made_up(out: Path, count: int) -> None:
    """Folders like those of a sweep."""
    one = Experiment("beta-vae", "triangle", steps=5, batch=8, network=MLP((8,)))
    job = Training.of(one, measures=(Scores((MIG(), SAP(train=100, test=100))), Terms()), count=200)
    with tempfile.TemporaryDirectory() as folder:
        job.run(Path(folder))
        real = Path(folder) / job.home
        described, status, scores = (
            json.loads((real / f"{name}.json").read_text()) for name in ("experiment", "status", "scores")
        )
        rows = [json.loads(line) for line in (real / "rows.jsonl").read_text().splitlines()]
    chance = random.Random(0)
    for number in range(count):
        key = f"{number:016x}"
        write(out / key, {**described, "key": key, "seed": number}, status, scores, rows, chance)


def write(folder: Path, described: Any, status: Any, scores: Any, rows: list[Any], chance: random.Random) -> None:
    folder.mkdir()
    described["method"] = described["method"] | {"beta": float(chance.choice((1, 2, 4, 8, 16)))}
    scores["scores"]["mig"]["value"] = chance.random()
    (folder / "experiment.json").write_text(json.dumps(described, indent=1))
    (folder / "status.json").write_text(json.dumps(status, indent=1))
    (folder / "scores.json").write_text(json.dumps(scores, indent=1))
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def timed(what: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds on the wall and of this process's processors."""
    wall, own = time.perf_counter(), time.process_time()
    found = what()
    return time.perf_counter() - wall, time.process_time() - own, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--changed", type=int, default=100)
    parser.add_argument("--out", type=Path, help="write the table as CSV too")
    args = parser.parse_args()
    table = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        print(f"{machine()}; {args.runs:,} runs", flush=True)
        spent, _, _ = timed(lambda: made_up(out, args.runs))
        print(f"made up in {spent:.0f} s\n\n{'query':24} {'seconds':>8} {'processor':>10}", flush=True)

        def ask(name: str) -> None:
            wall, own, (lines, skipped) = timed(lambda: query(SQL, out))
            assert sum(line["n"] for line in lines) == args.runs and not skipped, lines
            print(f"{name:24} {wall:8.2f} {own:10.2f}", flush=True)
            row = {"query": name, "runs": args.runs, "seconds": round(wall, 3), "processor_seconds": round(own, 3)}
            table.append(row | {"machine": machine(), "commit": environment()["commit"]})

        ask("first")
        for _ in range(3):
            ask("again")
        for number in range(args.changed):
            path = out / f"{number:016x}"
            (path / "status.new").write_text((path / "status.json").read_text())
            (path / "status.new").replace(path / "status.json")
        ask(f"{args.changed} changed")
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        with args.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(table)


if __name__ == "__main__":
    main()
