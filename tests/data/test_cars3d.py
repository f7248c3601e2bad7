"""Cars3D: MAT-files and the tar archive byte by byte, the order of cars, spoiled files."""

import gzip
import io

import numpy as np
import pytest
import torch
from PIL import Image
from published_files import fuzz, mat5, tar, write

from unweave.data import Cars3D, cars3d
from unweave.data.formats import mat5 as reader
from unweave.data.formats import tar as archive
from unweave.testing import check_dataset
from unweave.types import UserError

SIZES = (2, 3, 4)
NAMES = ("car_007_mesh", "car_002_mesh", "car_100_mesh", "car_001_mesh")
SHAPE = (128, 128, 3, 3, 2)


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    monkeypatch.setattr(cars3d, "SIZES", SIZES)
    monkeypatch.setattr(cars3d, "MEANS", None)
    monkeypatch.setenv("UNWEAVE_CACHE", str(tmp_path / "cache"))


def car(place):
    """(128, 128, 3, azimuth, elevation) bytes."""
    return np.random.default_rng(place).integers(0, 64, SHAPE).astype(np.uint8)


def files(packed=True, listed=True):
    mask = np.ones((128, 128, 3, 2), np.uint8)
    out = {f"{name}.mat": mat5({"im": car(k), "mask": mask}, packed) for k, name in enumerate(NAMES)}
    return {**out, "list.txt": "\n".join(NAMES).encode() + b"\n"} if listed else out


def packed_archive(given):
    held = {"data/": b"", "data/shapes48.mat": b"x" * 700, "data/sprites/a_mesh.mat": b"other", "data/cars/": b""}
    return {
        "nips2015-analogy-data.tar.gz": tar({**held, **{f"data/cars/{name}": data for name, data in given.items()}})
    }


def expected(images, order):
    for place, k in enumerate(order):
        for elevation in range(2):
            for azimuth in range(3):
                row = images.index(torch.tensor([[elevation, azimuth, place]]))
                picture = Image.fromarray(np.ascontiguousarray(car(k)[:, :, :, azimuth, elevation]))
                wanted = np.asarray(picture.resize((64, 64), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
                assert np.array_equal((images.batch(row, {})[0] * 255).round().numpy(), wanted)


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("kind", ["archive", "archive, not packed", "data/cars", "cars3d/cars", "cars3d"])
def test_small_files(tmp_path, kind, listed):
    given = files(packed="not packed" not in kind, listed=listed)
    root = tmp_path / "root"
    if kind.startswith("archive"):
        write(root, packed_archive(given))
    else:
        write(root / kind, given)
    images = Cars3D().open(root)
    assert images.rows == 24 and images.factors.names == ("elevation", "azimuth", "object")
    expected(images, range(4) if listed else np.argsort(NAMES))
    assert len(list((tmp_path / "cache").glob("cars3d-*/images.npy"))) == 1


def test_contract_and_check(tmp_path, monkeypatch):
    root = write(tmp_path / "root", packed_archive(files()))
    check_dataset(Cars3D(), root)
    assert "not that of the published file" in Cars3D().check(root)[-1]
    monkeypatch.setattr(cars3d, "MEANS", (0.9, 0.9, 0.9))
    with pytest.raises(UserError, match="channel means"):
        Cars3D().check(root)


def test_scipy_reads_and_writes_the_same(tmp_path):
    scipy_io = pytest.importorskip("scipy.io")
    array = car(1)
    for packed in (False, True):
        found = scipy_io.loadmat(io.BytesIO(mat5({"mask": array[:2], "im": array}, packed)))
        assert np.array_equal(found["im"], array) and np.array_equal(found["mask"], array[:2])
        written = io.BytesIO()
        others = {"a": np.arange(3.0), "cell": np.array([1, "x"], dtype=object), "text": "hello", "s": {"x": 1.5}}
        scipy_io.savemat(written, {**others, "im": array, "mask": array[:2]}, do_compression=packed)
        assert np.array_equal(reader.read(written.getvalue(), "im", SHAPE), array)
        for key, message in (
            ("a", "holds double"),
            ("cell", "holds cell"),
            ("text", "holds char"),
            ("s", "holds struct"),
        ):
            with pytest.raises(UserError, match=message):
                reader.read(written.getvalue(), key, SHAPE)
    assert np.array_equal(reader.read(mat5({"im": array}, order=">"), "im", SHAPE), array)


def test_python_reads_the_same_archive():
    import tarfile

    with tarfile.open(fileobj=io.BytesIO(tar({"data/cars/": b"", "data/cars/list.txt": b"car"}))) as file:
        assert file.getnames() == ["data/cars", "data/cars/list.txt"]
        assert file.extractfile("data/cars/list.txt").read() == b"car"


BROKEN = {
    "another shape": (
        lambda g: g.update({"car_002_mesh.mat": mat5({"im": car(0)[:127]})}),
        r"car_002_mesh.mat: 'im' has shape \(127,",
    ),
    "no pictures": (lambda g: g.update({"car_002_mesh.mat": mat5({"mask": car(0)})}), "no array 'im'; it holds 'mask'"),
    "no MAT-file": (lambda g: g.update({"car_002_mesh.mat": b"\x89HDF" + bytes(200)}), "no MAT-file of level 5"),
    "truncated": (lambda g: g.update({"car_002_mesh.mat": g["car_002_mesh.mat"][:-200_000]}), "truncated"),
    "too few": (lambda g: g.pop("car_002_mesh.mat"), r"3 files \*_mesh.mat; expected 4"),
    "too many": (lambda g: g.update({"car_999_mesh.mat": g["car_002_mesh.mat"]}), "expected 4 cars"),
    "another list": (lambda g: g.update({"list.txt": b"a b c d"}), "list.txt names 4 cars, other ones"),
    "huge": (lambda g: g.update({"car_002_mesh.mat": bytes((1 << 24) + 1)}), "16,777,21[67]"),
}


@pytest.mark.parametrize("kind", ["archive", "folder"])
@pytest.mark.parametrize("case", BROKEN)
def test_broken(tmp_path, case, kind):
    change, message = BROKEN[case]
    given = files()
    change(given)
    root = tmp_path / "root"
    write(root, packed_archive(given)) if kind == "archive" else write(root / "cars", given)
    with pytest.raises(UserError, match=message) as error:
        Cars3D().open(root)
    assert "\n" not in str(error.value)


def test_broken_archives(tmp_path):
    whole = packed_archive(files())["nips2015-analogy-data.tar.gz"]
    root = tmp_path / "root"
    changed = whole[:520] + b"9" + whole[521:]
    for data, message in ((whole[:-600_000], "ends after"), (changed, "header in the archive is damaged")):
        write(root, {"nips2015-analogy-data.tar.gz": data})
        with pytest.raises(UserError, match=message):
            Cars3D().open(root)
    (root / "nips2015-analogy-data.tar.gz").write_bytes(gzip.compress(whole)[:-5000])
    with pytest.raises(UserError, match="truncated"):
        Cars3D().open(root)


@pytest.mark.parametrize("packed", [False, True])
def test_spoiled_mat_files(packed):
    array = np.random.default_rng(0).integers(0, 8, (64, 64, 3, 2, 2)).astype(np.uint8)

    def read(data):
        assert reader.read(data, "im", array.shape).shape == array.shape

    assert fuzz(mat5({"mask": array[..., 0], "im": array}, packed), read, 2 * array.size + 100_000, head=300) > 900


def test_spoiled_archives(tmp_path):
    path = tmp_path / "a.tar"
    honest = tar({"data/cars/": b"", "data/cars/a_mesh.mat": bytes(range(256)) * 40, "data/cars/list.txt": b"a_mesh"})

    def read(data):
        for _, found in archive.members(io.BytesIO(data), path, ("_mesh.mat", "list.txt"), 20_000, 1 << 20):
            assert len(found) <= 20_000

    assert fuzz(honest, read, 2 * len(honest) + 100_000, head=2048) > 1000
