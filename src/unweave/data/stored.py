"""Images that lie in a table of bytes: in memory, mapped from a file, or on the card when they fit there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unweave.data.ahead import Ahead, Pages
from unweave.data.base import Dataset, Images
from unweave.data.factors import Factors
from unweave.data.files import not_found
from unweave.types import UserError

FITS = 0.6
"""Largest part of a card's free memory that a data set may take; larger ones stay here and are sent batch by batch."""
PIECE = 1 << 26
"""Bytes sent to a card at a time."""
APART = 0.02
"""How far a set's channel means may be from the published ones, which were taken after somebody else's resizing."""
DARK = 64
"""Of 255: where no pixel is brighter, the pictures are likely to be of fewer bits than their files claim."""
GLANCE = 500
"""Images, evenly over all, in which the brightest pixel is looked for."""

MOST = 2**62
"""Combinations of levels that can be numbered."""

_tables: WeakValueDictionary[tuple[Any, ...], Table] = WeakValueDictionary()
"""What is held open, shared by everything that opens the same files in the same way."""


class Table:
    """(N, H, W, C) bytes and, if there are any, (N, F) levels; may be shared."""

    def __init__(self, pixels: NDArray[np.uint8], levels: NDArray[Any] | None = None) -> None:
        self.pixels, self.levels = pixels, levels
        self.card: dict[str, Tensor] = {}

    def on(self, device: torch.device) -> Tensor | None:
        """The pixels on a card, put there once; None on the CPU, and where they do not fit."""
        if device.type == "cpu":
            return None
        name = str(device)
        if name not in self.card and fits(self.pixels.nbytes, device):
            whole = torch.empty(self.pixels.shape, dtype=torch.uint8, device=device)
            step = max(1, PIECE // max(1, self.pixels[:1].nbytes))
            for start in range(0, len(self.pixels), step):
                whole[start : start + step] = torch.from_numpy(np.array(self.pixels[start : start + step])).to(device)
            self.card[name] = whole
        return self.card.get(name)


def dark(images: NDArray[np.uint8]) -> list[str]:
    """A line where all pictures are nearly black, as those of 12 bits are that a file of 16 bits holds."""
    if not len(images):
        return []
    rows = np.unique(np.linspace(0, len(images) - 1, GLANCE).astype(np.int64))
    brightest = max(int(images[row].max()) for row in rows)
    if brightest >= DARK:
        return []
    return [
        f"the brightest pixel of {len(rows):,} images is {brightest} of 255: next to nothing is seen; those of fewer "
        "bits than their files hold (12 in 16, 0 and 1 in 8) have to be stretched to the whole range first"
    ]


def fits(size: int, device: torch.device) -> bool:
    """Whether so many bytes may be put on the device."""
    if device.type != "cuda":
        return True
    return size <= FITS * torch.cuda.mem_get_info(device)[0]


def shared(paths: Sequence[Path], how: object, make: Callable[[], Table]) -> Table:
    """What ``make`` returns, made once for as long as somebody holds it and the files do not change.

    Args:
        paths: files it is made of.
        how: everything else that it depends on.
        make: reads the files.
    """
    states = [(path, path.stat()) for path in paths]
    key = (*((str(path.resolve()), state.st_mtime_ns, state.st_size) for path, state in states), repr(how))
    table = _tables.get(key)
    if table is None:
        _tables[key] = table = make()
    return table


class StoredImages(Images):
    """Images out of a table of bytes.

    Rows and levels belong together in one of three ways: row = index of the levels (every combination once); with
    ``copies``, that many consecutive rows for every combination, in order; or as the table's ``levels`` say.

    Args:
        table: the images.
        factors: their factors, or None.
        source: where they come from.
        device: where batches are wanted.
        chosen: which rows of the table these images are, in order; all when None.
        copies: images of each combination of levels, where the table has no levels of its own.
    """

    def __init__(
        self,
        table: Table,
        factors: Factors | None,
        source: str,
        device: torch.device,
        chosen: NDArray[np.int64] | None = None,
        copies: int = 1,
    ) -> None:
        self.table, self.factors, self.source, self.device, self.copies = table, factors, source, device, copies
        self.rows = len(table.pixels) if chosen is None else len(chosen)
        self.chosen = None if chosen is None else torch.from_numpy(chosen)
        self.card = table.on(device)
        self.streams = self.card is None and isinstance(table.pixels, np.memmap)
        pages = Pages(table.pixels) if self.streams else None
        self._ahead = Ahead(partial(_fetch, table.pixels, pages, self.chosen, device.type == "cuda"))
        self.known: Tensor | None = None
        self._sorted: tuple[Tensor, Tensor] | None = None
        if table.levels is not None and factors is not None:
            levels = table.levels if chosen is None else table.levels[chosen]
            self.known = torch.from_numpy(np.ascontiguousarray(levels, np.int64)).to(device)

    @property
    def resident(self) -> bool:
        """Where the table is on a card."""
        return self.card is not None

    def batch(self, rows: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        """(N,) row numbers -> (N, C, H, W) float32, whole levels of 255; ``draws`` is not used."""
        if self.card is not None:
            rows = rows.to(self.device)
            if self.chosen is not None:
                self.chosen = self.chosen.to(self.device)
                rows = self.chosen[rows]
            found = self.card.index_select(0, rows)
        else:
            found = self._ahead.take(rows).to(self.device, non_blocking=True)
        pixels = found.permute(0, 3, 1, 2)
        return pixels.to(torch.float32, memory_format=torch.contiguous_format).div_(255)

    def ahead(self, rows: Tensor) -> None:
        """Begin to read (N,) rows from the disk."""
        if self.streams:
            self._ahead.begin(rows)

    def levels(self, rows: Tensor) -> Tensor:
        """(N,) row numbers -> (N, F) levels."""
        if self.factors is None:
            return rows.new_zeros((len(rows), 0), dtype=torch.int64)
        if self.known is None:
            return self.factors.levels(rows.long() // self.copies)
        return self.known.to(rows.device).index_select(0, rows)

    def index(self, levels: Tensor) -> Tensor:
        """(N, F) levels -> (N,) row numbers; of several images with the same levels the first.

        Raises:
            UserError: no factors, a level outside its factor, or a combination of which there is no image.
        """
        factors = self.factors
        if factors is None:
            raise UserError("this data set has no factors, so no image can be asked for by its levels")
        levels = levels.long()
        if factors.count >= MOST:
            # More combinations than there are numbers: they are counted among those that occur.
            known = factors.levels(torch.arange(self.rows)) if self.known is None else self.known
            both, count = torch.cat([known.long().to(levels.device), levels]), self.rows
            number = torch.unique(both, dim=0, return_inverse=True)[1]
            held, order = torch.sort(number[:count], stable=True)
            return self._found(number[count:], held, order, levels)
        wanted = factors.index(levels)
        if self.known is None:
            return wanted * self.copies
        if self._sorted is None:
            held, order = torch.sort(factors.index(self.known), stable=True)
            self._sorted = held, order
        held, order = (one.to(levels.device) for one in self._sorted)
        return self._found(wanted, held, order, levels)

    def _found(self, wanted: Tensor, held: Tensor, order: Tensor, levels: Tensor) -> Tensor:
        """Rows of the numbers wanted among those held, in order. Raises UserError naming levels that no image has."""
        place = torch.searchsorted(held, wanted).clamp(max=self.rows - 1)
        missing = (held[place] != wanted).nonzero().flatten()
        if len(missing):
            words = ", ".join(str(one) for one in levels[missing[0]].tolist()[:12])
            raise UserError(f"no image has levels ({words}{', …' if levels.shape[1] > 12 else ''}); not all exist here")
        return order[place]


def _fetch(pixels: NDArray[np.uint8], pages: Pages | None, chosen: Tensor | None, pinned: bool, rows: Tensor) -> Tensor:
    """(N,) row numbers -> (N, H, W, C) bytes; pinned: in memory that a card reads from by itself."""
    count = len(pixels) if chosen is None else len(chosen)
    if bool(((rows < 0) | (rows >= count)).any()):
        raise IndexError(f"row numbers {rows.tolist()[:8]} …; allowed are 0 to {count - 1}")
    if chosen is not None:
        rows = chosen[rows]
    if pages is not None:
        pages.want(rows.numpy())
    found = torch.from_numpy(np.take(pixels, rows.numpy(), axis=0))
    return found.pin_memory() if pinned else found


def in_order(levels: NDArray[np.int64] | None, factors: Factors | None) -> NDArray[np.int64] | None:
    """Rows by their levels (N, F) where every combination has exactly one picture, as for every full set; else None: as
    named."""
    if levels is None or factors is None or len(levels) != factors.count:
        return None
    index = np.ravel_multi_index(tuple(levels.T), factors.sizes)
    order = np.argsort(index, kind="stable")
    return order if np.array_equal(index[order], np.arange(factors.count)) else None


def missing(data: Dataset, root: Path | None) -> UserError:
    """What to say where a set's files are not found."""
    return not_found(data.name, data.files, data.published, root)


def place(path: Path) -> str:
    """Where a file or folder lies: two that look alike, as unpacked archives may, have caches of their own."""
    return str(path.resolve())


def state(path: Path) -> list[Any]:
    """Name, size and time of change of a file, by which a cache knows it again."""
    found = path.stat()
    return [path.name, found.st_size, found.st_mtime_ns]


def states(path: Path) -> list[Any]:
    """Those of a file, or of all files in a folder."""
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    return [state(one) for one in files]


def check_table(data: Dataset, images: Images, means: tuple[float, ...] | None = None) -> list[str]:
    """Reads every image; readable lines of what was found.

    Args:
        data: the data set.
        images: the same, opened.
        means: of each channel over the whole published set, where that is known.

    Raises:
        UserError: levels that do not lead back to themselves, or other means.
    """
    digest, total, count = hashlib.sha256(), np.zeros(data.shape[0]), 0
    for rows in torch.arange(images.rows).split(1024):
        pixels = images.batch(rows, {}).mul_(255).round_().to(torch.uint8).numpy()
        digest.update(pixels.tobytes())
        total += pixels.sum((0, 2, 3), dtype=np.int64)
        count += len(pixels)
        if images.factors is not None:
            levels = images.levels(rows)
            if not torch.equal(images.levels(images.index(levels)), levels):
                raise UserError(f"{data.name}: levels from row {int(rows[0])} on do not lead back to themselves")
    found = total / (255 * count * data.shape[1] * data.shape[2])
    if means is not None and not np.allclose(found, means, rtol=0, atol=APART):
        raise UserError(f"{data.name}: channel means {_words(found)}; the published set's are {_words(means)}")
    return [
        f"{data.name}: {count:,} images of {data.shape}, {images.source}",
        f"means {_words(found)}{'' if means is None else ' as published'}; sha256 of the pixels {digest.hexdigest()}",
    ]


def _words(means: Iterable[float]) -> str:
    return " ".join(f"{mean:.5f}" for mean in means)
