"""Fashion-MNIST: found in its own folder only, and the real files."""

import pytest
import torch

from unweave.data import MNIST, FashionMNIST
from unweave.testing import check_dataset
from unweave.types import UserError


def test_real_files(shared_data):
    if not (shared_data / "fashion-mnist").is_dir():
        pytest.skip("no Fashion-MNIST there")
    images = FashionMNIST("test").open(shared_data)
    assert images.factors.names == ("article",)
    assert images.levels(torch.arange(5)).flatten().tolist() == [9, 2, 1, 1, 6]
    assert images.levels(torch.arange(10_000)).flatten().bincount().tolist() == [1000] * 10
    check_dataset(FashionMNIST("test"), shared_data)
    assert sum("as published" in line for line in FashionMNIST("test").check(shared_data)) == 4


def test_not_taken_for_mnist(shared_data, tmp_path):
    if not (shared_data / "fashion-mnist").is_dir():
        pytest.skip("no Fashion-MNIST there")
    (tmp_path / "fashion-mnist").symlink_to(shared_data / "fashion-mnist")
    assert FashionMNIST().find(tmp_path) is not None
    with pytest.raises(UserError, match="mnist: its files were not found"):
        MNIST().open(tmp_path)
