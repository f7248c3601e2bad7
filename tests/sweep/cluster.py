"""A program of its own: three nodes of a Ray cluster on this machine, of which one is killed midway."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster

from job.kinds import training
from unweave.job import Training
from unweave.sweep import perform

COUNT, STEPS = 8, 600


def jobs() -> list[Training]:
    return [training(at=(300,), steps=STEPS, seed=seed) for seed in range(COUNT)]


def main(out: Path) -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False)
    lines, lost = [], []
    found = {}
    for result in perform(jobs(), out, on="ray", told=lambda standing: lines.append(standing.lines)):
        found[result.key] = [result.failed, dict(result.values), result.about["threads"]]
        if len(found) == 2:
            cluster.remove_node(nodes[0], allow_graceful=False)  # SIGKILL
            lost.append(nodes[0].any_processes_alive())
    end = time.monotonic() + 60
    while sum(node["Alive"] for node in ray.nodes()) > 2 and time.monotonic() < end:
        time.sleep(0.5)
    lost.append(sum(node["Alive"] for node in ray.nodes()))
    print(json.dumps({"found": found, "lost": lost, "lines": [line for (line,) in lines if line]}))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
