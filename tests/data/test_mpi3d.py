"""MPI3D: archives that store and that pack their array, spoiled ones, and pictures of the real set."""

import io
import zipfile

import numpy as np
import pytest
import torch
from published_files import fuzz, npy

from unweave.data import MPI3DComplex, MPI3DReal, MPI3DRealistic, MPI3DToy, mpi3d
from unweave.testing import check_dataset
from unweave.types import UserError

SIZES = (2, 2, 1, 2, 2, 3, 2)
COUNT = 96


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    for kind in (MPI3DComplex, MPI3DReal, MPI3DRealistic, MPI3DToy):
        monkeypatch.setattr(kind, "sizes", SIZES)
    monkeypatch.setenv("UNWEAVE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()


def pictures():
    return np.random.default_rng(0).integers(0, 256, (COUNT, 64, 64, 3)).astype(np.uint8)


def archive(array, packed=False, name="images.npy"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as file:
        file.writestr(name, array if isinstance(array, bytes) else npy(array))
    return buffer.getvalue()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", [MPI3DComplex, MPI3DReal, MPI3DRealistic, MPI3DToy])
def test_small_files(tmp_path, kind, packed):
    path = tmp_path / "data" / kind.files[0]
    path.write_bytes(archive(pictures(), packed))
    data = kind()
    images = data.open(tmp_path / "data")
    rows = torch.tensor([0, 1, 50, 95])
    wanted = pictures()[rows].transpose(0, 3, 1, 2)
    assert np.array_equal((images.batch(rows, {}) * 255).round().numpy(), wanted)
    assert images.levels(torch.tensor([95])).tolist() == [[1, 1, 0, 1, 1, 2, 1]]
    assert isinstance(images.table.pixels, np.memmap) and images.source == str(path)
    assert (data.prepare(tmp_path / "data") is None) == (not packed)
    check_dataset(data, tmp_path / "data")
    lines = data.check(tmp_path / "data")
    assert "its own checksums are right" in lines[-1]
    assert ("none on record" if kind is MPI3DComplex else "not that of the published file") in lines[-1]


def test_as_numpy_writes_it(tmp_path):
    np.savez(tmp_path / "data" / "mpi3d_toy.npz", images=pictures())
    images = MPI3DToy().open(tmp_path / "data")
    assert np.array_equal(
        (images.batch(torch.tensor([7]), {})[0] * 255).round().numpy(), pictures()[7].transpose(2, 0, 1)
    )


def test_rows_outside(tmp_path):
    np.savez(tmp_path / "data" / "mpi3d_toy.npz", images=pictures())
    images = MPI3DToy().open(tmp_path / "data")
    for row in (-1, COUNT):
        with pytest.raises(IndexError, match="allowed are 0 to 95"):
            images.batch(torch.tensor([row]), {})


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda p: archive(pictures()[:-1], p), r"shape \(95, 64, 64, 3\); expected \(96, 64, 64, 3\)"),
        (lambda p: archive(pictures().astype(np.float32), p), "number type float32; expected uint8"),
        (lambda p: archive(pictures(), p, "labels.npy"), "0 arrays 'images', expected one; it holds 'labels'"),
        (lambda p: archive(np.asfortranarray(pictures()), p), "column by column"),
        (lambda p: archive(npy(pictures())[:-5], p), "bytes; expected 1,179,648"),
        (lambda p: archive(pictures(), p)[:-50], "zip"),
        (lambda p: b"", "zip"),
    ],
)
def test_broken(tmp_path, data, message, packed):
    (tmp_path / "data" / "mpi3d_real.npz").write_bytes(data(packed))
    with pytest.raises(UserError, match=message):
        MPI3DReal().open(tmp_path / "data")


def test_check_reads_what_open_only_maps(tmp_path):
    data = bytearray(archive(pictures()))
    data[200_000] ^= 1
    (tmp_path / "data" / "mpi3d_real.npz").write_bytes(data)
    assert MPI3DReal().open(tmp_path / "data").rows == COUNT
    with pytest.raises(UserError, match="CRC"):
        MPI3DReal().check(tmp_path / "data")


@pytest.mark.parametrize("packed", [False, True])
def test_spoiled_archives(tmp_path, packed, monkeypatch):
    monkeypatch.setattr(MPI3DToy, "sizes", (1, 1, 1, 1, 1, 2, 2))
    array = pictures()[:4] // 8
    path = tmp_path / "data" / "mpi3d_toy.npz"

    def read(data):
        path.write_bytes(data)
        found = mpi3d._mapped(path, MPI3DToy()._array)
        if found is None:
            found = np.concatenate(list(mpi3d.npz_blocks(path, MPI3DToy()._array)))
        assert found.shape == array.shape and int(found.sum()) >= 0

    honest = archive(array, packed)
    assert fuzz(honest, read, 2 * array.size + 300_000, head=256) > 800


def test_real_pictures(shared_data):
    """What the class says of shape and size is what the authors' own sample pictures have."""
    path = shared_data / "mpi3d-gif" / "mpi3d_gif_tiles.npz"
    if not path.is_file():
        pytest.skip("no MPI3D pictures there")
    with np.load(path, allow_pickle=False) as file:
        shapes = {file[name].shape for name in file.files}
    assert shapes == {(20, len(mpi3d.NAMES), 64, 64, 3)}
