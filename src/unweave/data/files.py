"""Reading other people's files: found under a data root, checked before they are read, never executed."""

from __future__ import annotations

import hashlib
import lzma
import math
import os
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from unweave.types import UserError

ROOT_VARIABLE = "UNWEAVE_DATA"
"""Environment variable that names the data root where no argument does."""
DAMAGE = (OSError, EOFError, ValueError, KeyError, RuntimeError, struct.error, zlib.error, lzma.LZMAError)
"""What readers raise on damaged bytes."""
NO_HEADER = (SyntaxError, tokenize.TokenError, MemoryError)
"""What they raise, besides, on an array header that is no Python literal."""
BLOCK = 1 << 24
"""Bytes read at a time."""
CHUNK = 1 << 24
"""Largest HDF5 chunk that is read, in bytes: a reader must hold one whole."""
CHUNK_ROOM = 1 << 16
"""Bytes that a packed chunk may be larger than what is in it."""
FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}
"""HDF5 filters that are read, by their registered numbers; others would need plug-ins."""


class Array(NamedTuple):
    """What an array in a file must be: its name, its exact shape and the number types allowed."""

    key: str
    shape: tuple[int, ...]
    dtypes: tuple[str, ...]


def data_root(root: Path | str | None = None) -> Path | None:
    """The folder of data files: the argument, else the environment variable ``UNWEAVE_DATA``, else None.

    Raises:
        UserError: it is named and is no folder.
    """
    given = root if root is not None else os.environ.get(ROOT_VARIABLE) or None
    if given is None:
        return None
    path = Path(given).expanduser()
    if not path.is_dir():
        origin = "data root" if root is not None else f"environment variable {ROOT_VARIABLE}"
        raise UserError(f"{origin}: {str(given)!r} is no folder; allowed is an existing folder, or none at all")
    return path


def find(root: Path | str | None, names: Sequence[str], folder: str = "") -> Path | None:
    """The first of ``names`` that is a file in the data root, or in its sub-folder ``folder``; None without.

    Args:
        root: as ``data_root`` takes it.
        names: file names, best first.
        folder: sub-folder to look in as well, after the root itself.
    """
    base = data_root(root)
    if base is None:
        return None
    for name in names:
        for path in (base / name, base / folder / name):
            if path.is_file():
                return path
    return None


def not_found(name: str, names: Sequence[str], published: str, root: Path | str | None) -> UserError:
    """What to say where none of a set's published files is there.

    Args:
        name: the data set.
        names: its files.
        published: where its authors publish them.
        root: as ``data_root`` takes it.
    """
    base = data_root(root)
    where = f"in {base} or {base / name}" if base else f"(no data root: --data-root, or {ROOT_VARIABLE})"
    some = f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}"
    return UserError(f"{name}: its files were not found {where}; expected {some}, published at {published}")


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def blocks(path: Path, array: Array) -> Iterator[np.ndarray]:
    """One array of an ``.npz`` or HDF5 file, as consecutive blocks of its rows, in this machine's byte order.

    Everything the file claims is compared with ``array`` before memory is asked for. Nothing is unpickled, no link out
    of the file is followed, and never more bytes are unpacked than the array has, or in HDF5 a chunk of it. (Of filters
    other than deflate the HDF5 library unpacks chunks itself: there only their claimed size is bounded.)

    Args:
        path: file ending in ``.npz``, ``.hdf5`` or ``.h5``.
        array: what must be there; ``key`` is the member's name without ``.npy``, or the HDF5 path.

    Raises:
        UserError: one line naming the file, for anything else than that array, or a damaged file.
    """
    if path.suffix == ".npz":
        return npz_blocks(path, array)
    if path.suffix in (".hdf5", ".h5"):
        return hdf5_blocks(path, array)
    raise UserError(f"{path}: unknown kind of file; allowed are .npz, .hdf5 and .h5")


def as_numpy_packs(info: zipfile.ZipInfo) -> bool:
    """Whether a member of an archive is stored or deflated, and not encrypted: all that NumPy writes."""
    return not info.flag_bits & 1 and info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def npz_blocks(path: Path, array: Array) -> Iterator[np.ndarray]:
    """``blocks`` for a NumPy zip archive."""
    with one_line(path), zipfile.ZipFile(path) as archive:
        name = f"{array.key}.npy"
        held = archive.namelist()
        if held.count(name) != 1:
            raise UserError(f"{path}: {held.count(name)} arrays {array.key!r}, expected one; it holds {_some(held)}")
        info = archive.getinfo(name)
        if not as_numpy_packs(info):
            raise UserError(
                f"{path}: {array.key!r} is encrypted or packed in an unknown way; allowed are stored and deflated"
            )
        with archive.open(info) as member:
            dtype = npy_header(path, member, array)
            expected = math.prod(array.shape) * dtype.itemsize
            if info.file_size - member.tell() != expected:
                raise UserError(
                    f"{path}: {array.key!r} has {info.file_size - member.tell():,} bytes; expected {expected:,}"
                )
            row = math.prod(array.shape[1:]) * dtype.itemsize
            step = max(1, BLOCK // row) * row
            for start in range(0, expected, step):
                data = member.read(min(step, expected - start))
                if len(data) != min(step, expected - start):
                    raise UserError(f"{path}: {array.key!r} ends early; the file is truncated, fetch it again")
                block = np.frombuffer(data, dtype).reshape(-1, *array.shape[1:])
                yield block.astype(dtype.newbyteorder("="), copy=False)


def hdf5_blocks(path: Path, array: Array) -> Iterator[np.ndarray]:
    """``blocks`` for an HDF5 file; needs the optional package h5py."""
    try:
        import h5py
    except ImportError:
        raise UserError(f"{path}: reading HDF5 needs h5py; run: pip install h5py") from None
    with one_line(path), h5py.File(path, "r") as file:
        here: Any = file
        for part in array.key.split("/"):
            link = here.get(part, getlink=True) if isinstance(here, h5py.Group) and part in here else None
            if not isinstance(link, h5py.HardLink):
                raise UserError(f"{path}: no array {array.key!r} stored in the file; it holds {_some(list(file))}")
            here = here[part]
        if not isinstance(here, h5py.Dataset) or here.is_virtual or here.external:
            raise UserError(f"{path}: {array.key!r} is no array stored in this file")
        _claims(path, array, here.shape, here.dtype)
        properties = here.id.get_create_plist()
        numbers = [properties.get_filter(k)[0] for k in range(properties.get_nfilters())]
        if any(number not in FILTERS for number in numbers):
            raise UserError(f"{path}: {array.key!r} uses HDF5 filters {numbers}; allowed are {FILTERS}")
        chunk = here.chunks or (1, *array.shape[1:])
        if math.prod(chunk) * here.dtype.itemsize > CHUNK:
            raise UserError(
                f"{path}: {array.key!r} is stored in chunks of shape {chunk}; allowed are at most {CHUNK:,} bytes"
            )
        if 1 in numbers:
            _check_chunks(path, array, here, math.prod(chunk) * here.dtype.itemsize, numbers.index(1))
        row = math.prod(array.shape[1:]) * here.dtype.itemsize
        # Whole chunks at a time, so that each is unpacked once: the published dSprites file has chunks of 23,040 rows.
        step = chunk[0] * max(1, BLOCK // (chunk[0] * row))
        for start in range(0, array.shape[0], step):
            yield here[start : start + step].astype(here.dtype.newbyteorder("="), copy=False)


def _check_chunks(path: Path, array: Array, data: Any, size: int, deflate: int) -> None:
    """Unpack every chunk, to no more than the ``size`` bytes that it may have: the HDF5 library itself goes on for as
    long as there is something to unpack. ``deflate`` is that filter's place among the filters."""
    chunks: list[Any] = []
    data.id.chunk_iter(chunks.append)
    for one in chunks:
        if one.filter_mask >> deflate & 1:
            continue
        stored = data.id.read_direct_chunk(one.chunk_offset)[1] if one.size <= size + CHUNK_ROOM else b""
        unpacked = zlib.decompressobj().decompress(stored, size + CHUNK_ROOM) if stored else b""
        # A checksum may lie behind the numbers.
        if not size <= len(unpacked) < size + CHUNK_ROOM:
            raise UserError(
                f"{path}: {array.key!r} has a chunk of {one.size:,} bytes that unpacks to "
                f"{f'{len(unpacked):,} or more' if unpacked else 'an unknown number of'} bytes; expected {size:,}"
            )


def npy_header(path: Path, member: Any, array: Array) -> np.dtype:
    """The number type of an opened ``.npy`` file, everything in its header compared with what must be there.

    Raises:
        UserError: one line that names the file.
    """
    if np.lib.format.read_magic(member) != (
        1,
        0,
    ):  # later versions allow headers of gigabytes, for long field names only
        raise UserError(f"{path}: {array.key!r} has an unknown .npy version; allowed is 1.0")
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # Python 2 may have written 64L for 64
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(member, max_header_size=10_000)
    _claims(path, array, shape, dtype)
    if fortran and len(shape) > 1:
        raise UserError(f"{path}: {array.key!r} is stored column by column; expected row by row")
    return dtype


def _claims(path: Path, array: Array, shape: tuple[int, ...] | None, dtype: np.dtype) -> None:
    if shape is None:
        raise UserError(f"{path}: {array.key!r} is empty; expected {array.shape}")
    if dtype.hasobject:
        raise UserError(
            f"{path}: {array.key!r} holds pickled objects, which are never loaded; expected {_types(array)}"
        )
    if dtype.newbyteorder("=").name not in array.dtypes:
        raise UserError(f"{path}: {array.key!r} has number type {dtype.name}; expected {_types(array)}")
    if tuple(shape) != array.shape:
        raise UserError(f"{path}: {array.key!r} has shape {tuple(shape)}; expected {array.shape}")


@contextmanager
def one_line(path: Path) -> Iterator[None]:
    """Whatever a damaged file makes a reader raise, as one line that names the file."""
    try:
        yield
    except UserError:
        raise
    except zipfile.BadZipFile as error:
        raise UserError(f"{path}: no zip archive, truncated or damaged ({error}); fetch it again") from None
    except (*DAMAGE, *NO_HEADER) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path}: truncated, damaged or not readable ({type(error).__name__}: {reason[:200]})"
        ) from None


def _types(array: Array) -> str:
    return " or ".join(array.dtypes)


def _some(names: list[str]) -> str:
    shown = ", ".join(repr(name.removesuffix(".npy")[:40]) for name in names[:6])
    return f"{shown or 'nothing'}{' and more' if len(names) > 6 else ''}"
