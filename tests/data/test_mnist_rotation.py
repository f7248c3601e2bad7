"""MNIST-Rotation: which digits, how they are turned, and in which order they come."""

import numpy as np
import pytest
import torch
from published_files import idx, write

from unweave.data import MNISTRotation, digits, mnist_rotation
from unweave.testing import check_dataset
from unweave.types import UserError

COUNT = 900


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A training part of 900 images, 90 of each digit, of which 10 are taken for each domain."""
    monkeypatch.setitem(digits.COUNTS, "train", COUNT)
    monkeypatch.setattr(mnist_rotation, "EACH", 10)
    pictures = np.random.default_rng(0).integers(0, 256, (COUNT, 28, 28))
    given = {"train-images-idx3-ubyte.gz": idx(pictures), "train-labels-idx1-ubyte.gz": idx(np.arange(COUNT) % 10)}
    return write(tmp_path / "mnist", given).parent


def upright(images, digit, domain):
    rows = images.index(torch.tensor([[digit, domain]])) + torch.arange(10)
    return (images.batch(rows, {})[:, 0] * 255).round().to(torch.uint8).numpy()


def test_rows_and_levels(root):
    images = MNISTRotation().open(root)
    assert images.rows == 600 and images.factors.sizes == (10, 6)
    rows = torch.tensor([0, 9, 10, 59, 60, 599])
    assert images.levels(rows).tolist() == [[0, 0], [0, 0], [0, 1], [0, 5], [1, 0], [9, 5]]
    assert images.index(torch.tensor([[0, 1], [9, 5]])).tolist() == [10, 590]
    assert MNISTRotation().prepare(root) is None and images.source.startswith("made from ")


def test_paired_domains_hold_the_same_digits(root):
    from PIL import Image

    images = MNISTRotation().open(root)
    pictures = np.random.default_rng(0).integers(0, 256, (COUNT, 28, 28)).astype(np.uint8)
    for digit in (0, 7):
        base = upright(images, digit, 0)
        taken = [int((pictures == one).all((1, 2)).argmax()) for one in base]
        assert len(set(taken)) == 10 and {row % 10 for row in taken} == {digit}
        for domain, angle in ((1, 15), (5, 75)):
            turned = [np.asarray(Image.fromarray(one).rotate(angle, Image.Resampling.BILINEAR)) for one in base]
            assert np.array_equal(upright(images, digit, domain), np.stack(turned))


def test_turning_is_counter_clockwise():
    """A bar to the right of the middle goes up."""
    picture = np.zeros((6, 28, 28), np.uint8)
    picture[:, 13:15, 20:26] = 255
    labels = np.repeat(np.arange(10), 600).astype(np.uint8)
    turned = mnist_rotation.rotated(np.repeat(picture[:1], 6000, 0), labels, True, 0).reshape(10, 6, 100, 28, 28)
    heights = [(np.arange(28)[:, None] * turned[0, d, 0]).sum() / turned[0, d, 0].sum() for d in range(6)]
    assert all(np.diff(heights) < -0.5)
    assert np.array_equal(turned[0, 0, 0], picture[0])


def test_unpaired_domains_hold_different_digits_and_seeds_others(root):
    images = MNISTRotation(paired=False).open(root)
    assert np.array_equal(upright(images, 3, 0), upright(MNISTRotation().open(root), 3, 0))
    pictures = np.random.default_rng(0).integers(0, 256, (COUNT, 28, 28)).astype(np.uint8)
    labels = (np.arange(COUNT) % 10).astype(np.uint8)
    order = mnist_rotation.chosen(labels, 3, 0)
    assert sorted(order) == list(range(3, COUNT, 10)) and order != sorted(order)
    assert np.array_equal(upright(images, 3, 0), pictures[order[:10]])
    other = upright(MNISTRotation(seed=1).open(root), 3, 0)
    assert not np.array_equal(other, upright(images, 3, 0))


def test_the_choice_never_changes_silently():
    labels = np.repeat(np.arange(10), 200).astype(np.uint8)
    assert mnist_rotation.chosen(labels, 4, 0)[:6] == [992, 978, 857, 946, 985, 914]


@pytest.mark.parametrize("options", [{}, {"paired": False, "seed": 3}, {"size": 64, "binary": True}], ids=str)
def test_contract(root, options):
    check_dataset(MNISTRotation(**options), root)


def test_refusals(root, monkeypatch, tmp_path_factory):
    with pytest.raises(UserError, match="seed = -1"):
        MNISTRotation(seed=-1).open(root)
    with pytest.raises(UserError, match="size = 29"):
        MNISTRotation(size=29).open(root)
    with pytest.raises(UserError, match="mnist-rotation: its files were not found"):
        MNISTRotation().open(tmp_path_factory.mktemp("none"))
    monkeypatch.setattr(mnist_rotation, "EACH", 91)
    with pytest.raises(UserError, match="90 images of digit 0; 91 are needed"):
        MNISTRotation(seed=2).open(root)


def test_real_files(shared_data):
    if not (shared_data / "mnist").is_dir():
        pytest.skip("no MNIST there")
    lines = MNISTRotation().check(shared_data)
    assert "6,000 images" in lines[0]
    assert "4ca11ec7ec713771799396f0afa2f22abdbc3c4c9e199c3ded182312a24ea9c0" in lines[1]
