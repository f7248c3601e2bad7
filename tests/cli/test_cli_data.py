"""``unweave data``: listing, checking and preparing data sets that are read from the user's files."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from unweave.data import DATASETS, digits, smallnorb

from .conftest import Call


def _idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def _matrix(magic: int, array: np.ndarray) -> bytes:
    return struct.pack("<Ii4i", magic, array.ndim, *(*array.shape, 1, 1, 1)[: max(3, array.ndim)][:4]) + array.tobytes()


@pytest.fixture
def digits_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """KMNIST with 40 training images and no test part."""
    monkeypatch.setitem(digits.COUNTS, "train", 40)
    folder = tmp_path / "data" / "kmnist"
    folder.mkdir(parents=True)
    (folder / "train-images-idx3-ubyte").write_bytes(_idx(np.arange(40 * 784).reshape(40, 28, 28) % 256))
    (folder / "train-labels-idx1-ubyte").write_bytes(_idx(np.arange(40) % 10))
    return folder.parent


@pytest.fixture
def norb_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SmallNORB of two categories, two instances in all, one view."""
    monkeypatch.setattr(smallnorb, "SIZES", (2, 1, 1, 1))
    monkeypatch.setattr(smallnorb, "INSTANCES", {"train": (4,), "test": (0,)})
    monkeypatch.setattr(smallnorb, "MEANS", None)
    monkeypatch.setenv("UNWEAVE_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "data" / "smallnorb"
    folder.mkdir(parents=True)
    for part, stem in smallnorb.STEMS.items():
        instance = smallnorb.INSTANCES[part][0]
        pictures = np.random.default_rng(0).integers(0, 256, (2, 2, 96, 96)).astype(np.uint8)
        (folder / f"{stem}-dat.mat").write_bytes(_matrix(0x1E3D4C55, pictures))
        cat = struct.pack("<Ii3i2i", 0x1E3D4C54, 1, 2, 1, 1, 0, 1)
        (folder / f"{stem}-cat.mat").write_bytes(cat)
        info = struct.pack("<Ii3i8i", 0x1E3D4C54, 2, 2, 4, 1, *(instance, 0, 0, 0) * 2)
        (folder / f"{stem}-info.mat").write_bytes(info)
    return folder.parent


def test_list_says_everything_of_each(call: Call, digits_root: Path) -> None:
    shown = call("data", "list", "--data-root", str(digits_root)).out
    assert "5_o_Clock_Shadow 2, Arched_Eyebrows 2 and 38 more" in shown
    assert "smallnorb-5x01235x9x18x6x2x96x96-testing-info.mat.gz" in shown
    assert "licence: CC BY-SA 4.0" in shown and "https://github.com/rois-codh/kmnist" in shown
    rows = json.loads(call("data", "list", "--data-root", str(digits_root), "--json").out)["data"]
    assert [row["name"] for row in rows] == list(DATASETS)
    by_name = {row["name"]: row for row in rows}
    assert by_name["kmnist"]["found"].endswith("train-images-idx3-ubyte")
    assert by_name["mnist"]["found"] is None and by_name["mnist"]["pixels"] == "no files found"
    assert by_name["triangle"]["pixels"] == "drawn"
    for row in rows:
        assert row["licence"] and row["published"] and row["images"] and row["likelihood"]
        assert row["files"] or row["pixels"] == "drawn"


def test_check_says_what_is_wrong(call: Call, digits_root: Path) -> None:
    done = call("data", "check", "kmnist", "--data-root", str(digits_root))
    assert (done.code, done.err) == (0, "")
    assert "40 images of (1, 28, 28)" in done.out and "test part: not found" in done.out
    labels = digits_root / "kmnist" / "train-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1])
    done = call("data", "check", "kmnist", "--data-root", str(digits_root))
    assert done.code == 2
    assert "train-labels-idx1-ubyte: the numbers end after 39 of 40 bytes; truncated, fetch it again" in done.line


@pytest.mark.parametrize("task", ["check", "get"])
@pytest.mark.parametrize("name", [name for name, kind in DATASETS.items() if kind.needs_files])
def test_no_files(call: Call, task: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = call("data", task, name, "--data-root", "empty")
    assert done.code == 2
    assert f"{name}: its files were not found in empty" in done.line and "published at" in done.line
    assert "no data root" in call("data", task, name).line


def test_get_prepares_once(call: Call, norb_root: Path) -> None:
    words = ("data", "get", "smallnorb", "--data-root", str(norb_root), "--json")
    first = json.loads(call(*words).out)
    assert Path(first["cache"]).is_dir() and first["bytes"] > 4 * 64 * 64
    assert json.loads(call(*words).out) == first
    shown = call(*words[:-1]).out
    assert f"ready: {first['cache']}" in shown and "caches lie in" in shown


def test_get_where_nothing_is_to_be_done(call: Call, digits_root: Path) -> None:
    assert "nothing to prepare: it is drawn" in call("data", "get", "triangle").out
    done = call("data", "get", "kmnist", "--data-root", str(digits_root))
    assert "nothing to prepare: it is read as it is" in done.out


def test_get_on_a_full_disk(call: Call, norb_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unweave.data.cache.shutil.disk_usage", lambda path: type("Usage", (), {"free": 10}))
    done = call("data", "get", "smallnorb", "--data-root", str(norb_root))
    assert done.code == 2
    assert "smallnorb: preparing it takes 0.02 GB" in done.line and "nothing was kept" in done.line
    assert not list((norb_root.parent / "cache").glob("*.part"))


def test_training_without_files_is_refused(call: Call) -> None:
    done = call("train", "vae", "--data", "mnist", "--steps", "2")
    assert (done.code, done.out) == (2, "")
    assert "mnist: its files were not found" in done.line
