"""What is recorded of a training: the mean of every term over short windows of steps."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

LENGTH = 1000
"""About how many rows a whole training's trace has."""


class Trace:
    """Window means of every term of S models.

    Row r is the mean over the ``window`` steps that end at step (r + 1) · window.
    """

    def __init__(self, steps: int, members: int) -> None:
        self.window = max(1, steps // LENGTH)
        self.members = members
        self.names: tuple[str, ...] = ()
        self.rows: list[Tensor] = []
        self.partial: Tensor | None = None
        self.steps = 0

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Record one step: name -> (S,)."""
        if not self.names:
            self.names = tuple(terms)
        values = torch.stack([terms[name] for name in self.names], dim=1).to(torch.float64)
        self.partial = values if self.partial is None else self.partial + values
        self.steps += 1
        if self.steps % self.window == 0:
            self.rows.append(self.partial / self.window)
            self.partial = None

    def memory(self, member: int) -> dict[str, Tensor]:
        """One member's rows, to be kept with its checkpoint."""
        width = len(self.names)
        rows = torch.stack([row[member] for row in self.rows]) if self.rows else torch.zeros(0, width, dtype=torch.float64)
        partial = torch.zeros(width, dtype=torch.float64) if self.partial is None else self.partial[member]
        return {"trace/rows": rows.cpu(), "trace/partial": partial.cpu().clone()}

    def restore(self, names: tuple[str, ...], memories: list[Mapping[str, Tensor]], step: int) -> None:
        """Continue from what ``memory`` gave, one a member."""
        self.names, self.steps = names, step
        self.rows = list(torch.stack([one["trace/rows"] for one in memories], dim=1))
        self.partial = torch.stack([one["trace/partial"] for one in memories]) if step % self.window else None

    def table(self, member: int) -> dict[str, list[float]]:
        """``step`` and every term as lists, one entry a row."""
        rows = self.memory(member)["trace/rows"]
        found = {"step": [float((r + 1) * self.window) for r in range(len(rows))]}
        return found | {name: rows[:, place].tolist() for place, name in enumerate(self.names)}
