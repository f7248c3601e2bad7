"""What varies in a data set: names and sizes of the factors, and the numbering of their combinations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unweave.types import UserError


@dataclass(frozen=True)
class Factors:
    """Ground-truth factors; image ``index`` counts their levels in mixed radix, the last factor fastest.

    Args:
        names: one name a factor.
        sizes: number of levels of each.
        circular: which factors wrap around (an angle); none when empty.

    >>> factors = Factors(("shape", "x"), (3, 4))
    >>> factors.levels(torch.tensor([5])).tolist(), factors.index(torch.tensor([[1, 1]])).tolist()
    ([[1, 1]], [5])
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    circular: tuple[bool, ...] = ()

    @property
    def count(self) -> int:
        """Number of combinations of levels."""
        total = 1
        for size in self.sizes:
            total *= size
        return total

    def levels(self, index: Tensor) -> Tensor:
        """(N,) indices -> (N, F) levels."""
        columns = []
        for size in reversed(self.sizes):
            columns.append(index % size)
            index = index // size
        return torch.stack(columns[::-1], dim=-1)

    def index(self, levels: Tensor) -> Tensor:
        """(N, F) levels -> (N,) indices. Raises UserError for a level outside its factor, and for more combinations of
        levels than can be numbered."""
        if self.count >= 2**63:
            raise UserError(f"{len(self.sizes)} factors have too many combinations to number; allowed: below 2^63")
        sizes = torch.tensor(self.sizes, device=levels.device)
        if levels.shape[-1] != len(self.sizes) or bool(((levels < 0) | (levels >= sizes)).any()):
            raise UserError(
                f"levels {tuple(levels.shape)} leave the factors {dict(zip(self.names, self.sizes, strict=True))}"
            )
        out = torch.zeros_like(levels[..., 0])
        for column, size in enumerate(self.sizes):
            out = out * size + levels[..., column]
        return out

    def position(self, name: str) -> int:
        """Which column a factor's name stands for. Raises UserError for an unknown name."""
        if name not in self.names:
            raise UserError(f"unknown factor {name!r}; allowed: {', '.join(self.names)}")
        return self.names.index(name)

    def sample(self, uniforms: Tensor, hold: dict[str, int] | None = None) -> Tensor:
        """(N, F) uniform levels from (N, F) numbers in [0, 1); factors named in ``hold`` keep the given level."""
        sizes = torch.tensor(self.sizes, dtype=uniforms.dtype, device=uniforms.device)
        levels = torch.minimum((uniforms * sizes).long(), sizes.long() - 1)
        for name, level in (hold or {}).items():
            column = self.position(name)
            if not 0 <= level < self.sizes[column]:
                raise UserError(f"factor {name!r} has levels 0 to {self.sizes[column] - 1}, not {level}")
            levels[:, column] = level
        return levels

    def traverse(self, base: Tensor, name: str) -> Tensor:
        """(size, F) levels: ``base`` (F,) with factor ``name`` running through all its levels."""
        column = self.position(name)
        levels = base.repeat(self.sizes[column], 1)
        levels[:, column] = torch.arange(self.sizes[column], device=base.device)
        return levels
