"""Cars3D: 183 car models from 96 directions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from unweave.data.base import Dataset, Images
from unweave.data.cache import Piece, Recipe, Tell, compare, prepare, verify
from unweave.data.factors import Factors
from unweave.data.files import data_root
from unweave.data.files import find as find_file
from unweave.data.formats import mat5, tar
from unweave.data.formats.pictures import lanczos
from unweave.data.formats.stream import opened
from unweave.data.stored import StoredImages, Table, check_table, missing, shared, state
from unweave.types import Reference, UserError

SIZES = (4, 24, 183)
"""Levels of elevation, azimuth, object."""
SIDE, WIDTH = 64, 128
ARCHIVE = "nips2015-analogy-data.tar.gz"
MD5 = "4e866a7919c1beedf53964e6f7a23686"
MEANS = (0.89767, 0.88917, 0.88515)
FOLDERS = ("cars3d", "cars", "data/cars", "cars3d/cars", "cars3d/data/cars")
"""Where in the data root the unpacked files may lie."""
LIST, KEY, SUFFIX = "list.txt", "im", "_mesh.mat"
LARGEST = 1 << 24
"""Largest single file that is read, in bytes: a car's pictures and masks take 6.3 MB when they are not packed."""
LARGEST_ARCHIVE = 1 << 33
REED = Reference(
    "reed2015deep",
    "Reed, Scott E. and Zhang, Yi and Zhang, Yuting and Lee, Honglak",
    "Deep Visual Analogy-Making",
    "Advances in Neural Information Processing Systems 28",
    2015,
    "https://papers.nips.cc/paper/5845-deep-visual-analogy-making",
)


@dataclass(frozen=True)
class Cars3D(Dataset):
    """Cars3D (Reed et al., 2015): renderings of 183 car models from 4 elevations and 24 azimuths, 17,568 in all.

    Read from the published archive, or from the MATLAB files unpacked from it; 128 × 128 pixels are resized to 64 × 64
    (Lanczos, as in the disentanglement literature). Every combination of levels has one image.

    Implementation details: cars are numbered in the order of the archive's ``list.txt``, by name where it is missing.
    (The first libraries numbered them as the file system happened to list them.) Only the pictures are read, not the
    masks that lie beside them.

    Raises:
        UserError: from ``open``, without the files, or for files that are not as published.

    >>> Cars3D().rows, Cars3D().factors.names
    (17568, ('elevation', 'azimuth', 'object'))
    """

    name: ClassVar[str] = "cars3d"
    shape: ClassVar[tuple[int, int, int]] = (3, SIDE, SIDE)
    likelihood: ClassVar[str] = "squared"
    references: ClassVar[tuple[Reference, ...]] = (REED,)
    licence: ClassVar[str] = "not stated by its authors"
    files: ClassVar[tuple[str, ...]] = (ARCHIVE, f"cars/*{SUFFIX}")
    needs_files: ClassVar[bool] = True
    published: ClassVar[str] = "http://www.scottreed.info (Deep Visual Analogy-Making, data)"

    @property
    def factors(self) -> Factors:
        """Elevation, azimuth (an angle), object; object fastest."""
        return Factors(("elevation", "azimuth", "object"), SIZES, (False, True, False))

    @property
    def rows(self) -> int:
        """17,568."""
        return self.factors.count

    def find(self, root: Path | None = None) -> Path | None:
        """The archive, or the folder of files unpacked from it."""
        return find_file(root, (ARCHIVE,), self.name) or _folder(root)

    def prepare(self, root: Path | None = None, tell: Tell | None = None) -> Path:
        """Unpack and resize the pictures into a cache of 216 MB."""
        return prepare(self._recipe(root), tell).folder

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """The images, from the cache, which is made now if it is not there."""
        cache = prepare(self._recipe(root))
        table = shared([cache.folder / "images.npy"], self.name, lambda: Table(cache.images))
        return StoredImages(table, self.factors, str(self.find(root)), torch.device(device))

    def check(self, root: Path | None = None) -> list[str]:
        """Reads the published files in full, compares the cache made of them, and looks at every image.

        Raises:
            UserError: one line that says what is wrong.
        """
        recipe = self._recipe(root)
        cache = prepare(recipe)
        verify(cache)
        compare(recipe, cache)
        lines = check_table(self, self.open(root), MEANS)
        path = self.find(root)
        if path is None or path.is_dir():
            return [*lines, f"{path}: the checksum is known for the archive only"]
        with path.open("rb") as file:
            same = hashlib.file_digest(file, "md5").hexdigest() == MD5
        return [*lines, f"{path}: md5 {'as published' if same else 'not that of the published file'}"]

    def _recipe(self, root: Path | None) -> Recipe:
        path = self.find(root)
        if path is None:
            raise missing(self, root)
        files = [path] if path.is_file() else _meshes(path)

        def pieces(start: int) -> Iterator[Piece]:
            images = read(path)
            yield Piece(images[start:], len(images))

        identity = {"files": [state(one) for one in files], "filter": "lanczos"}
        return Recipe(self.name, identity, self.rows, (SIDE, SIDE, 3), pieces)


def read(path: Path) -> NDArray[np.uint8]:
    """(17568, 64, 64, 3) images from the archive or from the folder of files.

    Raises:
        UserError: one line, for missing, surplus, damaged or other files than published.
    """
    # Filled car by car as they come: (elevation, azimuth, object, …) at the end.
    images = np.empty((*SIZES, SIDE, SIDE, 3), np.uint8)
    order: list[str] | None = None
    came: list[str] = []
    for name, data in _files(path):
        if name == LIST:
            order = data.decode("utf-8", "replace").split()
            continue
        if len(came) == SIZES[2] or name in came:
            raise UserError(f"{path}: {name!r} is the {len(came) + 1}th car or a second one; expected {SIZES[2]} cars")
        try:
            mesh = mat5.read(data, KEY, (WIDTH, WIDTH, 3, SIZES[1], SIZES[0]))
        except UserError as error:
            raise UserError(f"{path}: {name}: {error}") from None
        for azimuth in range(SIZES[1]):
            for elevation in range(SIZES[0]):
                picture = np.ascontiguousarray(mesh[:, :, :, azimuth, elevation])
                images[elevation, azimuth, len(came)] = lanczos(picture, SIDE)
        came.append(name)
    if len(came) != SIZES[2]:
        raise UserError(f"{path}: {len(came)} files *{SUFFIX}; expected {SIZES[2]}")
    listed = sorted(came) if order is None else [f"{name.removesuffix('.mat')}.mat" for name in order]
    if sorted(listed) != sorted(came):
        raise UserError(f"{path}: {LIST} names {len(listed)} cars, other ones than the {len(came)} that are there")
    images = images[:, :, [came.index(name) for name in listed]]
    return images.reshape(-1, SIDE, SIDE, 3)


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each car's file, and of the list."""
    if path.is_dir():
        for one in sorted([*_meshes(path), *path.glob(LIST)]):
            with opened(one) as file:
                data = file.read(LARGEST + 1)
            if len(data) > LARGEST:
                raise UserError(f"{one}: more than {LARGEST:,} bytes; expected a car's pictures")
            yield one.name, data
        return
    with opened(path) as file:
        wanted = (SUFFIX, f"cars/{LIST}")
        for name, data in tar.members(file, path, wanted, LARGEST, LARGEST_ARCHIVE):
            if Path(name).parent.name == "cars" and not Path(name).name.startswith("."):
                yield Path(name).name, data


def _folder(root: Path | None) -> Path | None:
    base = data_root(root)
    if base is None:
        return None
    places = (base, *(base / name for name in FOLDERS))
    return next((place for place in places if _meshes(place)), None)


def _meshes(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if not path.name.startswith("."))
