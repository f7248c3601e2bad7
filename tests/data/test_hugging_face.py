"""A column of pictures in a data set of Hugging Face's library."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from unweave import UserError, fit
from unweave.data import Folder, HuggingFace, dataset
from unweave.data.cache import CACHE_VARIABLE
from unweave.networks import MLP
from unweave.testing import check_dataset

datasets: Any = pytest.importorskip("datasets")
COUNT = 12


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    silent = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    yield
    if not silent:
        datasets.enable_progress_bars()


def picture(k: int) -> bytes:
    content = io.BytesIO()
    kinds = ("PNG", "JPEG")
    pixels = np.full((20 + k, 30, 3), (20 * k, 0, 255 - 20 * k), np.uint8)
    Image.fromarray(pixels).save(content, kinds[k % 2])
    return content.getvalue()


def table(broken: int | None = None) -> Any:
    kinds = {"image": datasets.Image(), "size": datasets.Value("int64"), "kind": datasets.Value("string")}
    content = [picture(k) if k != broken else b"no picture" for k in range(COUNT)]
    columns = {
        "image": [{"bytes": one, "path": None} for one in content],
        "size": [100 - k // 2 * 10 for k in range(COUNT)],
        "kind": ["ab"[k % 2] for k in range(COUNT)],
    }
    return datasets.Dataset.from_dict(columns, features=datasets.Features(kinds))


@pytest.fixture
def saved(tmp_path: Path) -> dict[str, Path]:
    places = {name: tmp_path / name for name in ("folder", "splits", "x.parquet")}
    table().save_to_disk(str(places["folder"]))
    datasets.DatasetDict({"train": table(), "test": table().select(range(3))}).save_to_disk(str(places["splits"]))
    table().to_parquet(str(places["x.parquet"]))
    return places


def test_pictures_are_those_of_a_folder_of_the_same_files(saved: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for k in range(COUNT):
        (tmp_path / "photos" / f"{k:02}.{('png', 'jpg')[k % 2]}").write_bytes(picture(k))
    rows = torch.arange(COUNT)
    wanted = Folder(tmp_path / "photos", size=16).open().batch(rows, {})
    for path, split in ((saved["folder"], None), (saved["splits"], "train"), (saved["x.parquet"], None)):
        data = HuggingFace(path, split=split, size=16)
        check_dataset(data)
        assert torch.equal(data.open().batch(rows, {}), wanted)
        assert f"{COUNT} of {COUNT} pictures can be used" in data.check()[0]
    assert HuggingFace(saved["splits"], split="test").rows == 3


def test_columns_are_factors(saved: dict[str, Path]) -> None:
    data = dataset(f"{saved['folder']}:size=16:labels=size,kind")
    assert data == HuggingFace(saved["folder"], size=16, labels=("size", "kind"))
    check_dataset(data)
    assert data.factors is not None and data.factors.sizes == (6, 2)
    assert data.open().levels(torch.arange(3)).tolist() == [[0, 0], [0, 1], [1, 0]], "every combination has one image"
    whole = HuggingFace(saved["folder"], size=16).open().batch(torch.tensor([10]), {})
    assert torch.equal(data.open().batch(torch.tensor([0]), {}), whole), "the last two have the smallest size"
    assert fit("beta-vae", data, steps=2, batch=4, network=MLP((4,)), latents=2).score(["mig"])["mig"].value >= 0


def test_what_words_find(saved: dict[str, Path]) -> None:
    assert dataset(f"{saved['x.parquet']}:grey") == HuggingFace(saved["x.parquet"], grey=True)
    assert dataset(f"{saved['splits']}:split=test") == HuggingFace(saved["splits"], split="test")


def test_broken_pictures_are_listed_or_left_out(tmp_path: Path) -> None:
    table(broken=3).save_to_disk(str(tmp_path / "x"))
    with pytest.raises(UserError, match=r"1 broken pictures: picture 4: no PNG, JPEG, WebP or TIFF picture"):
        HuggingFace(tmp_path / "x").open()
    data = HuggingFace(tmp_path / "x", skip_broken=True, labels=("kind",))
    assert data.rows == COUNT - 1 and data.open().levels(torch.arange(4))[:, 0].tolist() == [0, 1, 0, 0]
    kinds = datasets.Features({"image": datasets.Image()})
    away = datasets.Dataset.from_dict({"image": [{"bytes": None, "path": str(tmp_path / "a.png")}]}, features=kinds)
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    away.to_parquet(str(tmp_path / "x.parquet"))
    (tmp_path / "a.png").rename(tmp_path / "b.png")
    with pytest.raises(UserError, match="none of 1 images could be used"):
        HuggingFace(tmp_path / "x.parquet", skip_broken=True).open()


def test_mistakes_are_one_line(saved: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "y.parquet").write_bytes(b"no table")
    for data, why in (
        (HuggingFace(saved["splits"]), "several splits; allowed: split = train or test"),
        (HuggingFace(saved["splits"], split="tset"), "unknown split 'tset' — did you mean 'test'"),
        (HuggingFace(saved["folder"], column="imgae"), "unknown column of pictures 'imgae' — did you mean 'image'"),
        (HuggingFace(saved["folder"], labels=("sise",)), "unknown column 'sise' — did you mean 'size'"),
        (HuggingFace(saved["folder"], size=3), "size = 3"),
        (HuggingFace(tmp_path / "gone"), "no such data set"),
        (HuggingFace(tmp_path / "y.parquet"), "not a data set that datasets can read"),
    ):
        with pytest.raises(UserError, match=why) as caught:
            data.open()
        assert "\n" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"pip install datasets"):
        HuggingFace(saved["folder"]).open()
