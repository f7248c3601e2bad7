"""Where images come from: data sets by name, their factors, and reading their files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from unweave.data.base import Dataset as Dataset
from unweave.data.base import DataSpec as DataSpec
from unweave.data.base import Images as Images
from unweave.data.cars3d import Cars3D as Cars3D
from unweave.data.celeba import CelebA as CelebA
from unweave.data.chairs3d import Chairs3D as Chairs3D
from unweave.data.correlated import Correlated as Correlated
from unweave.data.dsprites import DSprites as DSprites
from unweave.data.elsewhere import Elsewhere as Elsewhere
from unweave.data.factors import Factors as Factors
from unweave.data.fashion_mnist import FashionMNIST as FashionMNIST
from unweave.data.files import data_root as data_root
from unweave.data.folder import Folder as Folder
from unweave.data.hugging_face import HuggingFace as HuggingFace
from unweave.data.in_memory import InMemory as InMemory
from unweave.data.kmnist import KMNIST as KMNIST
from unweave.data.mnist import MNIST as MNIST
from unweave.data.mnist_rotation import MNISTRotation as MNISTRotation
from unweave.data.mpi3d import MPI3DComplex as MPI3DComplex
from unweave.data.mpi3d import MPI3DReal as MPI3DReal
from unweave.data.mpi3d import MPI3DRealistic as MPI3DRealistic
from unweave.data.mpi3d import MPI3DToy as MPI3DToy
from unweave.data.own_array import ArrayFile as ArrayFile
from unweave.data.own_sprites import Sprites as Sprites
from unweave.data.shapes3d import Shapes3D as Shapes3D
from unweave.data.smallnorb import SmallNORB as SmallNORB
from unweave.data.split import HeldOut as HeldOut
from unweave.data.split import Split as Split
from unweave.data.subset import Subset as Subset
from unweave.data.triangle import Triangle as Triangle
from unweave.data.turntable import Turntable as Turntable
from unweave.data.variants import Color as Color
from unweave.data.variants import ColorDSprites as ColorDSprites
from unweave.data.variants import Noisy as Noisy
from unweave.data.variants import NoisyDSprites as NoisyDSprites
from unweave.data.variants import Scream as Scream
from unweave.data.variants import ScreamDSprites as ScreamDSprites
from unweave.data.words import own, spoken
from unweave.types import UserError

DATASETS: Mapping[str, type[Dataset]] = {
    "dsprites": DSprites,
    "triangle": Triangle,
    "shapes3d": Shapes3D,
    "color-dsprites": ColorDSprites,
    "noisy-dsprites": NoisyDSprites,
    "scream-dsprites": ScreamDSprites,
    "turntable": Turntable,
    "sprites": Sprites,
    "mnist": MNIST,
    "fashion-mnist": FashionMNIST,
    "kmnist": KMNIST,
    "mnist-rotation": MNISTRotation,
    "smallnorb": SmallNORB,
    "mpi3d-toy": MPI3DToy,
    "mpi3d-realistic": MPI3DRealistic,
    "mpi3d-real": MPI3DReal,
    "mpi3d-complex": MPI3DComplex,
    "cars3d": Cars3D,
    "celeba": CelebA,
    "chairs3d": Chairs3D,
}
"""Every data set by name."""
WRAPPERS: Mapping[str, type[Dataset]] = {
    "subset": Subset,
    "split": Split,
    "held-out": HeldOut,
    "correlated": Correlated,
    "color": Color,
    "noisy": Noisy,
    "scream": Scream,
    "folder": Folder,
    "array": ArrayFile,
    "memory": InMemory,
    "hugging-face": HuggingFace,
    "elsewhere": Elsewhere,
}
"""Data sets made of another one or of the user's files, which have no default settings."""


def dataset(given: str | Path | Dataset | NDArray[Any] | Tensor) -> Dataset:
    """A data set in words, as ``--data`` takes it (see ``data.words``); a ``Dataset`` itself passes through.

    A name gives the set with its default settings, a path the pictures in that folder, or the images in that file, an
    array or tensor the images in it (``InMemory``).

    Raises:
        UserError: an unknown name, something else, or an array that holds no images.

    >>> dataset("triangle")
    Triangle(author_labels=False, angle_noise=0.0)
    >>> dataset("dsprites:gaussian=pos_x,pos_y,0.2:test").of.form
    'gaussian'
    """
    if isinstance(given, Dataset):
        return given
    if isinstance(given, Path):
        path = given.expanduser().absolute()
        return own(path) or Folder(path)
    if isinstance(given, Tensor | np.ndarray):
        return InMemory.of(given)
    if not isinstance(given, str):
        raise UserError(f"data = a {type(given).__name__}; allowed: the name of a set, a path, an array of images")
    return spoken(given, DATASETS)
