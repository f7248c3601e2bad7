"""MNIST: the idx format byte by byte, spoiled files, sizes, and the real files."""

import gzip

import numpy as np
import pytest
import torch
from published_files import fuzz, idx, write

from unweave.data import MNIST, digits
from unweave.data.formats import idx as reader
from unweave.testing import check_dataset
from unweave.types import UserError

TRAIN, TEST = 30, 20


@pytest.fixture
def small(monkeypatch):
    """Sets of 30 and 20 images."""
    monkeypatch.setitem(digits.COUNTS, "train", TRAIN)
    monkeypatch.setitem(digits.COUNTS, "test", TEST)


def files(packed=".gz", seed=0):
    rng, out = np.random.default_rng(seed), {}
    for stem, count in (("train", TRAIN), ("t10k", TEST)):
        out[f"{stem}-images-idx3-ubyte{packed}"] = idx(rng.integers(0, 256, (count, 28, 28)))
        out[f"{stem}-labels-idx1-ubyte{packed}"] = idx(np.arange(count) * 7 % 10)
    return out


@pytest.mark.parametrize("packed", [".gz", ""])
@pytest.mark.parametrize("folder", ["mnist", "MNIST/raw"])
def test_small_files(tmp_path, small, packed, folder):
    write(tmp_path / folder, files(packed))
    given = np.random.default_rng(0).integers(0, 256, (TRAIN, 28, 28))
    images = MNIST().open(tmp_path)
    x = images.batch(torch.arange(TRAIN), {})
    assert x.shape == (TRAIN, 1, 28, 28)
    assert np.array_equal((x[:, 0] * 255).round().numpy(), given)
    assert images.levels(torch.tensor([0, 1, 13])).tolist() == [[0], [7], [1]]
    assert images.index(torch.tensor([[0], [7], [1]])).tolist() == [0, 1, 3]
    assert images.source == str(tmp_path / folder / f"train-images-idx3-ubyte{packed}")
    assert MNIST("test").open(tmp_path).rows == TEST
    assert MNIST().find(tmp_path) is not None and MNIST().prepare(tmp_path) is None
    assert MNIST().open(tmp_path).table is images.table


def test_the_root_may_be_the_folder_itself_but_no_other(tmp_path, small):
    write(tmp_path / "mnist", files())
    assert MNIST().find(tmp_path / "mnist") is not None
    write(tmp_path, files())
    (tmp_path / "mnist" / "train-labels-idx1-ubyte.gz").unlink()
    assert MNIST().find(tmp_path) is None
    with pytest.raises(UserError, match=r"mnist: its files were not found in .*train-labels-idx1-ubyte.gz.* published"):
        MNIST().open(tmp_path)
    with pytest.raises(UserError, match="no data root"):
        MNIST().open()


@pytest.mark.parametrize(
    "options", [{}, {"size": 32}, {"size": 32, "fit": "pad"}, {"size": 64, "binary": True}], ids=str
)
def test_contract(tmp_path, small, options):
    write(tmp_path / "mnist", files())
    check_dataset(MNIST(**options), tmp_path)
    check_dataset(MNIST("test", **options), tmp_path)


@pytest.mark.parametrize("room", [True, False])
def test_on_a_card_that_has_room_and_one_that_has_none(tmp_path, small, device, monkeypatch, room):
    write(tmp_path / "mnist", files())
    monkeypatch.setattr("unweave.data.stored.fits", lambda size, where: room)
    images = MNIST().open(tmp_path, device)
    assert (images.card is not None) == (room and device.type != "cpu")
    rows = torch.tensor([3, 3, 0, 29], device=device)
    x = images.batch(rows, {})
    assert x.device.type == device.type and images.levels(rows).device.type == device.type
    assert torch.equal(x.cpu(), MNIST().open(tmp_path).batch(rows.cpu(), {}))
    assert torch.equal(images.levels(images.index(images.levels(rows))), images.levels(rows))


def test_sizes(tmp_path, small):
    write(tmp_path / "mnist", files())
    rows = torch.arange(TRAIN)
    plain = MNIST().open(tmp_path).batch(rows, {})
    padded = MNIST(size=32, fit="pad").open(tmp_path).batch(rows, {})
    assert torch.equal(padded[:, :, 2:-2, 2:-2], plain)
    assert padded[:, :, :2].sum() == padded[..., -2:].sum() == 0
    larger = MNIST(size=64).open(tmp_path).batch(rows, {})
    wanted = torch.nn.functional.interpolate(plain, (64, 64), mode="bilinear", align_corners=False)
    assert (larger - wanted).abs().max() < 1.01 / 255
    binary = MNIST(size=64, binary=True).open(tmp_path).batch(rows, {})
    assert torch.equal(binary, (larger > 0.5).float())
    for wrong in ({"size": 27}, {"fit": "crop"}):
        with pytest.raises(UserError, match="allowed: size 28, 32, 64, 128, fit resize or pad"):
            MNIST(**wrong).open(tmp_path)


BROKEN = {
    "another type": (lambda d: d[:2] + b"\x0d" + d[3:], "starts with 00 00 0d 03; expected 00 00 08 03"),
    "fewer dimensions": (lambda d: d[:3] + b"\x01" + d[4:], "starts with 00 00 08 01"),
    "another count": (lambda d: d[:7] + b"\x1d" + d[8:], r"shape \(29, 28, 28\); expected \(30, 28, 28\)"),
    "a huge count": (lambda d: d[:4] + b"\xff" * 4 + d[8:], r"shape \(4294967295, 28, 28\)"),
    "truncated": (lambda d: d[:-1], r"end after 23,519 of 23,520 bytes; truncated"),
    "truncated header": (lambda d: d[:6], "the header ends after 2 of 12 bytes"),
    "more": (lambda d: d + b"\0", "more bytes follow"),
    "empty": (lambda d: b"", "ends after 0 of 4 bytes"),
}


@pytest.mark.parametrize("packed", [".gz", ""])
@pytest.mark.parametrize("case", BROKEN)
def test_broken_images(tmp_path, small, case, packed):
    change, message = BROKEN[case]
    given = files(packed)
    name = f"train-images-idx3-ubyte{packed}"
    given[name] = change(given[name])
    write(tmp_path / "mnist", given)
    with pytest.raises(UserError, match=message) as error:
        MNIST().open(tmp_path)
    assert name in str(error.value)


def test_broken_packing_and_labels(tmp_path, small):
    given = files()
    name = "train-images-idx3-ubyte.gz"
    packed = bytearray(gzip.compress(given[name]))
    packed[-6] ^= 1
    for data, message in ((bytes(packed), "CRC"), (bytes(packed[:-9]), "end-of-stream|ends after|end after")):
        write(tmp_path / "mnist", {**given, name: data})
        with pytest.raises(UserError, match=message):
            MNIST().open(tmp_path)
    (tmp_path / "mnist" / name).write_bytes(b"plain")
    with pytest.raises(UserError, match="gzip"):
        MNIST().open(tmp_path)
    write(tmp_path / "mnist", {**given, "train-labels-idx1-ubyte.gz": idx(np.full(TRAIN, 10))})
    with pytest.raises(UserError, match="label 10 of image 0; expected 0 to 9"):
        MNIST().open(tmp_path)


@pytest.mark.parametrize("packed", [False, True])
def test_spoiled_files(tmp_path, packed):
    array = np.random.default_rng(1).integers(0, 64, (100, 28, 28)).astype(np.uint8)
    path = tmp_path / ("images.gz" if packed else "images")

    def read(data):
        path.write_bytes(data)
        found = reader.read(path, array.shape)
        assert found.shape == array.shape and found.dtype == np.uint8

    honest = gzip.compress(idx(array), 1) if packed else idx(array)
    # The buffers of the gzip reader take up to 300 kB, whatever the file.
    assert fuzz(honest, read, 2 * array.size + 300_000, head=32) > 1000


def test_a_packed_file_that_never_ends(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx(np.zeros((10, 28, 28))) + bytes(100_000_000), 1))

    with pytest.raises(UserError, match="more bytes follow"):
        reader.read(path, (10, 28, 28))


def test_real_files(shared_data):
    if not (shared_data / "mnist").is_dir():
        pytest.skip("no MNIST there")
    images = MNIST().open(shared_data)
    assert images.rows == 60_000 and MNIST("test").open(shared_data).rows == 10_000
    rows = torch.arange(60_000)
    assert images.levels(rows).flatten().bincount().tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    assert images.levels(rows[:5]).flatten().tolist() == [5, 0, 4, 1, 9]
    x = images.batch(rows[:5], {})
    assert int((x[0] * 255).round().sum()) == 27525
    check_dataset(MNIST("test"), shared_data)
    lines = MNIST("test").check(shared_data)
    assert sum("as published" in line for line in lines) == 4


def test_check_notices_another_set(shared_data, tmp_path):
    if not (shared_data / "fashion-mnist").is_dir():
        pytest.skip("no Fashion-MNIST there")
    (tmp_path / "mnist").mkdir()
    for path in (shared_data / "fashion-mnist").glob("t10k*"):
        (tmp_path / "mnist" / path.name).symlink_to(path)
    with pytest.raises(UserError, match=r"sha256 .*: another data set"):
        MNIST("test").check(tmp_path)
