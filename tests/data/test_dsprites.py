"""Drawn dSprites against the real pictures, and the readers of the published files."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from unweave.data import DSprites, dsprites, sprites
from unweave.data.polygons import unpack
from unweave.types import UserError

REAL = Path(__file__).parent / "dsprites"


@pytest.mark.parametrize(("name", "count"), [("gif", 258), ("npz12", 12), ("heldout", 155)])
def test_real_images_pixel_for_pixel(name, count):
    with np.load(REAL / f"dsprites_real_{name}.npz", allow_pickle=False) as file:
        images, levels = file["imgs"], file["latents_classes"][:, 1:]
    assert len(images) == count and len(np.unique(levels, axis=0)) > count / 2
    assert np.array_equal(unpack(sprites.draw(levels)), images)
    opened = DSprites().open()
    drawn = opened.batch(opened.index(torch.from_numpy(levels)), {})
    assert np.array_equal(drawn[:, 0].numpy(), images.astype(np.float32))


def test_whole_set_sum_and_hash():
    digest, total, images = hashlib.sha256(), 0, 0
    for words in sprites.draw_all():
        digest.update(words.astype("<u8").tobytes())
        total += int(np.bitwise_count(words).sum(dtype=np.int64))
        images += len(words)
    assert images == 737_280 == DSprites().rows == DSprites().factors.count
    assert total == 128_328_864
    assert digest.hexdigest() == "faaf9cf5fa6256819224cb831e7fe802f7e166a63fda58f12c5f1c6eec3f5ea0"


def test_on_the_fly_equals_table(device):
    rows = torch.randint(737_280, (500,), generator=torch.Generator().manual_seed(0))
    first = DSprites().open()
    fly = first.batch(rows, {})
    assert first.table is None and first.source == "drawn"
    assert fly.shape == (500, 1, 64, 64) and fly.dtype == torch.float32
    assert fly.unique().tolist() == [0, 1]
    first.drawn = dsprites.BUILD_AFTER  # as if so many had been asked for already
    assert torch.equal(first.batch(rows, {}), fly)
    assert first.table is not None and first.table.dtype == torch.uint8 and first.table.shape == (737_280, 512)
    assert DSprites().open(device="cpu").table is None
    elsewhere = DSprites().open(device=device)
    elsewhere.drawn = dsprites.BUILD_AFTER
    moved = elsewhere.batch(rows.to(device), {})
    assert moved.device.type == device.type and torch.equal(moved.cpu(), fly)
    if device.type == "cpu":
        assert elsewhere.table is first.table  # two open sets hold one table


def test_levels_follow_the_published_order():
    images = DSprites().open()
    rows = torch.tensor([0, 1, 32, 1024, 40 * 1024, 6 * 40 * 1024, 737_279])
    levels = images.levels(rows)
    assert levels.tolist()[:6] == [
        [0] * 5,
        [0, 0, 0, 0, 1],
        [0, 0, 0, 1, 0],
        [0, 0, 1, 0, 0],
        [0, 1, 0, 0, 0],
        [1, 0, 0, 0, 0],
    ]
    assert torch.equal(images.index(levels), rows)
    assert images.noise(4) == {}


def test_geometry():
    images = DSprites().open()
    square = images.batch(images.index(torch.tensor([[0, 5, 0, 31, 0]])), {})[0, 0]
    rows, columns = square.nonzero().T
    assert columns.float().mean() > 40 and rows.float().mean() < 20  # pos_x moves columns, pos_y rows
    assert int(square.sum()) in (19 * 19, 19 * 20, 20 * 20)  # a side of 19.2 pixels meets 19 or 20 centres
    for shape in range(3):
        turned = images.batch(images.index(torch.tensor([[shape, 3, 0, 9, 9], [shape, 3, 39, 9, 9]])), {})
        assert torch.equal(turned[0], turned[1])  # 0 and 2π


@pytest.mark.parametrize("row", [-1, 737_280])
def test_rows_outside(row):
    with pytest.raises(IndexError, match="allowed are 0 to 737279"):
        DSprites().open().batch(torch.tensor([0, row]), {})


def test_published_layout_is_read(write, small, sizes):
    path = write(small)
    assert np.array_equal(unpack(dsprites.read(path, sizes)), small["imgs"])
    assert not path.with_name("exploded").exists()


def test_a_file_is_read_once(write, small, sizes, monkeypatch, tmp_path):
    path, real, asked = write(small), dsprites.packed, []
    monkeypatch.setenv("UNWEAVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sprites, "COUNT", len(small["imgs"]))
    monkeypatch.setattr(dsprites, "packed", lambda path: asked.append(path) or real(path, sizes))
    monkeypatch.setattr(DSprites, "files", (path.name,))
    folder = DSprites().prepare(tmp_path)
    assert folder == next((tmp_path / "cache").glob("dsprites-????????????????")) and DSprites().prepare() is None
    for _ in range(2):
        images = DSprites().open(tmp_path)
        assert images.source == str(path)
        found = images.batch(torch.tensor([95, 3, 95]), {})
        assert np.array_equal(found[:, 0].numpy(), small["imgs"][[95, 3, 95]].astype(np.float32))
    assert asked == [path]


def altered(arrays, key, change):
    array = arrays[key].copy()
    return {**arrays, key: change(array)}


def put(position, value):
    def change(array):
        array[position] = value
        return array

    return change


BAD = {
    "missing key": (lambda a: {k: v for k, v in a.items() if k != "imgs"}, "imgs"),
    "pickled": (
        lambda a: altered(a, "imgs", lambda x: x[:, 0, 0].astype(object)),
        "pickled objects, which are never loaded",
    ),
    "shape": (lambda a: altered(a, "imgs", lambda x: x[:, :32]), r"shape \(96, 32, 64\); expected \(96, 64, 64\)"),
    "rows": (lambda a: altered(a, "latents_classes", lambda x: x[1:]), r"shape \(95, 6\); expected \(96, 6\)"),
    "dtype": (lambda a: altered(a, "imgs", lambda x: x.astype(np.int64)), "number type int64; expected uint8"),
    "value": (lambda a: altered(a, "imgs", put((95, 63, 63), 2)), "holds the value 2; allowed are 0 and 1"),
    "levels": (lambda a: altered(a, "latents_classes", put((17, 5), 3)), "published order of images at row 17"),
    "colour": (lambda a: altered(a, "latents_classes", put((3, 0), 1)), "published order of images at row 3"),
    "values": (lambda a: altered(a, "latents_values", put((90, 3), 0.1)), "published order of images at row 90"),
    "nan": (lambda a: altered(a, "latents_values", put((1, 1), np.nan)), "published order of images at row 1"),
}


@pytest.mark.parametrize("kind", BAD)
def test_another_content_is_refused(write, small, sizes, kind):
    change, message = BAD[kind]
    path = write(change(small))
    with pytest.raises(UserError, match=message) as error:
        dsprites.read(path, sizes)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert not path.with_name("exploded").exists()


@pytest.mark.parametrize("part", [0, 10, 0.3, 0.9])
def test_a_truncated_file_is_refused(write, small, sizes, part):
    path = write(small)
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data)) if isinstance(part, float) else part])
    with pytest.raises(UserError, match=r"truncated|damaged") as error:
        dsprites.read(path, sizes)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", ["npz", "hdf5"])
@pytest.mark.parametrize("folder", ["", "dsprites"])
def test_open_reads_a_file_where_there_is_one(tmp_path, monkeypatch, suffix, folder):
    assert DSprites().open(tmp_path).source == "drawn"
    (tmp_path / folder).mkdir(exist_ok=True)
    path = tmp_path / folder / f"dsprites_ndarray_co1sh3sc6or40x32y32_64x64.{suffix}"
    path.write_bytes(b"not what it says")
    with pytest.raises(UserError, match=suffix):
        DSprites().open(tmp_path)
    assert DSprites().find(tmp_path) == path
    monkeypatch.setenv("UNWEAVE_DATA", str(tmp_path))
    with pytest.raises(UserError, match=suffix):
        DSprites().open()
    assert DSprites().describe()["found"] == str(path)


def test_check_of_the_drawn_set(tmp_path):
    lines = DSprites().check(tmp_path)
    assert "737,280 images, 128,328,864 pixels on" in lines[0] and "as expected" in lines[0]
    assert "drawn set is used" in lines[1]


def test_a_full_size_hdf5_of_other_pictures(tmp_path, published):
    h5py = pytest.importorskip("h5py")
    path = published.hdf5(tmp_path / DSprites.files[1], published.numbers(sprites.SIZES))
    with h5py.File(path, "a") as file:  # chunks that were never written read as zeros: every picture is black
        file.create_dataset("imgs", (737_280, 64, 64), "uint8", chunks=(23_040, 2, 4), compression="gzip")
    images = DSprites().open(tmp_path)
    assert images.source == str(path)
    assert not images.batch(torch.tensor([0, 737_279]), {}).any()


@pytest.mark.slow
def test_check_refuses_other_pictures(tmp_path, published):
    black = np.zeros((737_280, 64, 64), dtype=np.uint8)
    published.npz(tmp_path / DSprites.files[0], {**published.numbers(sprites.SIZES), "imgs": black})
    with pytest.raises(UserError, match="128,328,864 pixels differ from the drawn set"):
        DSprites().check(tmp_path)


@pytest.mark.slow
def test_a_full_size_npz(tmp_path, published):
    path = published.npz(tmp_path / DSprites.files[0], published.numbers(sprites.SIZES))
    header = {"descr": "|u1", "fortran_order": False, "shape": (737_280, 64, 64)}
    with (
        zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("imgs.npy", "w", force_zip64=True) as member,
    ):
        np.lib.format.write_array_header_1_0(member, header)
        for words in sprites.draw_all():
            member.write(unpack(words).data)
    lines = DSprites().check(tmp_path)
    assert any("0 of 3,019,898,880 pixels differ" in line for line in lines)
    rows = torch.randint(737_280, (100,), generator=torch.Generator().manual_seed(1))
    assert torch.equal(DSprites().open(tmp_path).batch(rows, {}), DSprites().open().batch(rows, {}))


def test_the_published_file_where_it_is_at_hand(shared_data):
    if DSprites().find(shared_data) is None:
        pytest.skip(f"no published dSprites file under {shared_data}")
    assert len(DSprites().check(shared_data)) == 4
