"""What is recorded of a training: the mean of every term over short windows of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from unweave.engine.place import precise
from unweave.engine.step import fitting

LENGTH = 1000
"""About how many rows a whole training's trace has; never twice as many."""


def recorded(steps: int, terms: tuple[str, ...], memory: Mapping[str, Tensor], step: int) -> dict[str, list[float]]:
    """The table of a model from its checkpoint at ``step``, to the last bit, which the trace's file does not hold.

    Args:
        steps: of the whole training.
        terms: their names.
        memory: the checkpoint's tensors.
        step: the checkpoint's.

    Raises:
        UserError: another training's checkpoint.
    """
    trace = Trace(steps, 1)
    trace.restore(terms, [memory], step)
    return trace.table(0, step)


class Trace:
    """Window means of every term of S models.

    Row r is the mean over the ``window`` steps that end at step (r + 1) · window. Rows lie in the main memory, the sum
    over the steps of the current window where the models are.
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
        values = precise(torch.stack([terms[name] for name in self.names], dim=1))
        self.partial = values if self.partial is None else self.partial.to(values.device) + values
        self.steps += 1
        if self.steps % self.window == 0:
            self.rows.append((self.partial / self.window).cpu())
            self.partial = None

    def absorb(self, names: tuple[str, ...], closed: Tensor, partial: Tensor, step: int) -> None:
        """Record many steps at once, up to ``step``.

        Args:
            names: of the terms.
            closed: (windows, S, terms) float64 sums over the windows that ended meanwhile, in the main memory; those
                that ended after ``step`` hold nothing of later steps.
            partial: (S, terms) the sums over the window that has begun.
            step: how many steps were taken in all.
        """
        self.names = names
        ended = step // self.window - len(self.rows)
        self.rows += [row / self.window for row in closed[:ended]]
        left = closed[ended] if ended < len(closed) else partial
        self.partial = left.clone() if step % self.window else None
        self.steps = step

    def memory(self, member: int) -> dict[str, Tensor]:
        """One member's rows and its current window, to be kept with its checkpoint."""
        partial = torch.zeros(len(self.names), dtype=torch.float64) if self.partial is None else self.partial[member]
        return {"trace/rows": self._rows(member, len(self.rows)), "trace/partial": partial.cpu().clone()}

    def restore(self, names: tuple[str, ...], memories: Sequence[Mapping[str, Tensor]], step: int) -> None:
        """Continue from what ``memory`` gave, one a member. Raises UserError when it is not this training's."""
        self.names, self.steps = names, step
        shapes = {"trace/rows": (step // self.window, len(names)), "trace/partial": (len(names),)}
        rows, partial = (
            torch.stack([fitting(one, name, torch.Size(shape)).cpu() for one in memories], dim=-2).to(torch.float64)
            for name, shape in shapes.items()
        )
        self.rows = list(rows)
        self.partial = partial if step % self.window else None

    def table(self, member: int, until: int) -> dict[str, list[float]]:
        """``step`` and every term as lists, one entry a row, of the windows that end by step ``until``."""
        rows = self._rows(member, min(len(self.rows), until // self.window))
        found = {"step": [float((r + 1) * self.window) for r in range(len(rows))]}
        return found | {name: rows[:, place].tolist() for place, name in enumerate(self.names)}

    def _rows(self, member: int, count: int) -> Tensor:
        if not count:
            return torch.zeros(0, len(self.names), dtype=torch.float64)
        return torch.stack([row[member] for row in self.rows[:count]])
