"""Partners: for every image another one that shares all of its factors but some."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, islice
from math import prod
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from unweave.data.base import Images
from unweave.types import UserError

SETS = 200
"""How many sets of two factors or more are searched for partners of images that no single factor leads away from."""


class Partners:
    """Rows that differ from given rows in some factors, as functions of uniform numbers.

    ``changed`` factors are drawn among those of more than one level, and each is redrawn among its other levels, all
    equally likely; with ``changed`` 0 their number is drawn first, from 1 to all but one.

    Where not every combination of levels has an image (factors that hang together, a part of a set), the partner is
    reached through images that exist: the factors are tried in the order drawn, each leads to any of the images that
    differ in it alone, and one that leads nowhere is passed over. So a pair may differ in fewer factors than asked for.
    An image that no single factor leads away from has one fixed partner, which shares as many factors as can be found.

    Args:
        images: an opened data set with factors.
        changed: how many factors differ; 0 for a number drawn for each pair.
        device: where rows are.

    Raises:
        UserError: a data set without factors.
    """

    def __init__(self, images: Images, changed: int, device: torch.device) -> None:
        if images.factors is None:
            raise UserError("pairs of images share factors, and this data set has none; allowed: data with factors")
        if images not in _opened:
            _opened[images] = Neighbours(images, device)
        self.neighbours = _opened[images]
        self.changed = changed
        self.vary = torch.tensor([size > 1 for size in images.factors.sizes], device=device)
        self.most = max(1, sum(size > 1 for size in images.factors.sizes) - 1)

    def of(self, rows: Tensor, order: Tensor, levels: Tensor, count: Tensor) -> Tensor:
        """(N,) row numbers of the partners of (N,) rows.

        Args:
            order: (N, F) uniform numbers; the factors are tried in their order.
            levels: (N, F) uniform numbers that say which of its other levels a factor takes.
            count: (N,) uniform numbers that say how many factors change, where that is drawn.
        """
        wanted = torch.full_like(rows, self.changed) if self.changed else 1 + below(self.most, count)
        factors = torch.argsort(torch.where(self.vary, order.double(), 2.0), dim=-1, stable=True)
        found, moved = rows, torch.zeros_like(rows)
        for factor in factors.unbind(1):
            near, exists = self.neighbours.of(found, factor, levels.gather(1, factor[:, None])[:, 0])
            moves = exists & (moved < wanted)
            found, moved = torch.where(moves, near, found), moved + moves
        far = self.neighbours.far
        return found if far is None else torch.where(moved > 0, found, far[rows])


class Neighbours:
    """For every row and factor the rows that differ in this factor alone, made once for an opened data set.

    With every combination of levels they are found by arithmetic. Otherwise the rows are sorted, once for each factor,
    by all other levels and then by its own, so that those of equal other levels lie together.
    """

    def __init__(self, images: Images, device: torch.device) -> None:
        factors = images.factors
        assert factors is not None
        every = torch.arange(images.rows, device=device)
        levels = images.levels(every)
        numbers = factors.index(levels)
        self.sizes = torch.tensor(factors.sizes, device=device)
        self.strides = torch.tensor([prod(factors.sizes[place + 1 :]) for place in range(len(factors.sizes))]).to(
            device
        )
        self.grid = images.rows == factors.count and torch.equal(numbers, every)
        self.far: Tensor | None = None
        if self.grid:
            return
        places = range(len(factors.sizes))
        if factors.count * len(places) >= 2**62:
            raise UserError(
                f"pairs: {factors.count} combinations of levels are too many to number; allowed: below 2^56"
            )
        # All tables in one, so that every row can ask for another factor: table f holds keys from f · count on.
        self.count = factors.count
        tables = [_sorted(_keys(levels, factors.sizes, (place,))) for place in places]
        self.keys = torch.stack([_keys(levels, factors.sizes, (place,)) for place in places])
        self.table = torch.cat([keys + place * self.count for place, (keys, _) in enumerate(tables)])
        self.order = torch.cat([order for _, order in tables])
        none = torch.zeros(images.rows, device=device)
        alone = torch.ones_like(every, dtype=torch.bool)
        for place in places:
            alone &= ~self.of(every, torch.full_like(every, place), none)[1]
        if bool(alone.any()):
            self.far = _far(levels, factors.sizes, alone)

    def of(self, rows: Tensor, factor: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
        """(N,) neighbours of (N,) rows, each in a factor (N,) of its own, and whether there is any.

        All neighbours are equally likely for (N,) ``uniforms``.
        """
        size = self.sizes[factor]
        if self.grid:
            stride = self.strides[factor]
            level = rows // stride % size
            other = below(size - 1, uniforms)
            return rows + (other + (other >= level) - level) * stride, size > 1
        key = self.keys[factor, rows]
        found, exists = _other(self.table, key + factor * self.count, size, uniforms, key % size)
        return self.order[found], exists


_opened: WeakKeyDictionary[Images, Neighbours] = WeakKeyDictionary()
"""What models of one pack share."""


def below(size: Tensor | int, uniforms: Tensor) -> Tensor:
    """Whole numbers from 0 to size − 1 (0 for a size of 0) from uniform numbers in [0, 1); equal on every device."""
    return (uniforms.double() * size).long()


def _keys(levels: Tensor, sizes: Sequence[int], last: Sequence[int]) -> Tensor:
    """(N,) numbers of the rows' levels in mixed radix, the factors ``last`` counted last."""
    key = torch.zeros_like(levels[:, 0])
    for place in (*(p for p in range(len(sizes)) if p not in last), *last):
        key = key * sizes[place] + levels[:, place]
    return key


def _sorted(keys: Tensor) -> tuple[Tensor, Tensor]:
    found = torch.sort(keys, stable=True)
    return found.values, found.indices


def _other(table: Tensor, key: Tensor, size: Tensor, uniforms: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
    """Places in a sorted table of keys that share all but the last part (of ``size`` values) with ``key``, and whether
    there are any."""
    start = key - last
    begin, end, own, after = torch.searchsorted(table, torch.stack([start, start + size, key, key + 1]))
    others = end - begin - (after - own)
    chosen = begin + below(others, uniforms)
    chosen = chosen + torch.where(chosen >= own, after - own, 0)
    return chosen.clamp(max=len(table) - 1), others > 0


def _far(levels: Tensor, sizes: Sequence[int], alone: Tensor) -> Tensor:
    """(N,) one partner for every row of ``alone``, that differs in as few factors as possible; other rows' own."""
    found = torch.arange(len(levels), device=levels.device)
    places = range(len(sizes))
    sets = (some for count in range(2, len(sizes)) for some in combinations(places, count))
    for some in (*islice(sets, SETS), tuple(places)):
        rows = alone.nonzero()[:, 0]
        if not len(rows):
            break
        keys = _keys(levels, sizes, some)
        table, order = _sorted(keys)
        size = torch.full_like(rows, prod(sizes[place] for place in some))
        key = keys[rows]
        # A number in [0, 1) that depends on the row, so that rows of one group do not all have the same partner.
        spread = (rows * 0x9E3779B1 & 0xFFFFFF).double() * 2.0**-24
        chosen, exists = _other(table, key, size, spread, key % size)
        found[rows] = torch.where(exists, order[chosen], rows)
        alone = alone.clone()
        alone[rows[exists]] = False
    return found
