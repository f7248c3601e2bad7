"""SmallNORB: the binary matrices byte by byte, the order of rows, spoiled files."""

import gzip

import numpy as np
import pytest
import torch
from PIL import Image
from published_files import fuzz, norb, write

from unweave.data import SmallNORB, smallnorb
from unweave.data.formats import norb as reader
from unweave.testing import check_dataset
from unweave.types import UserError

SIZES = (2, 3, 4, 2)
INSTANCES = {"train": (4, 6), "test": (0, 1, 9)}


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    monkeypatch.setattr(smallnorb, "SIZES", SIZES)
    monkeypatch.setattr(smallnorb, "INSTANCES", INSTANCES)
    monkeypatch.setattr(smallnorb, "MEANS", None)
    monkeypatch.setenv("UNWEAVE_CACHE", str(tmp_path / "cache"))


def part(name):
    """Pictures, categories and settings of a part in an order of chance, as published."""
    rng = np.random.default_rng(len(name))
    every = np.stack(np.meshgrid(*[np.arange(size) for size in SIZES], INSTANCES[name], indexing="ij"), -1).reshape(
        -1, 5
    )
    every = rng.permutation(every)
    pictures = rng.integers(0, 256, (len(every), 2, 96, 96)).astype(np.uint8)
    info = np.stack([every[:, 4], every[:, 1], 2 * every[:, 2], every[:, 3]], 1).astype(np.int32)
    return pictures, every[:, 0].astype(np.int32), info


def files(suffix=".gz", change=None):
    out = {}
    for name, stem in smallnorb.STEMS.items():
        arrays = dict(zip(("dat", "cat", "info"), part(name), strict=True))
        if change is not None:
            change(name, arrays)
        out |= {f"{stem}-{kind}.mat{suffix}": norb(array) for kind, array in arrays.items()}
    return out


@pytest.mark.parametrize("suffix", [".gz", ""])
@pytest.mark.parametrize("folder", [".", "smallnorb"])
def test_small_files(tmp_path, suffix, folder):
    write(tmp_path / "data" / folder, files(suffix))
    root = tmp_path / "data"
    images = SmallNORB().open(root)
    assert images.rows == SmallNORB().rows == 5 * 48 and images.factors.sizes == SIZES
    every = sorted((*INSTANCES["train"], *INSTANCES["test"]))
    for name in INSTANCES:
        pictures, category, info = part(name)
        for row in (0, 5, len(pictures) - 1):
            instance, elevation, azimuth, lighting = info[row]
            levels = torch.tensor([[category[row], elevation, azimuth // 2, lighting]])
            place = images.index(levels) + every.index(instance)
            assert torch.equal(images.levels(place), levels)
            wanted = np.asarray(Image.fromarray(pictures[row, 0]).resize((64, 64), Image.Resampling.LANCZOS))
            assert np.array_equal((images.batch(place, {})[0, 0] * 255).round().numpy(), wanted)
    assert "test-dat" not in images.source and images.source.endswith(f"training-dat.mat{suffix}")


def test_parts(tmp_path):
    write(tmp_path / "smallnorb", files())
    both, train = SmallNORB().open(tmp_path), SmallNORB("train").open(tmp_path)
    test = SmallNORB("test").open(tmp_path)
    assert (train.rows, test.rows) == (96, 144)
    levels = torch.tensor([[1, 2, 3, 0]])
    mine = [test.batch(test.index(levels) + k, {}) for k in range(3)]
    mine[2:2] = [train.batch(train.index(levels) + k, {}) for k in range(2)]
    assert torch.equal(torch.cat(mine), both.batch(both.index(levels) + torch.arange(5), {}))
    for stem in (smallnorb.STEMS["test"],):
        (tmp_path / "smallnorb" / f"{stem}-cat.mat.gz").unlink()
    assert SmallNORB("train").find(tmp_path) is not None and SmallNORB().find(tmp_path) is None
    with pytest.raises(UserError, match="smallnorb: its files were not found"):
        SmallNORB().open(tmp_path)
    with pytest.raises(UserError, match="part of smallnorb 'left'"):
        SmallNORB("left").open(tmp_path)


@pytest.mark.parametrize("given", ["all", "train", "test"])
def test_contract(tmp_path, given):
    write(tmp_path / "smallnorb", files())
    check_dataset(SmallNORB(given), tmp_path)


def test_check(tmp_path, monkeypatch):
    write(tmp_path / "smallnorb", files())
    lines = SmallNORB().check(tmp_path)
    assert "240 images" in lines[0] and sum("published file" in line for line in lines) == 2
    monkeypatch.setattr(smallnorb, "MEANS", (0.752,))
    with pytest.raises(UserError, match=r"channel means 0.*; the published set's are 0.75200"):
        SmallNORB().check(tmp_path)
    folder = SmallNORB().prepare(tmp_path)
    data = bytearray((folder / "images.npy").read_bytes())
    data[5000] ^= 1
    (folder / "images.npy").write_bytes(data)
    with pytest.raises(UserError, match="not what was written; delete this folder"):
        SmallNORB().check(tmp_path)


def replaced(kind, row, column, value):
    def change(name, arrays):
        if name == "train":
            array = arrays[kind]
            array[(row,) if column is None else (row, column)] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replaced("info", 3, 2, 3), "azimuth 3; expected even numbers"),
        (replaced("info", 3, 0, 5), "picture 3 has category, instance.* one of 4, 6"),
        (replaced("info", 3, 1, 3), "picture 3"),
        (replaced("info", 3, 3, -1), "picture 3"),
        (replaced("cat", 3, None, 2), "picture 3"),
        (lambda name, arrays: arrays["info"].__setitem__(0, arrays["info"][1]), "occurs twice|picture"),
        (
            lambda name, arrays: arrays.update(cat=arrays["cat"].astype(np.uint8)),
            r"0x1e3d4c55 \(uint8\); expected 0x1e3d4c54",
        ),
        (
            lambda name, arrays: arrays.update(dat=arrays["dat"][:, :1]),
            r"shape \(96, 1, 96, 96\); expected \(96, 2, 96",
        ),
        (lambda name, arrays: arrays.update(info=arrays["info"][0]), "a matrix of 1 dimensions; expected 2"),
    ],
)
def test_broken(tmp_path, change, message):
    write(tmp_path / "smallnorb", files(change=change))
    with pytest.raises(UserError, match=message):
        SmallNORB().open(tmp_path)
    assert not list((tmp_path / "cache").glob("*.part"))


@pytest.mark.parametrize("packed", [False, True])
def test_spoiled_pictures(tmp_path, packed):
    array = np.random.default_rng(1).integers(0, 64, (12, 2, 96, 96)).astype(np.uint8)
    path = tmp_path / ("dat.mat.gz" if packed else "dat.mat")

    def read(data):
        path.write_bytes(data)
        assert reader.read(path, array.shape, "uint8").shape == array.shape

    honest = gzip.compress(norb(array), 1) if packed else norb(array)
    assert fuzz(honest, read, 2 * array.size + 500_000, head=32) > 900


def test_spoiled_settings(tmp_path):
    _, category, info = part("train")
    (tmp_path / "cat").write_bytes(norb(category))

    def read(data):
        (tmp_path / "info").write_bytes(data)
        levels = smallnorb.places(tmp_path / "cat", tmp_path / "info", "train")
        assert levels.min() >= 0 and (levels.max(0) < (*SIZES, 2)).all()

    assert fuzz(norb(info), read, 300_000, head=64) > 1500
