"""MPI3D: a robot arm moves small objects; drawn simply, drawn realistically, and photographed."""

from __future__ import annotations

import hashlib
import math
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from unweave.data.base import Dataset, Images
from unweave.data.cache import Piece, Recipe, Tell, prepare, verify
from unweave.data.factors import Factors
from unweave.data.files import Array, npy_header, npz_blocks, one_line
from unweave.data.stored import StoredImages, Table, check_table, missing, shared, state
from unweave.types import Reference, UserError

WIDTH, CHANNELS = 64, 3
NAMES = (
    "object_color",
    "object_shape",
    "object_size",
    "camera_height",
    "background_color",
    "horizontal_axis",
    "vertical_axis",
)
SIZES = (6, 6, 2, 3, 3, 40, 40)
COMPLEX_SIZES = (4, 4, 2, 3, 3, 40, 40)
GONDAL = Reference(
    "gondal2019transfer",
    "Gondal, Muhammad Waleed and Wüthrich, Manuel and Miladinović, Đorđe and Locatello, Francesco and Breidt, Martin "
    "and Volchkov, Valentin and Akpo, Joel and Bachem, Olivier and Schölkopf, Bernhard and Bauer, Stefan",
    "On the Transfer of Inductive Bias from Simulation to the Real World: a New Disentanglement Dataset",
    "Advances in Neural Information Processing Systems 32",
    2019,
    "https://arxiv.org/abs/1906.03292",
)


@dataclass(frozen=True)
class MPI3D(Dataset):
    """What the four MPI3D sets have in common; not a data set itself. See ``MPI3DReal``."""

    shape: ClassVar[tuple[int, int, int]] = (CHANNELS, WIDTH, WIDTH)
    likelihood: ClassVar[str] = "squared"
    references: ClassVar[tuple[Reference, ...]] = (GONDAL,)
    licence: ClassVar[str] = "CC BY 4.0"
    needs_files: ClassVar[bool] = True
    published: ClassVar[str] = "https://github.com/rr-learning/disentanglement_dataset"
    sizes: ClassVar[tuple[int, ...]] = SIZES
    """Levels of each factor."""
    md5: ClassVar[str] = ""
    """Of the published file; empty where it is not on record."""

    @property
    def factors(self) -> Factors:
        """Colour, shape and size of the object, height of the camera, colour of the background, the arm's two axes."""
        return Factors(NAMES, self.sizes)

    @property
    def rows(self) -> int:
        """Every combination once; vertical_axis fastest."""
        return math.prod(self.sizes)

    def prepare(self, root: Path | None = None, tell: Tell | None = None) -> Path | None:
        """Unpack a packed archive into a cache (12.7 GB); an archive that is only stored is mapped as it is."""
        path = self._path(root)
        return None if _mapped(path, self._array) is not None else prepare(self._recipe(path), tell).folder

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """The images, mapped from the published file, so that only what is asked for is read.

        Of the file's content only the header is looked at; ``check`` reads all of it.
        """
        path = self._path(root)

        def make() -> Table:
            found = _mapped(path, self._array)
            return Table(prepare(self._recipe(path)).images if found is None else found)

        table = shared([path], self.name, make)
        return StoredImages(table, self.factors, str(path), torch.device(device))

    def check(self, root: Path | None = None) -> list[str]:
        """Reads the published file in full, compares its checksums, and looks at every image.

        Raises:
            UserError: one line that says what is wrong.
        """
        path = self._path(root)
        for _ in npz_blocks(path, self._array):
            pass
        if _mapped(path, self._array) is None:
            verify(prepare(self._recipe(path)))
        lines = check_table(self, self.open(root))
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
        told = (
            ("as published" if found == self.md5 else "not that of the published file")
            if self.md5
            else "none on record"
        )
        return [*lines, f"{path}: its own checksums are right; md5 {found}: {told}"]

    @property
    def _array(self) -> Array:
        return Array("images", (self.rows, WIDTH, WIDTH, CHANNELS), ("uint8",))

    def _path(self, root: Path | None) -> Path:
        path = self.find(root)
        if path is None:
            raise missing(self, root)
        return path

    def _recipe(self, path: Path) -> Recipe:
        def pieces(start: int) -> Iterator[Piece]:
            done = 0
            for block in npz_blocks(path, self._array):
                done += len(block)
                if done > start:
                    yield Piece(block[-(done - start) :], done)

        return Recipe(self.name, {"file": state(path)}, self.rows, (WIDTH, WIDTH, CHANNELS), pieces)


@dataclass(frozen=True)
class MPI3DReal(MPI3D):
    """MPI3D real (Gondal et al., 2019): 1,036,800 photographs of a robot arm holding one of 36 objects.

    Read from ``mpi3d_real.npz`` (12.7 GB), which is mapped, not loaded.

    Raises:
        UserError: from ``open``, without the file, or for one that is not as published.

    >>> MPI3DReal().rows, MPI3DReal().factors.sizes
    (1036800, (6, 6, 2, 3, 3, 40, 40))
    """

    name: ClassVar[str] = "mpi3d-real"
    files: ClassVar[tuple[str, ...]] = ("mpi3d_real.npz",)
    md5: ClassVar[str] = "0f33f609918fb5c97996692f91129802"


@dataclass(frozen=True)
class MPI3DRealistic(MPI3D):
    """MPI3D realistic (Gondal et al., 2019): the scene of ``mpi3d-real``, rendered to look alike, 1,036,800 images.

    Read from ``mpi3d_realistic.npz`` (12.7 GB), which is mapped, not loaded.

    Raises:
        UserError: from ``open``, without the file, or for one that is not as published.

    >>> MPI3DRealistic().shape
    (3, 64, 64)
    """

    name: ClassVar[str] = "mpi3d-realistic"
    files: ClassVar[tuple[str, ...]] = ("mpi3d_realistic.npz",)
    md5: ClassVar[str] = "59a6225b88b635365f70c91b3e52f70f"


@dataclass(frozen=True)
class MPI3DToy(MPI3D):
    """MPI3D toy (Gondal et al., 2019): the scene of ``mpi3d-real``, rendered in a simple way, 1,036,800 images.

    Read from ``mpi3d_toy.npz`` (12.7 GB), which is mapped, not loaded.

    Raises:
        UserError: from ``open``, without the file, or for one that is not as published.

    >>> MPI3DToy().factors.names[:3]
    ('object_color', 'object_shape', 'object_size')
    """

    name: ClassVar[str] = "mpi3d-toy"
    files: ClassVar[tuple[str, ...]] = ("mpi3d_toy.npz",)
    md5: ClassVar[str] = "55889cb7c7dfc655d6e0277beee88868"


@dataclass(frozen=True)
class MPI3DComplex(MPI3D):
    """MPI3D complex (Gondal et al., 2019): 460,800 photographs of cups, tennis balls and croissants.

    Read from ``mpi3d_real_complex.npz``, which is mapped, not loaded.

    Raises:
        UserError: from ``open``, without the file, or for one that is not as published.

    >>> MPI3DComplex().rows, MPI3DComplex().factors.sizes
    (460800, (4, 4, 2, 3, 3, 40, 40))
    """

    name: ClassVar[str] = "mpi3d-complex"
    files: ClassVar[tuple[str, ...]] = ("mpi3d_real_complex.npz", "real3d_complicated_shapes_ordered.npz")
    sizes: ClassVar[tuple[int, ...]] = COMPLEX_SIZES


def _mapped(path: Path, array: Array) -> NDArray[np.uint8] | None:
    """The array of a zip archive mapped where it lies, its header verified; None where the archive packs it.

    Raises:
        UserError: one line, for another array, or a damaged archive.
    """
    with one_line(path), zipfile.ZipFile(path) as archive:
        name = f"{array.key}.npy"
        if archive.namelist().count(name) != 1:
            next(npz_blocks(path, array))  # which says what is there instead
        info = archive.getinfo(name)
        with archive.open(info) as member:
            npy_header(path, member, array)
            header = member.tell()
        if info.compress_type != zipfile.ZIP_STORED:
            return None
        with path.open("rb") as file:
            file.seek(info.header_offset + 26)
            start = info.header_offset + 30 + sum(struct.unpack("<HH", file.read(4))) + header
        size = math.prod(array.shape)
        if info.file_size - header != size or start + size > path.stat().st_size:
            raise UserError(f"{path}: {array.key!r} has {info.file_size - header:,} bytes; expected {size:,}")
        return np.memmap(path, np.uint8, "r", start, array.shape)
