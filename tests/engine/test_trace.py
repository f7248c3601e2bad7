"""What is recorded of a training is what happened, in bounded memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from unweave.engine import train
from unweave.engine.trace import LENGTH, Trace
from unweave.store import RunFolder
from unweave.types import UserError

from .tiny import tiny


def values(steps: int, members: int = 2) -> torch.Tensor:
    """(steps, members, terms) numbers."""
    return torch.rand(steps, members, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def record(trace: Trace, numbers: torch.Tensor) -> None:
    for step in numbers:
        trace.add({"total": step[:, 0], "kl": step[:, 1]})


@pytest.mark.parametrize(
    "steps, window", [(1, 1), (10, 1), (1999, 1), (2000, 2), (2999, 2), (10_000, 10), (10_007, 10)]
)
def test_rows_are_means_over_windows(steps: int, window: int) -> None:
    trace, numbers = Trace(steps, 2), values(steps)
    record(trace, numbers)
    rows = steps // window
    assert trace.window == window and len(trace.rows) == rows < 2 * LENGTH
    wanted = numbers[: rows * window].view(rows, window, 2, 2).mean(1)
    table = trace.table(1, steps)
    assert list(table) == ["step", "total", "kl"]
    assert table["step"] == [float((r + 1) * window) for r in range(rows)]
    for place, name in enumerate(("total", "kl")):
        assert table[name] == pytest.approx(wanted[:, 1, place].tolist(), rel=1e-12)


@pytest.mark.parametrize("steps", [100, 3000])
@pytest.mark.parametrize("cut", [1, 50, 77])
def test_a_restored_trace_goes_on_as_if_nothing_had_been(steps: int, cut: int) -> None:
    numbers = values(steps)
    whole, first = Trace(steps, 2), Trace(steps, 2)
    record(whole, numbers)
    record(first, numbers[:cut])
    again = Trace(steps, 2)
    again.restore(first.names, [first.memory(member) for member in range(2)], cut)
    record(again, numbers[cut:])
    for member in range(2):
        assert again.table(member, steps) == whole.table(member, steps)
        for name, value in whole.memory(member).items():
            assert torch.equal(again.memory(member)[name], value)


def test_a_table_ends_where_it_is_asked_to() -> None:
    trace = Trace(3000, 1)
    record(trace, values(3000, 1))
    assert trace.table(0, 8)["step"] == [3.0, 6.0]
    assert trace.table(0, 2) == {"step": [], "total": [], "kl": []}


def test_a_trace_of_another_length_is_refused() -> None:
    trace = Trace(100, 1)
    record(trace, values(10, 1))
    for step, names in ((11, trace.names), (10, ("total",))):
        with pytest.raises(UserError, match="trace/rows has shape"):
            Trace(100, 1).restore(names, [trace.memory(0)], step)


def test_the_trace_of_a_training_is_its_losses(tmp_path: Path) -> None:
    one = tiny(steps=12)
    told: list[dict[str, float]] = []
    new: list[torch.Tensor] = []
    for snapshot in train(
        one, every=5, out=tmp_path, told=lambda m, s, terms: told.append({n: float(v) for n, v in terms.items()})
    ):
        new.append(snapshot.terms["total"][0])
        assert snapshot.trace(0)["total"] == [one["total"] for one in told]
    assert [len(part) for part in new] == [5, 5, 2]
    assert torch.cat(new).tolist() == [one["total"] for one in told]
    kept = RunFolder(tmp_path / one.key).read_trace()
    assert set(kept) == {"step", "total", "recon", "kl"}
    assert kept["kl"] == pytest.approx([one["kl"] for one in told], rel=1e-8)
    assert all(one["total"] == pytest.approx(one["recon"] + one["kl"]) for one in told)
