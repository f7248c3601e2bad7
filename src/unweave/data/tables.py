"""Codes from other frameworks: two NumPy archives of a bounded size, checked before they are read, never executed."""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unweave.data.files import DAMAGE, NO_HEADER, as_numpy_packs
from unweave.names import hint
from unweave.types import Codes, UserError

LARGEST = 1 << 31
"""Largest array that is read, in bytes."""
MEMBERS = 32
"""An archive with more arrays than this is not one of ours."""
CODES = {
    "mean": "(images, latents) numbers: the representation",
    "logvar": "(images, latents) log-variances of q(z|x), if there are any",
    "bce": "(images,) reconstruction error of each image in nats, summed over pixels",
    "squared_error": "(images,) squared error of each image, summed over pixels",
    "pixels": "one whole number: channels × height × width of an image",
    "blocks": "(latents,) whole numbers: the same for latents that form one code, -1 for a latent alone",
    "path": "(images,) what each image is called, for people",
}
FACTORS = {
    "levels": "(images, factors) whole level numbers counted from 0",
    "names": "(factors,) names",
    "sizes": "(factors,) number of levels of each factor",
}
"""Keys that an archive may hold; the first one it must hold."""
WORDS = ("names", "path")
"""Keys of arrays that are texts."""
NUMERIC, TEXT = "fiub", "U"
"""Kinds of numbers, and of text, as NumPy's ``dtype.kind`` has them."""


def read_codes(codes: Path | str, factors: Path | str | None = None) -> Codes:
    """Codes from arrays that any program can write with ``numpy.savez``.

    ``codes`` is an ``.npz`` with ``mean`` (images, latents) and, if there are any, ``logvar`` of the same shape,
    ``bce`` and ``squared_error`` (images,), ``pixels`` (one number), ``blocks`` (latents,); ``path`` (images,), names
    that nothing here reads. ``factors`` is an ``.npz``
    with ``levels`` (images, factors), whole numbers from 0, and, if given, ``names`` and ``sizes`` (factors,). Row n of
    both belongs to the same image. Nothing is unpickled, and no array above 2 GiB is read.

    Args:
        codes: path of the codes.
        factors: path of the factors; None for data without.

    Raises:
        UserError: one line that names the file and what is wrong with it.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> np.savez(folder / "codes.npz", mean=np.zeros((4, 2)))
    >>> np.savez(folder / "factors.npz", levels=[[0], [1], [0], [1]], names=["shape"])
    >>> found = read_codes(folder / "codes.npz", folder / "factors.npz")
    >>> found.names, found.sizes, tuple(found.mean.shape)
    (('shape',), (2,), (4, 2))
    """
    given = read_arrays(Path(codes), CODES)
    known = {} if factors is None else read_arrays(Path(factors), FACTORS)
    names = known.get("names")
    sizes = known.get("sizes")
    if names is not None and (names.ndim != 1 or names.dtype.kind != TEXT):
        raise UserError(f"{factors}: 'names' is {_told(names)}; allowed: {FACTORS['names']}, as text")
    if sizes is not None and (sizes.ndim != 1 or sizes.dtype.kind not in "iu"):
        raise UserError(f"{factors}: 'sizes' is {_told(sizes)}; allowed: {FACTORS['sizes']}")
    for path, arrays in ((codes, given), (factors, known)):
        wrong = next((k for k, v in arrays.items() if k not in WORDS and v.dtype.kind not in NUMERIC), None)
        if wrong:
            raise UserError(f"{path}: {wrong!r} is {_told(arrays[wrong])}; allowed: numbers")
    rows = len(given["mean"]) if given["mean"].ndim else 0
    if known and (known["levels"].ndim != 2 or len(known["levels"]) != rows):
        raise UserError(
            f"{factors}: 'levels' has shape {known['levels'].shape} and 'mean' in {codes} has {given['mean'].shape}; "
            "allowed: (images, factors) and (images, latents) of the same images"
        )
    try:
        found = Codes.of(
            _native(given["mean"]),
            None if not known else _native(known["levels"]),
            logvar=None if "logvar" not in given else _native(given["logvar"]),
            sizes=None if sizes is None else tuple(int(n) for n in sizes),
            names=None if names is None else tuple(str(name) for name in names),
            blocks=_blocks(Path(codes), given),
        )
    except UserError as error:
        where = codes if "levels" not in str(error) and "names" not in str(error) else factors
        raise UserError(f"{where}: {str(error).removeprefix('Codes.of: ')}") from None
    return found._replace(distortion=_errors(Path(codes), given, rows), pixels=_pixels(Path(codes), given))


def read_arrays(path: Path, keys: Mapping[str, str]) -> dict[str, Any]:
    """The arrays of an ``.npz``, all of them among ``keys``; the first key must be there.

    Raises:
        UserError: no such file, not an archive, a key too many or too few, pickled objects, an array too large, damage.
    """
    if path.suffix != ".npz" or not path.is_file():
        raise UserError(f"{path}: {'no such file' if path.suffix == '.npz' else 'unknown kind'}; allowed: an .npz file")
    try:
        with zipfile.ZipFile(path) as archive:
            held = [info.filename.removesuffix(".npy") for info in archive.infolist()]
            if len(held) > MEMBERS or len(set(held)) < len(held):
                raise UserError(f"{path}: {len(held)} arrays, some of one name or too many; allowed: {', '.join(keys)}")
            first = next(iter(keys))
            for key in held:
                if key not in keys:
                    near = hint(key[:40], keys)
                    raise UserError(f"{path}: unknown array {key[:40]!r}{near} (allowed: {', '.join(keys)})")
            if first not in held:
                raise UserError(f"{path}: no array {first!r}; allowed: {first!r}, {keys[first]}")
            return {key: _member(path, archive, key) for key in held}
    except UserError:
        raise
    except (zipfile.BadZipFile, zlib.error, struct.error) as error:
        raise UserError(f"{path}: no zip archive, truncated or damaged ({error})") from None
    except (*DAMAGE, *NO_HEADER, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: truncated, damaged or not readable ({type(error).__name__}: {reason})") from None


def _member(path: Path, archive: zipfile.ZipFile, key: str) -> Any:
    """One array: what its header claims is checked before as many bytes, and no more, are unpacked."""
    info = archive.getinfo(f"{key}.npy")
    if not as_numpy_packs(info):
        raise UserError(f"{path}: {key!r} is encrypted or packed in an unknown way; allowed are stored and deflated")
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        if version != (1, 0):
            raise UserError(f"{path}: {key!r} has .npy version {version}; allowed is 1.0")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(member, max_header_size=10_000)
        if dtype.hasobject:
            raise UserError(f"{path}: {key!r} holds pickled objects, which are never loaded; allowed: numbers or text")
        if dtype.kind not in NUMERIC + TEXT:
            raise UserError(f"{path}: {key!r} has number type {dtype.name}; allowed: whole or real numbers, or text")
        size = math.prod(shape) * dtype.itemsize
        if size > LARGEST or size != info.file_size - member.tell():
            raise UserError(
                f"{path}: {key!r} claims shape {shape} of {dtype.name}, {size:,} bytes, and has "
                f"{info.file_size - member.tell():,}; allowed: as many as it claims, at most {LARGEST:,}"
            )
        data = member.read(size)
        if len(data) != size:
            raise UserError(f"{path}: {key!r} ends early; the file is truncated")
        return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _native(values: Any) -> Any:
    """Numbers of this machine's byte order, in rows; half precision and booleans widened."""
    kind = {"f": np.float64 if values.dtype.itemsize > 4 else np.float32, "u": np.int64, "b": np.int64}
    return np.array(values, order="C", dtype=kind.get(values.dtype.kind, np.int64))


def _errors(path: Path, given: Mapping[str, Any], rows: int) -> dict[str, Any]:
    import torch

    found = {}
    for name in ("bce", "squared_error"):
        if name in given:
            values = np.asarray(given[name], dtype=np.float64)
            if values.shape != (rows,) or not np.isfinite(values).all():
                raise UserError(f"{path}: {name!r} is {_told(given[name])}; allowed: ({rows},) finite numbers")
            found[name] = torch.from_numpy(values.copy())
    return found


def _pixels(path: Path, given: Mapping[str, Any]) -> int:
    values = given.get("pixels", np.zeros((), np.int64))
    if values.size != 1 or values.dtype.kind not in "iu" or int(values.reshape(-1)[0]) < 0:
        raise UserError(f"{path}: 'pixels' is {_told(values)}; allowed: {CODES['pixels']}")
    return int(values.reshape(-1)[0])


def _told(values: Any) -> str:
    return f"{values.dtype.name} of shape {values.shape}"


def _blocks(path: Path, given: Mapping[str, Any]) -> tuple[tuple[int, ...], ...]:
    """Latents with the same number from 0, in the order of their first; none where no two have one."""
    if "blocks" not in given:
        return ()
    numbers, latents = given["blocks"], given["mean"].shape[-1:]
    if numbers.dtype.kind not in "iu" or numbers.shape != latents or bool((numbers < -1).any()):
        raise UserError(f"{path}: 'blocks' is {_told(numbers)} for {latents} latents; allowed: {CODES['blocks']}")
    each = [number for number in dict.fromkeys(numbers.tolist()) if number >= 0]
    return tuple(tuple(int(j) for j in np.flatnonzero(numbers == number)) for number in each)
