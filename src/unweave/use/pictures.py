"""Pictures to codes, codes to pictures, and a picture with some of its latents changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from unweave.data import ArrayFile, Folder, HuggingFace, dataset
from unweave.data.base import Dataset, Images
from unweave.data.elsewhere import fitting, own_fit
from unweave.data.formats.anyfile import Broken, Look, image_of
from unweave.data.part import Part, chosen
from unweave.engine import encode as encode_set
from unweave.engine.place import home
from unweave.explorer.exhibit import FAR, check_space
from unweave.report.from_run import as_bytes
from unweave.run import Run
from unweave.types import Codes, UserError
from unweave.use.latents import Change, read

BATCH = 256
"""Codes decoded at a time."""


class Encoded(NamedTuple):
    """A data set's codes, and what each image is called."""

    names: tuple[str, ...]
    """Of a folder: its files, relative to it; else row numbers."""
    codes: Codes
    files: bool
    """Whether the names are those of files."""


class Edited(NamedTuple):
    """A picture whose code was changed; images are (H, W, C) bytes."""

    image: NDArray[np.uint8]
    """The picture as the model reads it."""
    made: NDArray[np.uint8]
    """What the model makes of its code, unchanged."""
    edited: NDArray[np.uint8]
    """What it makes of the changed code."""
    before: tuple[float, ...]
    """The code."""
    after: tuple[float, ...]
    """The changed code."""


def encode(
    run: Run, images: Dataset | Path | str | NDArray[np.uint8], *, space: int = 0, root: Path | str | None = None
) -> Encoded:
    """The codes of all images of a data set, a folder of pictures, a file of images, or an array.

    Pictures of a folder are cut and resized as those of ``Folder`` are, to the size and the colours of the model's
    images, and with the ``fit`` that it was trained with.

    Args:
        run: a trained model.
        images: a data set, what ``--data`` takes, or (N, H, W, C) bytes of the model's size.
        space: the latent space, for models with several.
        root: folder of data files; the run's own when None.

    Raises:
        UserError: no such data set, images of another shape than the model's, pictures that cannot be read.

    >>> import unweave
    >>> run = unweave.fit("vae", "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> encode(run, "triangle").codes.mean.shape
    torch.Size([1024, 10])
    """
    check_space(run, space)
    if isinstance(images, np.ndarray):
        return _array(run, images, space)
    shape = run.data.shape
    data = fitting(dataset(images), shape, own_fit(run.data))
    pictures = isinstance(_inner(data), Folder)
    if data.shape != shape and not pictures:
        raise UserError(
            f"{data.name} has images of {_told(data.shape)}; this model reads {_told(shape)}; allowed: such images, or "
            "a folder of pictures, which are made to fit"
        )
    given = Path(root) if root is not None else run.root
    opened = data.open(given, home(next(run.model.parameters()).device))
    opened = opened if data.shape == shape else Cut(opened, shape)
    codes = encode_set(run.model, data, opened, count=None, space=space, distortion=False)
    names = _names(data)
    return Encoded(tuple(names), codes._replace(blocks=run.model.blocks), pictures)


def decode(run: Run, codes: ArrayLike | Tensor, *, space: int = 0) -> NDArray[np.uint8]:
    """(N, H, W, C) images, as bytes, of (N, D) codes.

    Raises:
        UserError: codes of another number of latents, that are not finite, or further away than ±10,000.

    >>> import unweave
    >>> run = unweave.fit("vae", "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> decode(run, np.zeros((3, 10))).shape
    (3, 64, 64, 1)
    """
    check_space(run, space)
    z = _codes(run, codes)
    with torch.inference_mode():
        found = [as_bytes(torch.sigmoid(run.model.decode(some, space))) for some in z.split(BATCH)]
    return np.concatenate(found)


def edit(run: Run, picture: Path | str | bytes | ArrayLike, *changes: str, space: int = 0) -> Edited:
    """A picture, encoded, some of its latents changed, and decoded again.

    Args:
        run: a trained model.
        picture: a picture file, its bytes, or an image (H, W, C) of bytes of the model's size.
        changes: ``z3=1.5`` sets a latent, ``z3+=0.5`` and ``z3-=0.5`` move it. For ``z3`` may stand ``3``, a name that
            was given to a latent or a block in the explorer, or the factor that the explorer names it after. Later ones
            apply to what earlier ones left.
        space: the latent space, for models with several.

    Raises:
        UserError: a picture that cannot be used, a latent that is not there, a number that is none.

    >>> import unweave
    >>> run = unweave.fit("vae", "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> found = edit(run, np.zeros((64, 64, 1), np.uint8), "z3=1.5", "z1+=0.5")
    >>> found.after[3], round(found.after[1] - found.before[1], 4), found.edited.shape
    (1.5, 0.5, (64, 64, 1))
    """
    check_space(run, space)
    wanted = [read(run, one, space) for one in changes]
    image = _image(run, picture)
    x = _pixels(run, image[None])
    with torch.inference_mode():
        before = run.model.encode(x, space).mean
        after = changed(before, wanted)
        made = as_bytes(torch.sigmoid(run.model.decode(torch.cat([before, after]), space)))
    shown = as_bytes(x)[0]
    return Edited(shown, made[0], made[1], tuple(before[0].tolist()), tuple(after[0].tolist()))


def changed(z: Tensor, changes: list[Change]) -> Tensor:
    """(N, D) codes with the changes made to them, one after the other. Raises UserError for a code too far away."""
    z = z.clone()
    for one in changes:
        for latent in one.latents:
            z[:, latent] = one.value + (z[:, latent] if one.moves else 0.0)
            if not bool((z[:, latent].abs() <= FAR).all()):
                raise UserError(f"z{latent} = {float(z[0, latent]):g}; allowed: from {-FAR:,.0f} to {FAR:,.0f}")
    return z


class Cut(Images):
    """Square pictures as a model reads them whose images are no squares, or have neither one nor three channels."""

    def __init__(self, images: Images, shape: tuple[int, int, int]) -> None:
        self.whole, self.shape = images, shape
        self.rows, self.source, self.factors = images.rows, images.source, images.factors

    def batch(self, rows: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        """(N,) row numbers -> (N, C, H, W): the middle; grey is repeated."""
        return cut(self.whole.batch(rows, draws), self.shape)

    def levels(self, rows: Tensor) -> Tensor:
        """(N,) row numbers -> (N, F) levels."""
        return self.whole.levels(rows)


def cut(images: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """(N, C, S, S) images -> the (H, W) in their middle; one channel is repeated where more are wanted.

    >>> cut(torch.zeros(1, 1, 8, 8), (2, 8, 4)).shape
    torch.Size([1, 2, 8, 4])
    """
    channels, height, width = shape
    top, left = (images.shape[2] - height) // 2, (images.shape[3] - width) // 2
    middle = images[:, :, top : top + height, left : left + width]
    return middle if middle.shape[1] == channels else middle.expand(-1, channels, -1, -1)


def _array(run: Run, images: NDArray[np.uint8], space: int) -> Encoded:
    channels, height, width = run.data.shape
    if images.shape[1:] != (height, width, channels) or images.dtype != np.uint8 or not len(images):
        wanted = ("N", height, width, channels)
        raise UserError(f"images of {images.dtype} of shape {images.shape}; allowed: bytes of shape {wanted}")
    with torch.inference_mode():
        some = range(0, len(images), BATCH)
        found = [run.model.encode(_pixels(run, images[place : place + BATCH]), space) for place in some]
    spread = [q.logvar for q in found if q.logvar is not None]
    mean, logvar = torch.cat([q.mean for q in found]).cpu(), torch.cat(spread).cpu() if spread else None
    codes = Codes.of(mean, logvar=logvar, blocks=run.model.blocks)
    return Encoded(tuple(map(str, range(len(images)))), codes._replace(space=space), False)


def _pixels(run: Run, images: NDArray[np.uint8]) -> Tensor:
    """(N, H, W, C) bytes as the model reads them."""
    parameter = next(run.model.parameters())
    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).to(parameter.device).to(parameter.dtype) / 255


def _image(run: Run, picture: Any) -> NDArray[np.uint8]:
    """A picture as an image (H, W, C) that the model reads."""
    shape = channels, height, width = run.data.shape
    if isinstance(picture, str | Path | bytes):
        where = "the picture" if isinstance(picture, bytes) else str(picture)
        given = picture if isinstance(picture, bytes) else Path(picture).expanduser()
        if isinstance(given, Path) and not given.is_file():
            raise UserError(f"{where}: {'no file' if given.exists() else 'no such file'}; allowed: a picture file")
        try:
            whole = image_of(given, Look(max(height, width), own_fit(run.data), channels != 3))
        except Broken as why:
            raise UserError(f"{where} cannot be used: {why}; allowed: a PNG, JPEG, WebP or TIFF picture") from None
        found = cut(torch.from_numpy(whole).permute(2, 0, 1)[None], shape)
        return found[0].permute(1, 2, 0).contiguous().numpy()
    image = np.asarray(picture)
    if image.shape != (height, width, channels) or image.dtype != np.uint8:
        raise UserError(
            f"a picture of {image.dtype} of shape {image.shape}; allowed: a file, its bytes, or bytes of shape "
            f"{(height, width, channels)}"
        )
    return image


def _codes(run: Run, codes: Any) -> Tensor:
    count, parameter = run.model.latents, next(run.model.parameters())
    try:
        z = np.asarray(codes.cpu() if isinstance(codes, Tensor) else codes, dtype=np.float64)
    except (TypeError, ValueError):
        z = np.zeros(0)
    if z.ndim != 2 or z.shape[1] != count or not len(z):
        raise UserError(f"codes of shape {z.shape}; allowed: (images, {count}) numbers, one or more images")
    if not np.isfinite(z).all() or np.abs(z).max() > FAR:
        raise UserError(f"codes with numbers that are not finite or beyond ±{FAR:,.0f}; allowed: numbers between")
    return torch.from_numpy(z).to(parameter.dtype).to(parameter.device)


def _names(data: Dataset) -> list[str]:
    """What each image is called: its file in a folder, else its row in the file or in the whole set."""
    if isinstance(data, Folder | ArrayFile | HuggingFace):
        return list(data.names)
    if isinstance(data, Part):
        whole = _names(data.of)
        return [whole[row] for row in chosen(data)]
    return [str(row) for row in range(data.rows)]


def _inner(data: Dataset) -> Dataset:
    return _inner(data.of) if isinstance(data, Part) else data


def _told(shape: tuple[int, int, int]) -> str:
    return "×".join(map(str, shape))
