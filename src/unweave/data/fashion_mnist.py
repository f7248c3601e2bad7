"""Fashion-MNIST: articles of clothing in MNIST's format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from unweave.data.digits import Digits
from unweave.types import Reference

XIAO = Reference(
    "xiao2017fashion",
    "Xiao, Han and Rasul, Kashif and Vollgraf, Roland",
    "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
    "arXiv preprint",
    2017,
    "https://arxiv.org/abs/1708.07747",
)


@dataclass(frozen=True)
class FashionMNIST(Digits):
    """Fashion-MNIST (Xiao et al., 2017): 60,000 training and 10,000 test images of clothing, light on black.

    Read from four idx files of the same names as MNIST's, in the folder ``fashion-mnist`` of the data root. Classes: 0
    T-shirt or top, 1 trousers, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag, 9 ankle boot.

    Args:
        part: ``train`` or ``test``.
        size: height and width: 28 as published, or 32, 64 or 128.
        fit: how a larger image comes about: ``resize`` (bilinear) or ``pad`` (black around the published pixels).
        binary: 1 where a pixel, after resizing, is above 0.5, else 0.

    Raises:
        UserError: from ``open``, without the files, for files that are not as published, or for another size.

    >>> FashionMNIST(size=32, fit="pad").shape, FashionMNIST().factors.names
    ((1, 32, 32), ('article',))
    """

    name: ClassVar[str] = "fashion-mnist"
    references: ClassVar[tuple[Reference, ...]] = (XIAO,)
    licence: ClassVar[str] = "MIT"
    published: ClassVar[str] = "https://github.com/zalandoresearch/fashion-mnist"
    label: ClassVar[str] = "article"
    folders: ClassVar[tuple[str, ...]] = ("fashion-mnist", "FashionMNIST/raw", "FashionMNIST")
    digests: ClassVar[Mapping[str, str]] = {
        "train-images-idx3-ubyte": "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
        "train-labels-idx1-ubyte": "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
        "t10k-images-idx3-ubyte": "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
        "t10k-labels-idx1-ubyte": "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
    }
