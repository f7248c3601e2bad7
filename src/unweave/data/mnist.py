"""MNIST: handwritten digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from unweave.data.digits import Digits
from unweave.types import Reference

LECUN = Reference(
    "lecun1998gradient",
    "LeCun, Yann and Bottou, Léon and Bengio, Yoshua and Haffner, Patrick",
    "Gradient-based learning applied to document recognition",
    "Proceedings of the IEEE 86(11)",
    1998,
    "https://doi.org/10.1109/5.726791",
)
FOLDERS = ("mnist", "MNIST/raw", "MNIST")
LICENCE = "CC BY-SA 3.0, as usually stated"
PUBLISHED = "http://yann.lecun.com/exdb/mnist"


@dataclass(frozen=True)
class MNIST(Digits):
    """MNIST (LeCun et al., 1998): 60,000 training and 10,000 test images of handwritten digits, white on black.

    Read from the four idx files, packed by gzip or not, in the folder ``mnist`` of the data root. The one factor is the
    digit; how it is written is not labelled, so a level has thousands of images and ``Images.index`` gives the first.

    Args:
        part: ``train`` or ``test``.
        size: height and width: 28 as published, or 32, 64 or 128.
        fit: how a larger image comes about: ``resize`` (bilinear) or ``pad`` (black around the published pixels).
        binary: 1 where a pixel, after resizing, is above 0.5, else 0.

    Raises:
        UserError: from ``open``, without the files, for files that are not as published, or for another size.

    >>> MNIST(size=64, binary=True).shape, MNIST("test").rows, MNIST().factors.sizes
    ((1, 64, 64), 10000, (10,))
    """

    name: ClassVar[str] = "mnist"
    references: ClassVar[tuple[Reference, ...]] = (LECUN,)
    licence: ClassVar[str] = LICENCE
    published: ClassVar[str] = PUBLISHED
    folders: ClassVar[tuple[str, ...]] = FOLDERS
    digests: ClassVar[Mapping[str, str]] = {
        "train-images-idx3-ubyte": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "train-labels-idx1-ubyte": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        "t10k-images-idx3-ubyte": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "t10k-labels-idx1-ubyte": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    }
