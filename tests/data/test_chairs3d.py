"""3D Chairs: the folder as published, crops, views from names, spoiled pictures."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from published_files import fuzz

from unweave.data import Chairs3D, chairs3d
from unweave.data.formats.pictures import Rule, decode
from unweave.testing import check_dataset
from unweave.types import UserError

NAMES = ("b663f1e4df6c51fe19fb4103277a6b93", "1016f4debe988507589aae130c1f06fb", "fffda9f09223a21118ff2740a556cc30")


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    for name, value in (("CHAIRS", 3), ("ELEVATIONS", 2), ("AZIMUTHS", 2), ("WIDTH", 60)):
        monkeypatch.setattr(chairs3d, name, value)
    monkeypatch.setenv("UNWEAVE_CACHE", str(tmp_path / "cache"))


def views():
    """(chair, name of the picture, its place among chairs, elevations, azimuths), as they are numbered on the disk."""
    for chair, name in enumerate(NAMES):
        number = 1
        for elevation, degrees in enumerate((20, 30)):
            for azimuth, turn in enumerate((11, 348)):
                yield f"{name}/renders/image_{number:03}_p{degrees:03}_t{turn:03}_r096.png", (chair, elevation, azimuth)
                number += 1


def picture(place):
    return np.random.default_rng(list(place)).integers(0, 256, (60, 60, 3)).astype(np.uint8)


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def root(tmp_path):
    for name, place in views():
        path = tmp_path / "data" / "chairs3d" / "rendered_chairs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(picture(place)))
    (path.parents[2] / "all_chair_names.mat").write_bytes(b"names")
    (path.parent / ".DS_Store").write_bytes(b"x")
    return tmp_path / "data"


def test_rows_go_by_name(root):
    images = Chairs3D().open(root)
    assert images.rows == 12 and images.factors is None
    assert images.levels(torch.arange(3)).shape == (3, 0)
    for row, (_, place) in enumerate(sorted(views())):
        small = Image.fromarray(picture(place)).resize((64, 64), Image.Resampling.LANCZOS).convert("L")
        assert np.array_equal((images.batch(torch.tensor([row]), {})[0, 0] * 255).round().numpy(), np.asarray(small))


def test_views(root):
    images = Chairs3D(views=True, size=32, channels=3).open(root)
    order = sorted(NAMES)
    for name, (_, elevation, azimuth) in views():
        chair = order.index(name.split("/")[0])
        row = images.index(torch.tensor([[chair, elevation, azimuth]]))
        assert row.tolist() == [chair * 4 + elevation * 2 + azimuth]
        with Image.open(root / "chairs3d" / "rendered_chairs" / name) as opened:
            small = np.asarray(opened.resize((32, 32), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
        assert np.array_equal((images.batch(row, {})[0] * 255).round().numpy(), small)


def test_crop(root):
    _, place = min(views())
    x = (Chairs3D(crop=40).open(root).batch(torch.tensor([0]), {})[0, 0] * 255).round().numpy()
    middle = Image.fromarray(picture(place)[10:50, 10:50]).resize((64, 64), Image.Resampling.LANCZOS).convert("L")
    assert np.array_equal(x, np.asarray(middle))


@pytest.mark.parametrize("options", [{}, {"views": True}, {"crop": 40, "size": 28, "channels": 3}], ids=str)
def test_contract(root, options):
    check_dataset(Chairs3D(**options), root)
    assert "3 chairs, each from 2 elevations and 2 azimuths" in Chairs3D(**options).check(root)[-1]


def test_broken(root):
    folder = root / "chairs3d" / "rendered_chairs"
    name = min(views())[0]
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:900])
    with pytest.raises(UserError, match=r"_r096.png: no PNG file, truncated or damaged"):
        Chairs3D().open(root)
    (folder / name).write_bytes(png(picture((0, 0, 0))[:50]))
    with pytest.raises(UserError, match="60 × 50 pixels; expected 60 × 60"):
        Chairs3D().open(root)
    (folder / name).rename(folder / name.replace("_t011", "_t012"))
    (folder / name.replace("_t011", "_t012")).write_bytes(data)
    assert Chairs3D().open(root).rows == 12
    with pytest.raises(UserError, match="3 azimuths; expected every combination"):
        Chairs3D(views=True).open(root)
    (folder / name.replace("_t011", "_t012")).unlink()
    with pytest.raises(UserError, match=r"11 pictures of 3 chairs named as published .* expected 12 of 3"):
        Chairs3D().open(root)
    for wrong in ({"crop": 61}, {"crop": 0}, {"size": 60}, {"channels": 2}):
        with pytest.raises(UserError, match="allowed: crop None or 1 to 60"):
            Chairs3D(**wrong).open(root)
    with pytest.raises(UserError, match="chairs3d: its files were not found"):
        Chairs3D().open(root / "chairs3d" / "rendered_chairs")


def test_spoiled_pictures():
    smooth = np.repeat(np.arange(60, dtype=np.uint8)[:, None, None], 60, 1).repeat(3, 2)
    rule = Rule("PNG", (60, 60), None, 64, "lanczos", "L")

    def read(data):
        assert decode(data, rule, "x.png").shape == (64, 64, 1)

    assert fuzz(png(smooth), read, 400_000, head=200) > 1000
