"""Adam on flat, stacked tensors: one row of numbers for each model and parameter group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from unweave.engine.place import COARSE, home, precise
from unweave.types import Adam, Rate

ALIGNED = {"cuda": 64}
"""Numbers in whose multiples every parameter begins on a kind of device. Libraries for cards choose kernels by how an
address is aligned, so those of a model must not depend on its place in the pack."""
PARTS, LEAST = {"cuda": 36}, 1 << 14
"""Parts, each of so many numbers or more, in which torch's kernel gets a model's row: a processor of a card takes
65,536 numbers of a part, so that a whole row would keep few of them busy. Models of a pack with shorter rows are
updated together, by operations on all of them, longer ones one by one, which passes over memory seven times, not 52."""


class Group:
    """Parameters of one group of S models as one (S, P) tensor, with their gradients and Adam's two moments.

    The models' parameters (or stacks of them) are views into it, so that an update is a handful of operations whatever
    the number of layers.
    """

    def __init__(self, names: Sequence[str], values: Sequence[Mapping[str, Tensor]], settings: Sequence[Adam]) -> None:
        self.names = tuple(names)
        self.settings = tuple(settings)
        first = values[0]
        self.shapes = {name: first[name].shape for name in names}
        self.channels_last = {n: first[n].ndim == 4 and _is_channels_last(first[n]) for n in names}
        self._unit = ALIGNED.get(first[self.names[0]].device.type, 1)
        flat = [torch.cat([self._laid(n, one[n]) for n in names]) for one in values]
        self.flat = torch.stack(flat).detach().clone()
        self.grad = torch.zeros_like(self.flat)
        self.m = torch.zeros_like(self.flat)
        self.v = torch.zeros_like(self.flat)
        self.count = torch.zeros(len(values), dtype=torch.float32, device=self.flat.device)
        s = self.settings
        # (S, 1), made once: a step that runs on a GPU must not copy numbers to it.
        self._betas = tuple(self._column([a.betas[k] for a in s]) for k in (0, 1))
        self._rests = tuple(self._column([1 - a.betas[k] for a in s]) for k in (0, 1))
        self._decay, self._eps = self._column([a.weight_decay for a in s]), self._column([a.eps for a in s])
        exact = home(self.flat.device)
        # Rows stay where they are, so those that ``_fused`` updates are cut once.
        size = self.flat.shape[1]
        parts = PARTS.get(self.flat.device.type)
        length = size if parts is None else max(LEAST, self._room(-(-size // parts)))
        buffers = (self.flat, self.grad, self.m, self.v)
        self._parts = [[list(one[k].split(length)) for one in buffers] for k in range(len(s))]
        kind, single = self.flat.device.type, self.flat.dtype == torch.float32
        # The fused kernels of GPUs take learning rates that are tensors in float32 alone.
        self._each = (kind == "cpu" or single) and (len(s) == 1 or (size >= LEAST and kind not in COARSE))
        self._exact = [torch.tensor([a.betas[k] for a in s], dtype=torch.float64).to(exact) for k in (0, 1)]

    def views(self, buffer: Tensor) -> dict[str, Tensor]:
        """name -> (S, *shape) view of a (S, P) buffer."""
        found, place = {}, 0
        for name in self.names:
            shape = self.shapes[name]
            size = shape.numel()
            piece = buffer[:, place : place + size]
            if self.channels_last[name]:
                o, i, h, w = shape
                found[name] = piece.view(-1, o, h, w, i).permute(0, 1, 4, 2, 3)
            else:
                found[name] = piece.view(-1, *shape)
            place += self._room(size)
        return found

    def _room(self, size: int) -> int:
        return -(-size // self._unit) * self._unit

    def _laid(self, name: str, value: Tensor) -> Tensor:
        """A parameter as it lies in the row, with zeros up to where the next one begins."""
        row = _memory_order(value, self.channels_last[name]).reshape(-1)
        return nn.functional.pad(row, (0, self._room(row.numel()) - row.numel()))

    def finite(self) -> Tensor:
        """(S,) whether each model's gradient, and its square as Adam's second moment holds it, is a number."""
        return torch.isfinite(torch.linalg.vector_norm(self.grad, dim=1))

    def update(self, rates: Sequence[Rate], alive: Tensor | None = None) -> None:
        """One step of Adam (Kingma & Ba 2015, Algorithm 1), θ ← θ − scale · lr · m̂ / (√v̂ + ε), for every model.

        A model with scale 0, or not ``alive``, keeps parameters, moments and count as they are.
        """
        self._clip()
        if len(self.settings) == 1:
            self._one(rates[0])
            return
        if any(rate.reset for rate in rates):
            self._forget(torch.tensor([rate.reset for rate in rates], device=self.flat.device))
        moves = torch.tensor([rate.scale != 0 for rate in rates], device=self.flat.device)
        moves = moves if alive is None else moves & alive
        paces = [a.lr * rate.scale for a, rate in zip(self.settings, rates, strict=True)]
        if self._each:
            self._fused(paces, (~moves).to(torch.float32))
        else:
            self._many(self._column(paces), moves)

    def glide(self, pace: Tensor, moves: Tensor, resets: Tensor | None = None) -> None:
        """``update`` for a step that never waits for the device: all that it depends on are tensors there.

        Args:
            pace: (S,) float64, lr · scale of each model.
            moves: (S,) whether it moves at all; what does not keeps parameters, moments and count.
            resets: (S,) whether it forgets moments and count before; None where none does.
        """
        self._clip()
        if resets is not None:
            self._forget(resets)
        if self._each:
            paces = pace if self.flat.device.type == "cpu" else pace.to(torch.float32)
            self._fused(paces.unbind(), (~moves).to(torch.float32))
        else:
            self._many(pace.to(self.flat.dtype)[:, None], moves)

    def _clip(self) -> None:
        for row, settings in zip(self.grad, self.settings, strict=True):
            if settings.clip is not None:
                row.mul_(torch.clamp(settings.clip / (torch.linalg.vector_norm(row) + 1e-6), max=1.0))

    def _one(self, rate: Rate) -> None:
        if rate.reset:
            self._forget(torch.ones(1, dtype=torch.bool, device=self.flat.device))
        if rate.scale != 0:
            self._fused([self.settings[0].lr * rate.scale], None)

    def _fused(self, paces: Sequence[float | Tensor], rests: Tensor | None) -> None:
        """One step of every model in torch's kernel, which passes over those whose ``rests``, (S,), is 1."""
        self.count.add_(1)
        for k, (s, parts, pace) in enumerate(zip(self.settings, self._parts, paces, strict=True)):
            torch._fused_adam_(  # type: ignore[call-overload]
                *parts,
                [],
                [self.count[k]] * len(parts[0]),
                lr=pace,
                beta1=s.betas[0],
                beta2=s.betas[1],
                weight_decay=s.weight_decay,
                eps=s.eps,
                amsgrad=False,
                maximize=False,
                found_inf=None if rests is None else rests[k],
            )
        if rests is not None:
            self.count.sub_(rests)

    def _many(self, step: Tensor, moves: Tensor) -> None:
        """One step of all models, (S, 1) long, in operations on all of them; those that do not move keep everything."""
        (beta1, beta2), (rest1, rest2) = self._betas, self._rests
        grad = self.grad + self._decay * self.flat
        m = beta1 * self.m + rest1 * grad
        v = beta2 * self.v + rest2 * grad**2
        # In float32, 1 − β₂ᵗ of the first steps would have only four digits.
        count = precise(self.count + 1)
        bias1, bias2 = ((1 - beta**count).to(self.flat.dtype).to(self.flat.device)[:, None] for beta in self._exact)
        denominator = torch.sqrt(v / bias2) + self._eps
        moved = self.flat - step * (m / bias1) / denominator
        # where, not a product with 0: a model whose numbers are no longer finite must not touch its own kept values.
        for kept, new in ((self.flat, moved), (self.m, m), (self.v, v)):
            kept.copy_(torch.where(moves[:, None], new, kept))
        self.count.add_(moves.to(self.count.dtype))

    def _column(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64).to(self.flat.dtype).to(self.flat.device)[:, None]

    def _forget(self, which: Tensor) -> None:
        keep = ~which
        self.m.mul_(keep[:, None])
        self.v.mul_(keep[:, None])
        self.count.mul_(keep)


def attach(model: nn.Module, groups: Sequence[Group], member: int = 0) -> None:
    """Make the parameters of one model, and their gradients, views into its row of the groups."""
    parameters = dict(model.named_parameters())
    for group in groups:
        values, grads = group.views(group.flat), group.views(group.grad)
        for name in group.names:
            parameters[name].data = values[name][member]
            parameters[name].grad = grads[name][member]


def _is_channels_last(tensor: Tensor) -> bool:
    return tensor.is_contiguous(memory_format=torch.channels_last) and not tensor.is_contiguous()


def _memory_order(tensor: Tensor, channels_last: bool) -> Tensor:
    return tensor.permute(0, 2, 3, 1) if channels_last else tensor
