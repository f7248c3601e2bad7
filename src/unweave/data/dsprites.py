"""dSprites: 737,280 white shapes on black, every combination of five factors once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from unweave.data import sprites
from unweave.data.base import Dataset, Images
from unweave.data.cache import Piece, Recipe, Tell, prepare
from unweave.data.factors import Factors
from unweave.data.files import Array, blocks, sha256
from unweave.data.polygons import WIDTH, Words, pack
from unweave.data.stored import state
from unweave.references import HIGGINS_2017
from unweave.types import Reference, UserError

STEM = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64"
KEYS = {
    ".npz": ("imgs", "latents_classes", "latents_values"),
    ".hdf5": ("imgs", "latents/classes", "latents/values"),
}
"""Names of images, levels and values in the two published files; the npz's pickled ``metadata`` is never touched."""
HDF5_SHA256 = "729fa22e884c9c500e1f17415d580746b4c5894fbbb780a1319bbcfa39a745bb"
DRAWN_SHA256 = "faaf9cf5fa6256819224cb831e7fe802f7e166a63fda58f12c5f1c6eec3f5ea0"
"""Of the drawn set: the 64 rows of each image as little-endian 64-bit words, bit c = column c, all images in order."""
DRAWN_SUM = 128_328_864
"""Pixels that are on in the drawn set; 128,328,862 in the published one."""
TOLERATED = 3_020
"""Pixels, a millionth of all, by which a published file may differ from the drawn set."""
PACKED = (WIDTH, WIDTH // 8, 1)
"""Shape of an image in a cache, one bit a pixel."""
OCTETS = WIDTH * WIDTH // 8
"""Its bytes."""
BUILD_AFTER = 1 << 18
"""Images drawn one by one after which drawing all 737,280 has paid (about two seconds, 377 MB)."""

MATTHEY = Reference(
    "dsprites17",
    "Matthey, Loic and Higgins, Irina and Hassabis, Demis and Lerchner, Alexander",
    "dSprites: Disentanglement testing Sprites dataset",
    "GitHub",
    2017,
    "https://github.com/deepmind/dsprites-dataset",
)

_tables: WeakValueDictionary[str, Tensor] = WeakValueDictionary()
"""The drawn set per device, shared by everything that holds it open."""


@dataclass(frozen=True)
class DSprites(Dataset):
    """dSprites (Matthey et al., 2017): square, ellipse or heart; 6 scales, 40 orientations, 32 × 32 positions.

    Without a file the images are drawn, pixel-identical on all 413 real images they could be compared with. Over the
    whole set 128,328,864 pixels are on, in the published file 128,328,862. Orientations 0 and 39 are the same picture
    (angles 0 and 2π), as published.

    Implementation details: the published files have a sixth factor, colour, of one level in front; it is left out here.

    >>> images = DSprites().open()
    >>> rows = torch.tensor([0, 737279])
    >>> images.batch(rows, {}).shape, images.levels(rows).tolist()
    (torch.Size([2, 1, 64, 64]), [[0, 0, 0, 0, 0], [2, 5, 39, 31, 31]])
    """

    name: ClassVar[str] = "dsprites"
    shape: ClassVar[tuple[int, int, int]] = (1, WIDTH, WIDTH)
    likelihood: ClassVar[str] = "bernoulli"
    references: ClassVar[tuple[Reference, ...]] = (MATTHEY, HIGGINS_2017)
    licence: ClassVar[str] = "Apache-2.0 (published files)"
    files: ClassVar[tuple[str, ...]] = (f"{STEM}.npz", f"{STEM}.hdf5")
    published: ClassVar[str] = "https://github.com/deepmind/dsprites-dataset"

    @property
    def factors(self) -> Factors:
        """Shape, scale, orientation (an angle), pos_x (columns), pos_y (rows); pos_y fastest."""
        return Factors(
            ("shape", "scale", "orientation", "pos_x", "pos_y"), sprites.SIZES, (False, False, True, False, False)
        )

    @property
    def rows(self) -> int:
        """737,280."""
        return sprites.COUNT

    def prepare(self, root: Path | None = None, tell: Tell | None = None) -> Path | None:
        """Verify the published file, where there is one, and keep its images on disk, one bit a pixel (377 MB)."""
        path = self.find(root)
        return None if path is None else prepare(_recipe(path), tell).folder

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """The published ``.npz`` or ``.hdf5`` under ``root`` or ``root/dsprites``, verified and read once; else drawn.

        On the CPU nothing is drawn before it is asked for. On another device the whole set (377 MB) is put there now.
        """
        path = self.find(root)
        table = None if path is None else torch.from_numpy(np.array(prepare(_recipe(path)).images).reshape(-1, OCTETS))
        return SpriteImages(self.factors, torch.device(device), table, "drawn" if path is None else str(path))

    def check(self, root: Path | None = None) -> list[str]:
        """Draws the whole set, compares it with its fingerprint, and a published file, if there is one, with it.

        Raises:
            UserError: one line that says what is wrong.
        """
        digest, total, differing = hashlib.sha256(), 0, 0
        path = self.find(root)
        stored = None if path is None else read(path)
        start = 0
        for words in sprites.draw_all():
            digest.update(words.astype("<u8", copy=False).data)
            total += int(np.bitwise_count(words).sum(dtype=np.int64))
            if stored is not None:
                differing += int(np.bitwise_count(words ^ stored[start : start + len(words)]).sum(dtype=np.int64))
            start += len(words)
        if (start, total, digest.hexdigest()) != (self.rows, DRAWN_SUM, DRAWN_SHA256):
            raise UserError(
                f"dsprites: drawn {start:,} images, {total:,} pixels on, sha256 {digest.hexdigest()}; a broken build"
            )
        lines = [f"drawn: {start:,} images, {total:,} pixels on, sha256 {digest.hexdigest()}: as expected"]
        if path is None or stored is None:
            return [*lines, "no published file found: the drawn set is used"]
        if differing > TOLERATED:
            raise UserError(
                f"{path}: {differing:,} pixels differ from the drawn set; allowed are {TOLERATED:,}: another data set"
            )
        on = int(np.bitwise_count(stored).sum(dtype=np.int64))
        lines += [
            f"{path}: {len(stored):,} images, levels and values as published, {on:,} pixels on (published: 128,328,862)"
        ]
        lines += [f"{path}: {differing:,} of {stored.size * WIDTH:,} pixels differ from the drawn set"]
        return [*lines, _verdict(path)]


class SpriteImages(Images):
    """dSprites, one bit a pixel: drawn when asked for, or a table of 737,280 × 512 bytes on the device."""

    factors: Factors

    def __init__(self, factors: Factors, device: torch.device, table: Tensor | None, source: str) -> None:
        self.factors, self.rows, self.source = factors, factors.count, source
        self.device, self.drawn = device, 0
        self.octets = ((torch.arange(256)[:, None] >> torch.arange(8)) & 1).to(device, torch.float32)
        if table is None and device.type != "cpu":
            table = _drawn(device)
        self.table = None if table is None else table.to(device)

    @property
    def resident(self) -> bool:
        """Where the table of bits is on the device."""
        return self.table is not None

    def batch(self, rows: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        """(N,) row numbers -> (N, 1, 64, 64) float32, each 0 or 1; ``draws`` is not used."""
        if self.table is None and self.drawn + len(rows) > BUILD_AFTER:
            self.table = _drawn(self.device)
        if self.table is None:
            if bool(((rows < 0) | (rows >= self.rows)).any()):
                raise IndexError(f"dsprites: row numbers {rows.tolist()[:8]} …; allowed are 0 to {self.rows - 1}")
            self.drawn += len(rows)
            bits = _bits(sprites.draw(self.levels(rows).cpu().numpy()))
        else:
            bits = self.table.index_select(0, rows.to(self.device))
        # Eight pixels at a time from a table of all 256 bytes: a third of the time of shifting and masking.
        pixels = torch.nn.functional.embedding(bits.int(), self.octets)
        return pixels.view(len(rows), 1, WIDTH, WIDTH)

    def levels(self, rows: Tensor) -> Tensor:
        """(N,) row numbers -> (N, 5) levels."""
        return self.factors.levels(rows)


def read(path: Path, sizes: tuple[int, ...] = sprites.SIZES) -> Words:
    """All that ``packed`` finds -> (N, 64) words."""
    return np.concatenate(list(packed(path, sizes)))


def packed(path: Path, sizes: tuple[int, ...] = sprites.SIZES) -> Iterator[Words]:
    """A file laid out as the published ones, verified: (n, 64) words, one bit a pixel, as ``sprites.draw`` returns.

    Args:
        path: ``.npz`` or ``.hdf5``.
        sizes: levels per factor; the published ones unless a smaller file of the same layout is read.

    Raises:
        UserError: missing arrays, other shapes, number types, levels or values, pixels other than 0 and 1, damage.
    """
    images, classes, values = KEYS[path.suffix]
    count = int(np.prod(sizes))
    spans = ((1.0, 3.0), (0.5, 1.0), (0.0, 2 * np.pi), (0.0, 1.0), (0.0, 1.0))
    known = [np.linspace(1.0, 3.0, 3)[: sizes[0]]] + [
        np.linspace(*span, size) for span, size in zip(spans[1:], sizes[1:], strict=True)
    ]
    numbers = (
        (Array(classes, (count, 6), ("int64", "int32", "uint8")), [np.arange(size) for size in sizes], 0),
        (Array(values, (count, 6), ("float64", "float32")), known, 1),
    )
    for array, columns, colour in numbers:
        start = 0
        for block in blocks(path, array):
            levels = np.unravel_index(np.arange(start, start + len(block)), sizes)
            expected = [np.full(len(block), colour)] + [column[k] for column, k in zip(columns, levels, strict=True)]
            wrong = ~np.isclose(block, np.stack(expected, axis=1), rtol=0, atol=1e-5).all(axis=1)
            if wrong.any():
                raise UserError(
                    f"{path}: {array.key!r} differs from the published order of images at row {start + wrong.argmax()}"
                )
            start += len(block)
    for block in blocks(path, Array(images, (count, WIDTH, WIDTH), ("uint8",))):
        if block.max() > 1:
            raise UserError(f"{path}: {images!r} holds the value {block.max()}; allowed are 0 and 1")
        yield pack(block)


def _recipe(path: Path) -> Recipe:
    def pieces(start: int) -> Iterator[Piece]:
        done = 0
        for words in packed(path):
            done += len(words)
            if done > start:
                octets = _bits(words[-(done - start) :]).numpy()
                yield Piece(octets.reshape(len(octets), *PACKED), done)

    return Recipe("dsprites", {"file": state(path)}, sprites.COUNT, PACKED, pieces)


def _verdict(path: Path) -> str:
    if path.suffix == ".npz":
        return f"{path}: sha256 {sha256(path)} (none on record for the npz)"
    same = sha256(path) == HDF5_SHA256
    return f"{path}: sha256 {'as published' if same else 'not that of the published file, though its content is right'}"


def _bits(words: Words) -> Tensor:
    return torch.from_numpy(words.astype("<u8", copy=False).view(np.uint8))


def _drawn(device: torch.device) -> Tensor:
    table = _tables.get(str(device))
    if table is None:
        words = np.empty((sprites.COUNT, WIDTH), dtype=np.uint64)
        start = 0
        for piece in sprites.draw_all():
            words[start : start + len(piece)] = piece
            start += len(piece)
        table = _bits(words).to(device)
        _tables[str(device)] = table
    return table
