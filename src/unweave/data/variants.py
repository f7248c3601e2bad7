"""White shapes on black with something added that tells nothing about them: a colour, noise, a picture behind."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from unweave.data.backdrop import BOX, drawn_picture, read_picture
from unweave.data.base import Dataset, Images, of_words, paths
from unweave.data.dsprites import MATTHEY, DSprites
from unweave.data.factors import Factors
from unweave.data.files import find
from unweave.references import LOCATELLO_2019
from unweave.types import Draw, Reference, UserError

PICTURE = "scream.jpg"
"""File name under which Scream looks for its picture in the data root."""
CHANNELS = 3


class Variant(Dataset):
    """A set of white shapes on black, in colour and with nuisance noise; factors, rows and levels are the shapes'."""

    of: Dataset
    """The shapes, or their name."""

    def __post_init__(self) -> None:
        of_words(self)
        if hasattr(self, "picture"):
            paths(self, "picture")

    @abstractmethod
    def paint(self, shapes: Images, root: Path | None, device: torch.device) -> Images:
        """The opened shapes with what is added to them."""

    @property
    def shape(self) -> tuple[int, int, int]:  # type: ignore[override]
        """Three channels of the shapes' height and width."""
        return (CHANNELS, *self.of.shape[1:])

    @property
    def factors(self) -> Factors | None:
        """Those of the shapes: what is added is nuisance."""
        return self.of.factors

    @property
    def gridded(self) -> bool:
        """Whether the shapes are."""
        return self.of.gridded

    @property
    def rows(self) -> int:
        """As many as there are shapes."""
        return self.of.rows

    @property
    def licence(self) -> str:  # type: ignore[override]
        """That of the shapes."""
        return self.of.licence

    @property
    def needs_files(self) -> bool:  # type: ignore[override]
        """Whether the shapes do."""
        return self.of.needs_files

    def find(self, root: Path | None = None) -> Path | None:
        """The file of the shapes."""
        return self.of.find(root)

    def present(self, root: Path | None = None) -> bool:
        """Whether the shapes can be opened."""
        return self.of.present(root)

    def remarks(self, root: Path | None = None) -> dict[str, Any]:
        """Those of the shapes."""
        return self.of.remarks(root)

    def prepare(self, root: Path | None = None, tell: Callable[[str], None] | None = None) -> Path | None:
        """Prepares the shapes."""
        return self.of.prepare(root, tell)

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """The shapes, opened, and painted anew on every access.

        Raises:
            UserError: the shapes have more than one channel, or what ``open`` of the shapes refuses.
        """
        if self.of.shape[0] != 1:
            raise UserError(f"{self.name} of {self.of.name}, which has {self.of.shape[0]} channels; allowed: one")
        return self.paint(self.of.open(root, device), root, torch.device(device))

    def check(self, root: Path | None = None) -> list[str]:
        """Checks the shapes in full; what is added has no fixed pixels to compare with.

        Raises:
            UserError: one line that says what is wrong.
        """
        return [*self.of.check(root), f"{self.name}: {self.open(root).source}"]


@dataclass(frozen=True)
class Color(Variant):
    """Any set of white shapes on black, each image's shape in one colour, drawn anew on every access.

    The colour is uniform in [0.5, 1]³, the background stays black (Locatello et al., 2019).

    Args:
        of: the shapes, one channel.

    >>> images = Color(DSprites()).open()
    >>> images.batch(torch.tensor([0]), {"colour": torch.tensor([[0.0, 0.5, 1.0]])}).amax((2, 3)).tolist()
    [[0.5, 0.75, 1.0]]
    """

    of: Dataset
    name: ClassVar[str] = "color"
    references: ClassVar[tuple[Reference, ...]] = (LOCATELLO_2019,)

    def paint(self, shapes: Images, root: Path | None, device: torch.device) -> Images:
        """The shapes in colour."""
        return ColorImages(shapes)


@dataclass(frozen=True)
class Noisy(Variant):
    """Any set of white shapes on black, with noise on the background, drawn anew on every access.

    Every pixel and channel gets an independent number, uniform over the 256 values (k + ½) / 256, and what would be
    brighter than white is white: shapes stay white (Locatello et al., 2019, with real numbers of [0, 1)).

    Args:
        of: the shapes, one channel.

    >>> Noisy(DSprites()).open().noise(2)
    {'noise': Draw(shape=(2, 3, 64, 64), kind='bytes')}
    """

    of: Dataset
    name: ClassVar[str] = "noisy"
    references: ClassVar[tuple[Reference, ...]] = (LOCATELLO_2019,)

    def paint(self, shapes: Images, root: Path | None, device: torch.device) -> Images:
        """The shapes in noise."""
        return NoisyImages(shapes, self.shape)


@dataclass(frozen=True)
class Scream(Variant):
    """Any set of white shapes on black, cut out of a picture as its negative, drawn anew on every access.

    A random crop of the picture, averaged with one random colour uniform in [0, 1]³, is the background; inside the
    shape it is inverted (Locatello et al., 2019, with Munch's painting).

    Args:
        of: the shapes, one channel.
        picture: file of the picture; when None ``scream.jpg`` in the data root or its folder ``scream``, and without
            such a file one that is drawn here. ``Images.source`` says which of them was used.

    >>> Scream(DSprites()).open().source
    'drawn, on a drawn picture of 215 × 274 pixels'
    """

    of: Dataset
    picture: Path | None = None
    name: ClassVar[str] = "scream"
    references: ClassVar[tuple[Reference, ...]] = (LOCATELLO_2019,)

    def paint(self, shapes: Images, root: Path | None, device: torch.device) -> Images:
        """The shapes on crops of the picture."""
        return ScreamImages(shapes, self.shape, *backdrop(self.picture, root, self.shape), device)


@dataclass(frozen=True)
class ColorDSprites(Variant):
    """dSprites, each image's shape in one colour of [0.5, 1]³, drawn anew on every access; ``Color(DSprites())``.

    >>> ColorDSprites().shape, ColorDSprites().factors.names
    ((3, 64, 64), ('shape', 'scale', 'orientation', 'pos_x', 'pos_y'))
    """

    of: ClassVar[Dataset] = DSprites()  # type: ignore[misc]
    name: ClassVar[str] = "color-dsprites"
    needs_files: ClassVar[bool] = False
    references: ClassVar[tuple[Reference, ...]] = (LOCATELLO_2019, MATTHEY)
    published: ClassVar[str] = f"described in {LOCATELLO_2019.url}; made from dSprites as images are asked for"

    def paint(self, shapes: Images, root: Path | None, device: torch.device) -> Images:
        """The shapes in colour."""
        return ColorImages(shapes)


@dataclass(frozen=True)
class NoisyDSprites(Variant):
    """dSprites with noise on the background, drawn anew on every access; ``Noisy(DSprites())``.

    >>> NoisyDSprites().open().noise(2)
    {'noise': Draw(shape=(2, 3, 64, 64), kind='bytes')}
    """

    of: ClassVar[Dataset] = DSprites()  # type: ignore[misc]
    name: ClassVar[str] = "noisy-dsprites"
    needs_files: ClassVar[bool] = False
    references: ClassVar[tuple[Reference, ...]] = (LOCATELLO_2019, MATTHEY)
    published: ClassVar[str] = f"described in {LOCATELLO_2019.url}; made from dSprites as images are asked for"

    def paint(self, shapes: Images, root: Path | None, device: torch.device) -> Images:
        """The shapes in noise."""
        return NoisyImages(shapes, self.shape)


@dataclass(frozen=True)
class ScreamDSprites(Variant):
    """dSprites cut out of a picture as its negative, drawn anew on every access; ``Scream(DSprites(), picture)``.

    Args:
        picture: file of the picture; when None ``scream.jpg`` in the data root or its folder ``scream``, and without
            such a file one that is drawn here. ``Images.source`` says which of them was used.

    >>> ScreamDSprites().open().source
    'drawn, on a drawn picture of 215 × 274 pixels'
    """

    picture: Path | None = None
    of: ClassVar[Dataset] = DSprites()  # type: ignore[misc]
    name: ClassVar[str] = "scream-dsprites"
    needs_files: ClassVar[bool] = False
    references: ClassVar[tuple[Reference, ...]] = (LOCATELLO_2019, MATTHEY)
    published: ClassVar[str] = f"described in {LOCATELLO_2019.url}; made from dSprites as images are asked for"

    def paint(self, shapes: Images, root: Path | None, device: torch.device) -> Images:
        """The shapes on crops of the picture."""
        return ScreamImages(shapes, self.shape, *backdrop(self.picture, root, self.shape), device)


class VariantImages(Images):
    """Opened shapes with something added to them."""

    shapes: Images

    def levels(self, rows: Tensor) -> Tensor:
        """(N,) row numbers -> (N, F) levels of the shapes."""
        return self.shapes.levels(rows)

    def ahead(self, rows: Tensor) -> None:
        """The shapes are begun to be read."""
        self.shapes.ahead(rows)


class ColorImages(VariantImages):
    """Shapes times a colour."""

    def __init__(self, shapes: Images) -> None:
        self.shapes, self.streams = shapes, shapes.streams
        self.factors, self.rows, self.source = shapes.factors, shapes.rows, shapes.source

    @property
    def resident(self) -> bool:
        """Where the shapes are."""
        return self.shapes.resident

    def batch(self, rows: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        """(N,) row numbers -> (N, 3, H, W); ``draws["colour"]`` (N, 3) numbers in [0, 1)."""
        colour = _needed(draws, "colour")
        shapes = self.shapes.batch(rows, draws)
        return shapes * (0.5 + 0.5 * colour.to(shapes))[:, :, None, None]

    def noise(self, rows: int) -> Mapping[str, Draw]:
        """``colour``, three uniform numbers an image, and what the shapes want."""
        return {**self.shapes.noise(rows), "colour": Draw((rows, CHANNELS), "uniform")}


class NoisyImages(VariantImages):
    """Shapes plus noise."""

    def __init__(self, shapes: Images, shape: tuple[int, int, int]) -> None:
        self.shapes, self.shape, self.streams = shapes, shape, shapes.streams
        self.factors, self.rows, self.source = shapes.factors, shapes.rows, shapes.source

    @property
    def resident(self) -> bool:
        """Where the shapes are."""
        return self.shapes.resident

    def batch(self, rows: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        """(N,) row numbers -> (N, 3, H, W); ``draws["noise"]`` (N, 3, H, W) bytes."""
        noise = _needed(draws, "noise")
        shapes = self.shapes.batch(rows, draws)
        return noise.to(shapes).add_(0.5).mul_(1 / 256).add_(shapes).clamp_(max=1)

    def noise(self, rows: int) -> Mapping[str, Draw]:
        """``noise``, a byte for every pixel and channel, and what the shapes want."""
        return {**self.shapes.noise(rows), "noise": Draw((rows, *self.shape), "bytes")}


class ScreamImages(VariantImages):
    """Shapes as the negative of crops of a picture (3, H, W)."""

    def __init__(
        self, shapes: Images, shape: tuple[int, int, int], picture: Tensor, source: str, device: torch.device
    ) -> None:
        self.shapes, self.streams = shapes, shapes.streams
        self.factors, self.rows, self.source = shapes.factors, shapes.rows, f"{shapes.source}, on {source}"
        _, height, width = shape
        # Views of every crop (nothing is copied): (top, left, 3, H, W).
        self.crops = picture.to(device).unfold(1, height, 1).unfold(2, width, 1).permute(1, 2, 0, 3, 4)
        self.places = torch.tensor(self.crops.shape[:2], device=device)

    @property
    def resident(self) -> bool:
        """Where the shapes are."""
        return self.shapes.resident

    def batch(self, rows: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        """(N,) row numbers -> (N, 3, H, W); ``draws["crop"]`` (N, 2) and ``draws["tint"]`` (N, 3) in [0, 1)."""
        crop, tint = _needed(draws, "crop"), _needed(draws, "tint")
        shapes = self.shapes.batch(rows, draws)
        top, left = torch.minimum((crop.to(shapes) * self.places).long(), self.places - 1).unbind(1)
        behind = self.crops[top, left].add_(tint.to(shapes)[:, :, None, None]).mul_(0.5)
        return torch.lerp(behind, 1 - behind, shapes)

    def noise(self, rows: int) -> Mapping[str, Draw]:
        """``crop`` and ``tint``, two and three uniform numbers an image, and what the shapes want."""
        own = {"crop": Draw((rows, 2), "uniform"), "tint": Draw((rows, CHANNELS), "uniform")}
        return {**self.shapes.noise(rows), **own}


def backdrop(picture: Path | None, root: Path | None, shape: tuple[int, int, int]) -> tuple[Tensor, str]:
    """A picture (3, H, W) and where it comes from: a file, ``scream.jpg`` in the data root, or drawn.

    Raises:
        UserError: the picture cannot be read, or is smaller than images of ``shape``.
    """
    found = picture if picture is not None else find(root, (PICTURE,), "scream")
    pixels = drawn_picture() if found is None else read_picture(found)
    _, height, width = pixels.shape
    source = f"a drawn picture of {width} × {height} pixels" if found is None else str(found)
    if height < shape[1] or width < shape[2]:
        raise UserError(
            f"{source}: {width} × {height} pixels, made to fit {BOX[0]} × {BOX[1]}; "
            f"allowed: at least {shape[2]} × {shape[1]}, the size of the images"
        )
    return pixels, source


def _needed(draws: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in draws:
        raise UserError(f"nuisance noise {name!r} is not given; these images need draws[{name!r}], as noise() asks")
    return draws[name]
