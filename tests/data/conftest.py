"""Files laid out as the dSprites authors publish them, of any size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

SMALL = (2, 2, 3, 2, 4)
"""Levels of a small set in the published layout."""


class Explosive:
    """Unpickling this creates a file, so that a test can see it happen."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return Path.touch, (self.target,)


def numbers(sizes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Levels and values of every image, in the published order."""
    classes = np.stack(np.unravel_index(np.arange(np.prod(sizes)), (1, *sizes)), axis=1).astype(np.int64)
    values = [[1.0], [1.0, 2.0, 3.0], np.linspace(0.5, 1, sizes[1]), np.linspace(0, 2 * np.pi, sizes[2])]
    values += [np.linspace(0, 1, sizes[3]), np.linspace(0, 1, sizes[4])]
    columns = [np.asarray(v)[k] for v, k in zip(values, classes.T, strict=True)]
    return {"latents_classes": classes, "latents_values": np.stack(columns, axis=1)}


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    metadata = np.empty((), dtype=object)
    metadata[()] = Explosive(path.with_name("exploded"))
    np.savez_compressed(path, allow_pickle=True, metadata=metadata, **arrays)
    return path


def write_hdf5(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            key = name.replace("latents_", "latents/")
            if array.dtype == object:
                file.create_dataset(key, data=[str(a) for a in array.flat], dtype=h5py.string_dtype())
                continue
            chunks = (min(7, len(array)), 2, 4) if key == "imgs" and array.shape[1:] == (64, 64) else True
            file.create_dataset(key, data=array, chunks=chunks, compression="gzip")
    return path


class Published(NamedTuple):
    """How published files are written, for tests that lay them out themselves."""

    numbers: Callable[[tuple[int, ...]], dict[str, np.ndarray]] = numbers
    npz: Callable[[Path, dict[str, np.ndarray]], Path] = write_npz
    hdf5: Callable[[Path, dict[str, np.ndarray]], Path] = write_hdf5


@pytest.fixture
def published() -> Published:
    """Writers of files laid out as published."""
    return Published()


@pytest.fixture(params=["npz", "hdf5"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[dict[str, np.ndarray]], Path]:
    """Writes arrays as one of the two published kinds of file."""
    make = {"npz": write_npz, "hdf5": write_hdf5}[request.param]
    return lambda arrays: make(tmp_path / f"set.{request.param}", arrays)


@pytest.fixture
def sizes() -> tuple[int, ...]:
    """Levels per factor of the small set."""
    return SMALL


@pytest.fixture
def small(sizes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """The arrays of a small published set: random pictures, all else in order."""
    pictures = np.random.default_rng(0).integers(0, 2, (int(np.prod(sizes)), 64, 64), dtype=np.uint8)
    return {"imgs": pictures, **numbers(sizes)}
