"""Random numbers as a pure function of (seed, step, stream): nothing to save, the same on every device.

Philox4x32-10 (Salmon et al., 2011, "Parallel random numbers: as easy as 1, 2, 3") written with integer tensor
operations. The integers and uniforms are equal bit for bit on CPU and GPU; Gaussians agree to rounding.
"""

from __future__ import annotations

import math
import sys
import zlib

import torch
from torch import Tensor

from unweave.types import Draw

MASK = 0xFFFFFFFF
ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
TOGETHER = 1 << 16
"""Places in epochs that are shuffled in one go: small sets have many epochs in a block of steps."""


def philox(counter: tuple[Tensor, ...], key: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Four words of 32 bits for each counter of four words, held in int64 tensors that broadcast against the key's."""
    k0, k1 = key
    a, b, c, d = torch.broadcast_tensors(*counter, k0, k1)[:4]
    for _ in range(ROUNDS):
        # The product of two 32-bit words wraps into the sign of an int64; shifts and masks still read its bits right.
        # Only words that are multiplied again must have nothing above 32 bits, so b and d are masked at the end.
        p0, p1 = a * MULTIPLIERS[0], c * MULTIPLIERS[1]
        a = (p1 >> 32).bitwise_xor_(b).bitwise_xor_(k0).bitwise_and_(MASK)
        c = (p0 >> 32).bitwise_xor_(d).bitwise_xor_(k1).bitwise_and_(MASK)
        b, d = p1, p0
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK
    return a, b & MASK, c, d & MASK


def words(seeds: Tensor, step: int | Tensor, stream: str, count: int) -> Tensor:
    """(S, count) words of 32 bits (in int64), one row a seed.

    Args:
        seeds: (S,) int64 seeds from 0.
        step: which step of the run (or epoch, or image: any counter from 0); one for all, or (S,), one a seed.
        stream: a name; different names give independent numbers.
        count: how many words.
    """
    device = seeds.device
    blocks = torch.arange(-(-count // 4), device=device)[None]
    # Filled on the device, not copied to it: a step that runs on a GPU may draw.
    step = step if isinstance(step, Tensor) else torch.full((), step, dtype=torch.int64, device=device)
    step = step.to(device, torch.int64).reshape(-1, 1)
    name = torch.full((), zlib.crc32(stream.encode()), dtype=torch.int64, device=device)
    low, high = seeds[:, None] & MASK, (seeds[:, None] >> 32) & MASK
    start = (blocks + 0 * low, name.expand(len(seeds), blocks.shape[1]), step & MASK, (step >> 32) & MASK)
    return torch.stack(torch.broadcast_tensors(*philox(start, (low, high))), -1).flatten(1)[:, :count]


def draw(seeds: Tensor, step: int | Tensor, stream: str, what: Draw, dtype: torch.dtype = torch.float32) -> Tensor:
    """The random tensor that ``what`` describes, (S, *shape): one for each seed, none depending on the others.

    >>> a = draw(torch.tensor([7]), 3, "z", Draw((2,)))
    >>> b = draw(torch.tensor([1, 7]), 3, "z", Draw((2,)))
    >>> bool((a[0] == b[1]).all())
    True
    """
    count = math.prod(what.shape)
    shape = (len(seeds), *what.shape)
    if what.kind == "permutation":
        return torch.argsort(_long_words(seeds, step, stream, count).view(shape), dim=-1, stable=True)
    if what.kind == "uniform":
        return (words(seeds, step, stream, count) >> 8).to(dtype).mul(2.0**-24).view(shape)
    if what.kind == "bytes":
        return _bytes(seeds, step, stream, count).reshape(shape)
    if what.kind != "normal":
        raise ValueError(f"unknown kind of noise {what.kind!r}; allowed: normal, uniform, bytes, permutation")
    pairs = words(seeds, step, stream, 2 * -(-count // 2)).to(torch.float64)
    u, angle = (pairs[:, 0::2] + 0.5) * 2.0**-32, pairs[:, 1::2] * (2 * math.pi * 2.0**-32)
    radius = torch.sqrt(-2 * torch.log(u))
    normals = torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], -1).flatten(1)
    return normals[:, :count].to(dtype).view(shape)


def _bytes(seeds: Tensor, step: int | Tensor, stream: str, count: int) -> Tensor:
    """(S, count) bytes, the words' lowest first: sixteen to one call of Philox, where uniform numbers take four."""
    found = words(seeds, step, stream, -(-count // 4))
    if sys.byteorder == "little":
        return found.to(torch.int32).view(torch.uint8)[:, :count]
    return torch.stack([(found >> shift & 255).to(torch.uint8) for shift in (0, 8, 16, 24)], -1).flatten(1)[:, :count]


def _long_words(seeds: Tensor, step: int | Tensor, stream: str, count: int) -> Tensor:
    """(S, count) integers of 63 bits, long enough that two are never equal in practice."""
    pairs = words(seeds, step, stream, 2 * count)
    return ((pairs[:, 0::2] & 0x7FFFFFFF) << 32) | pairs[:, 1::2]


class Order:
    """Which images a model sees: every epoch a fresh permutation of all rows, cut into batches across epoch borders.

    Args:
        seed: of the model.
        rows: number of images N.
        batch: images a step.
        stream: name of the order; the second view has its own.
    """

    def __init__(self, seed: int, rows: int, batch: int, device: torch.device, stream: str = "order") -> None:
        self.seeds = torch.tensor([seed], device=device)
        self.rows, self.batch, self.stream = rows, batch, stream
        self._epochs: dict[int, Tensor] = {}

    def at(self, step: int) -> Tensor:
        """(batch,) row numbers of a step."""
        return self.span(step, 1)[0]

    def span(self, step: int, count: int) -> Tensor:
        """(count, batch) row numbers of some steps, one after the other."""
        found, place, left = [], step * self.batch, count * self.batch
        last = (place + left - 1) // self.rows
        while left:
            epoch, offset = divmod(place, self.rows)
            part = self._epoch(epoch, last)[offset : offset + left]
            found.append(part)
            place, left = place + len(part), left - len(part)
        return (torch.cat(found) if len(found) > 1 else found[0]).view(count, self.batch)

    def _epoch(self, epoch: int, last: int) -> Tensor:
        """The permutation of an epoch; those up to ``last`` are drawn with it, as many as are worth one call."""
        if epoch not in self._epochs:
            many = max(1, min(last + 1 - epoch, TOGETHER // self.rows))
            epochs = torch.arange(epoch, epoch + many, device=self.seeds.device)
            long = _long_words(self.seeds.expand(many), epochs, self.stream, self.rows)
            orders = torch.argsort(long, dim=-1, stable=True)
            self._epochs = {e: p for e, p in self._epochs.items() if e >= epoch - 1}
            self._epochs |= {epoch + place: order for place, order in enumerate(orders)}
        return self._epochs[epoch]
