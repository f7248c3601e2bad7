"""Arrays of the user's own: every layout and number type becomes the same images."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from published_files import fuzz

from unweave import Experiment, UserError, fit
from unweave.data import ArrayFile, Split, dataset
from unweave.data.cache import CACHE_VARIABLE
from unweave.engine.experiment import from_json, to_json
from unweave.networks import MLP
from unweave.testing import check_dataset

COUNT = 12


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


@pytest.fixture
def colours() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (COUNT, 10, 14, 3), dtype=np.uint8)


def save(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


def images(data: ArrayFile) -> np.ndarray:
    """All images as bytes, (N, C, H, W)."""
    opened = data.open()
    found = opened.batch(torch.arange(opened.rows), {})
    return (found * 255).round().to(torch.uint8).numpy()


LAYOUTS = {
    "bytes, channels last": (lambda x: x, True),
    "bytes, channels first": (lambda x: np.ascontiguousarray(x.transpose(0, 3, 1, 2)), False),
    "16 bits": (lambda x: x.astype(np.uint16) * 257, False),
    "16 bits of the other byte order": (lambda x: (x.astype(np.uint16) * 257).astype(">u2"), False),
    "float32": (lambda x: x.astype(np.float32) / 255, False),
    "float64": (lambda x: x / 255.0, False),
}


@pytest.mark.parametrize("kind", LAYOUTS)
def test_every_layout_gives_the_same_images(kind: str, colours: np.ndarray, tmp_path: Path) -> None:
    change, as_it_is = LAYOUTS[kind]
    data = ArrayFile(save(tmp_path / "x.npy", change(colours)))
    assert data.shape == (3, 10, 14) and data.rows == COUNT
    assert np.array_equal(images(data), colours.transpose(0, 3, 1, 2))
    assert (data.prepare() is None) == as_it_is
    assert data.open().streams, "mapped, wherever it lies"


def test_an_archive_and_the_array_that_is_meant(colours: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=colours, y=np.arange(COUNT), grey=colours[..., 0])
    with pytest.raises(UserError, match=r"2 arrays that could be images; it holds x uint8 \(12, 10, 14, 3\), y int64"):
        ArrayFile(path).open()
    with pytest.raises(UserError, match="unknown array 'gray' — did you mean 'grey'"):
        ArrayFile(path, "gray").open()
    assert np.array_equal(images(ArrayFile(path, "x")), colours.transpose(0, 3, 1, 2))
    assert np.array_equal(images(ArrayFile(path, "grey")), colours[:, None, :, :, 0])
    assert dataset(f"{path}:key=grey") == ArrayFile(path, "grey")


def test_black_and_white_and_three_axes(tmp_path: Path) -> None:
    dots = np.random.default_rng(1).integers(0, 2, (5, 8, 9)).astype(bool)
    data = ArrayFile(save(tmp_path / "x.npy", dots))
    assert data.shape == (1, 8, 9) and np.array_equal(images(data)[:, 0], dots * np.uint8(255))
    grey = ArrayFile(save(tmp_path / "y.npy", dots.astype(np.uint8)))
    assert grey.prepare() is None and np.array_equal(images(grey)[:, 0], dots)


def test_size_fit_and_grey_are_those_of_pictures(colours: np.ndarray, tmp_path: Path) -> None:
    from unweave.data.formats.anyfile import Look, image_of

    path = save(tmp_path / "x.npy", colours)
    for look in (Look(8, "crop", False), Look(12, "pad", True), Look(6, "stretch", False)):
        found = images(ArrayFile(path, size=look.size, fit=look.fit, grey=look.grey))
        for one, picture in zip(found, colours, strict=True):
            content = io.BytesIO()
            Image.fromarray(picture).save(content, "PNG")
            assert np.array_equal(one.transpose(1, 2, 0), image_of(content.getvalue(), look))
    grey = images(ArrayFile(path, grey=True))
    assert np.abs(grey[:, 0] - colours @ np.array([0.299, 0.587, 0.114])).max() < 1


def test_it_keeps_the_rules_of_a_data_set(colours: np.ndarray, tmp_path: Path) -> None:
    path = save(tmp_path / "x.npy", colours)
    (tmp_path / "f.csv").write_text("row,b,a\n" + "\n".join(f"{k},{k // 4},{k % 4}" for k in range(COUNT)))
    for data in (ArrayFile(path), ArrayFile(path, size=8, labels=tmp_path / "f.csv"), Split(ArrayFile(path))):
        check_dataset(data)
        one = Experiment("vae", data, network=MLP((4,)), steps=1).complete()
        assert from_json(to_json(one)).data == data
        assert "12" in ArrayFile(path).check()[0]
    data = dataset(f"{path}:labels=f.csv")
    assert data == ArrayFile(path, labels=tmp_path / "f.csv") and dataset(path) == ArrayFile(path)
    assert data.factors is not None and data.factors.sizes == (3, 4)
    assert data.open().index(torch.tensor([[2, 1]])).tolist() == [9]
    assert fit("beta-vae", data, steps=2, batch=4, network=MLP((4,)), latents=2).score(["mig"])["mig"].value >= 0


def test_a_changed_file_is_another_set(colours: np.ndarray, tmp_path: Path) -> None:
    path = save(tmp_path / "x.npy", colours / 255.0)
    assert np.array_equal(images(ArrayFile(path)), colours.transpose(0, 3, 1, 2))
    save(path, colours[:5, ::-1] / 255.0)
    assert np.array_equal(images(ArrayFile(path)), colours[:5, ::-1].transpose(0, 3, 1, 2))


BAD = {
    "brighter than white": (np.full((3, 8, 8), 1.5), r"pixels from 1.5 to 1.5; allowed: real numbers from 0 to 1"),
    "no number": (np.full((3, 8, 8), np.nan), "pixels from nan"),
    "four channels": (np.zeros((3, 8, 8, 4), np.uint8), "0 arrays that could be images; it holds an array uint8"),
    "long integers": (np.zeros((3, 8, 8), np.int64), "it holds an array int64"),
    "a table": (np.zeros((3, 8), np.uint8), "0 arrays"),
    "nothing": (np.zeros((0, 8, 8), np.uint8), "0 arrays"),
    "tiny": (np.zeros((3, 2, 8), np.uint8), "4 to 1024 pixels a side"),
    "column by column": (np.asfortranarray(np.zeros((3, 8, 8), np.uint8)), "stored column by column"),
}


@pytest.mark.parametrize("kind", BAD)
def test_other_arrays_are_refused(kind: str, tmp_path: Path) -> None:
    array, why = BAD[kind]
    with pytest.raises(UserError, match=why) as caught:
        ArrayFile(save(tmp_path / "x.npy", array)).open()
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    array = np.empty(3, object)
    array[:] = [{}, [], 0]
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    np.savez(tmp_path / "x.npz", a=array, allow_pickle=True)
    for name in ("x.npy", "x.npz"):
        with pytest.raises(UserError):
            ArrayFile(tmp_path / name).open()


def test_files_and_settings_that_are_none(colours: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"No such file or directory; allowed: an \.npy or \.npz file"):
        ArrayFile(tmp_path / "x.npy").open()
    path = save(tmp_path / "x.npy", colours)
    for wrong, why in (({"size": 3}, "size = 3"), ({"fit": "squeeze"}, "unknown fit 'squeeze'")):
        with pytest.raises(UserError, match=why):
            ArrayFile(path, **wrong).open()
    (tmp_path / "f.csv").write_text("row,a\n0,1\n12,2")
    with pytest.raises(UserError, match="no picture '12' here"):
        ArrayFile(path, labels=tmp_path / "f.csv").open()
    (tmp_path / "x.txt").write_text("no array")
    with pytest.raises(UserError, match=re.escape("unknown kind of file; allowed: .npy or .npz")):
        ArrayFile(tmp_path / "x.txt").open()


@pytest.mark.parametrize("kind", ["npy", "npz", "packed npz"])
@pytest.mark.filterwarnings("ignore")
def test_spoiled_files(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from unweave.data.formats import arrays

    array = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8) // 8
    content = io.BytesIO()
    {"npy": np.save, "npz": np.savez, "packed npz": np.savez_compressed}[kind](content, array)
    path = tmp_path / f"x.{kind.split()[-1]}"

    def read(data: bytes) -> None:
        path.write_bytes(data)
        for claim in arrays.claims(path):
            for block in arrays.blocks(path, claim):
                if claim.dtype.name in arrays.TYPES:
                    arrays.pixels("x", block)

    assert fuzz(content.getvalue(), read, 2 * array.size + 300_000, head=256) > 500


def test_images_of_very_many_factors_are_found_by_their_levels(tmp_path: Path) -> None:
    """Of more combinations than can be numbered."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.integers(0, 256, (60, 8, 8), dtype=np.uint8))
    levels = np.concatenate([np.arange(60)[:, None] % 30, rng.integers(0, 16, (60, 20))], axis=1)
    head = ",".join(f"f{n}" for n in range(21))
    lines = "".join(f"{row},{','.join(map(str, one))}\n" for row, one in enumerate(levels))
    (tmp_path / "labels.csv").write_text(f"row,{head}\n{lines}")
    data = ArrayFile(tmp_path / "x.npy", labels=tmp_path / "labels.csv")
    images = data.open()
    assert data.factors is not None and data.factors.count > 2**63
    rows = torch.tensor([5, 0, 59])
    assert images.index(images.levels(rows)).tolist() == [5, 0, 59] and data.check()
    with pytest.raises(UserError, match="no image has levels"):
        images.index(torch.zeros(1, 21, dtype=torch.int64))
