"""KMNIST: files in MNIST's format, of which only the packed ones' checksums are on record."""

import numpy as np
import torch
from published_files import idx, write

from unweave.data import KMNIST, digits, kmnist
from unweave.testing import check_dataset


def test_small_files(tmp_path, monkeypatch):
    given = {}
    for part, stem, count in (("train", "train", 40), ("test", "t10k", 20)):
        monkeypatch.setitem(digits.COUNTS, part, count)
        pictures = np.random.default_rng(count).integers(0, 256, (count, 28, 28))
        given |= {
            f"{stem}-images-idx3-ubyte.gz": idx(pictures),
            f"{stem}-labels-idx1-ubyte.gz": idx(np.arange(count) % 10),
        }
    write(tmp_path / "kmnist", given)
    images = KMNIST().open(tmp_path)
    assert images.factors.names == ("character",) and images.rows == 40
    assert images.levels(torch.tensor([0, 39])).tolist() == [[0], [9]]
    check_dataset(KMNIST("test", size=64, binary=True), tmp_path)
    lines = KMNIST().check(tmp_path)
    assert sum("not that of the published file" in line for line in lines) == 4
    assert set(kmnist.MD5) == {path.name for path in (tmp_path / "kmnist").iterdir()}
