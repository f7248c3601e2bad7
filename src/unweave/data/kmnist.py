"""KMNIST: cursive Japanese characters in MNIST's format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from unweave.data.digits import Digits
from unweave.types import Reference

CLANUWAT = Reference(
    "clanuwat2018deep",
    "Clanuwat, Tarin and Bober-Irizar, Mikel and Kitamoto, Asanobu and Lamb, Alex and Yamamoto, Kazuaki and Ha, David",
    "Deep Learning for Classical Japanese Literature",
    "arXiv preprint",
    2018,
    "https://arxiv.org/abs/1812.01718",
)
MD5 = {
    "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
    "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
    "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
    "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
}
"""Of the published files, still packed, as other libraries record them."""


@dataclass(frozen=True)
class KMNIST(Digits):
    """Kuzushiji-MNIST (Clanuwat et al., 2018): 60,000 training and 10,000 images of ten hiragana, white on black.

    Read from four idx files of the same names as MNIST's, in the folder ``kmnist`` of the data root. Classes: 0 o,
    1 ki, 2 su, 3 tsu, 4 na, 5 ha, 6 ma, 7 ya, 8 re, 9 wo.

    Args:
        part: ``train`` or ``test``.
        size: height and width: 28 as published, or 32, 64 or 128.
        fit: how a larger image comes about: ``resize`` (bilinear) or ``pad`` (black around the published pixels).
        binary: 1 where a pixel, after resizing, is above 0.5, else 0.

    Raises:
        UserError: from ``open``, without the files, for files that are not as published, or for another size.

    >>> KMNIST().shape, KMNIST().factors.names
    ((1, 28, 28), ('character',))
    """

    name: ClassVar[str] = "kmnist"
    references: ClassVar[tuple[Reference, ...]] = (CLANUWAT,)
    licence: ClassVar[str] = "CC BY-SA 4.0"
    published: ClassVar[str] = "https://github.com/rois-codh/kmnist"
    label: ClassVar[str] = "character"
    folders: ClassVar[tuple[str, ...]] = ("kmnist", "KMNIST/raw", "KMNIST")
    md5s: ClassVar[Mapping[str, str]] = MD5
