"""What the timing scripts share: a loop as a tutorial writes it, fresh processes, counted work, measured ceilings."""

from __future__ import annotations

import csv
import ctypes
import io
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

PLAIN = ("beta-vae", "devae")
"""Methods that the plain loop knows."""


def plain_step(method: str, device: str = "cpu") -> Callable[[Tensor], None]:
    """One training step of the loop a tutorial would write: float32, ``torch.optim.Adam``, PyTorch's own layers."""
    spaces = 2 if method == "devae" else 1
    betas = (1.0, 40.0) if spaces == 2 else (4.0,)
    encoder = nn.Sequential(
        nn.Conv2d(1, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 32, 4, 2, 1), nn.ReLU(),
        nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU(), nn.Conv2d(64, 64, 4, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(1024, 256), nn.ReLU(), nn.Linear(256, 20),
    ).to(device)  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(10 * spaces, 256), nn.ReLU(), nn.Linear(256, 1024), nn.ReLU(), nn.Unflatten(1, (64, 4, 4)),
        nn.ConvTranspose2d(64, 64, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(),
        nn.ConvTranspose2d(32, 32, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(32, 1, 4, 2, 1),
    ).to(device)  # fmt: skip
    codes = nn.Embedding(2, 10).to(device)
    w_mean, w_logvar = (nn.Parameter(torch.zeros(10, device=device)) for _ in range(2))
    parameters = [*encoder.parameters(), *decoder.parameters()]
    if spaces == 2:
        parameters += [*codes.parameters(), w_mean, w_logvar]
    optimiser = torch.optim.Adam(parameters, lr=1e-4)

    def step(x: Tensor) -> None:
        batch = len(x)
        optimiser.zero_grad()
        mean, logvar = encoder(x).chunk(2, dim=1)
        loss = torch.zeros((), device=device)
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

    return step


def in_turn(step: Callable[[], object], steps: int, warm: int = 8) -> float:
    """Median seconds of a step, after some that are not counted."""
    times = []
    for place in range(warm + steps):
        start = time.perf_counter()
        step()
        if place >= warm:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def of_training(experiments: Any, steps: int, device: str, warm: int = 8, **how: Any) -> float:
    """Median seconds a step of ``unweave.train``, over windows of a few steps, after some that are not counted."""
    from unweave import train

    window, times, last = 8, [], 0.0
    for snapshot in train(experiments, every=window, device=device, **how):
        now = time.perf_counter()
        if warm < snapshot.step <= warm + steps:
            times.append((now - last) / window)
        last = now
    return statistics.median(times)


def settled() -> int:
    """Bytes of memory that this process holds, once it gave back what it does not use; ``peak`` counts from here."""
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return resident()


def resident() -> int:
    """Bytes of memory that this process holds now."""
    return _held("VmRSS")


def private() -> int:
    """Of these, what the process wrote itself; the rest are pages of libraries, which the system drops and fetches."""
    return _held("RssAnon")


def peak() -> int:
    """Bytes of memory that this process has held at most since ``settled``."""
    return _held("VmHWM")


def _held(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def child(script: str, words: Sequence[str]) -> dict[str, float]:
    """What a fresh process of the same script prints as its last line, a JSON object."""
    done = subprocess.run([sys.executable, script, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def ceiling(device: str, precision: str) -> tuple[float, float]:
    """The most this machine does: operations a second in a large product of matrices, bytes a second in a copy."""
    kind = {"bf16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64}[precision]
    size = 2048 if device == "cpu" else 8192
    a, b = (torch.randn(size, size, device=device).to(kind) for _ in range(2))
    source = torch.zeros(1 << (26 if device == "cpu" else 30), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * size**3 / _quickest(lambda: a @ b, device), 2 * len(source) / _quickest(
        lambda: target.copy_(source), device
    )


def work(experiment: Any) -> tuple[int, int]:
    """Operations of products and convolutions in one step, and bytes that all its operations read and write.

    Counted on a CPU from what is called: every operation reads its inputs and writes its outputs, as without fusing.
    """
    from unweave.engine.step import Alone

    cpu = torch.device("cpu")
    full = experiment.complete()
    learner = Alone(full, full.data.open(None, cpu), cpu)
    learner.step(0)
    traffic = Traffic()
    with FlopCounterMode(display=False) as counter, traffic:
        learner.step(1)
    return counter.get_total_flops(), traffic.bytes


class Traffic(TorchDispatchMode):
    """Adds up the bytes of every operation's tensors; views move nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = function(*args, **(kwargs or {}))
        if not function.is_view:
            held = [*_tensors(args), *_tensors(found)]
            self.bytes += sum(one.numel() * one.element_size() for one in held)
        return found


def keep(path: Path | None, rows: Sequence[dict[str, Any]], command: str) -> None:
    """Write rows as CSV with the kind of machine, the commit and the command."""
    if path is None:
        return
    from unweave.store import environment, machine
    from unweave.store.files import write_text

    about = {"machine": machine(), "commit": environment()["commit"], "command": command}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, table([{**row, **about} for row in rows]))


def kept(path: Path) -> list[dict[str, Any]]:
    """The rows of a table that is there; none where it is not."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as CSV, numbers in five digits; a column that a row has not is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows({n: f"{v:.5g}" if isinstance(v, float) else v for n, v in row.items()} for row in rows)
    return text.getvalue()


def _quickest(call: Callable[[], object], device: str, times: int = 12) -> float:
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        call()
        if device != "cpu":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [one for part in value for one in _tensors(part)] if isinstance(value, list | tuple) else []
