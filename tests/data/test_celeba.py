"""CelebA: pictures, attributes and parts as published, crops, spoiled pictures and texts."""

import io
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image
from published_files import fuzz

from unweave.data import CelebA, celeba
from unweave.data.formats import celeba as texts
from unweave.data.formats.pictures import Rule, decode
from unweave.testing import check_dataset
from unweave.types import UserError

COUNTS = {"train": 9, "valid": 4, "test": 3}
PARTS = [0, 1, 2, 0] * 3 + [1, 0, 0, 0]


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    monkeypatch.setattr(celeba, "COUNTS", COUNTS)
    monkeypatch.setenv("UNWEAVE_CACHE", str(tmp_path / "cache"))


def picture(number):
    """A smooth picture, so that JPEG keeps it nearly as it is."""
    y, x = np.mgrid[:218, :178]
    channels = [(x + 5 * number) % 256, y, (x + y) // 2]
    return np.stack(channels, 2).astype(np.uint8)


def jpeg(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def signs():
    return np.random.default_rng(0).integers(0, 2, (16, 40))


def attributes():
    lines = ["16", " ".join(celeba.ATTRIBUTES) + " "]
    lines += [f"{k + 1:06}.jpg " + " ".join(f"{2 * sign - 1:2d}" for sign in row) for k, row in enumerate(signs())]
    return "\n".join(lines) + "\n"


def parts():
    return "".join(f"{k + 1:06}.jpg {part}\n" for k, part in enumerate(PARTS))


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "data" / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    for k in range(16):
        (folder / "img_align_celeba" / f"{k + 1:06}.jpg").write_bytes(jpeg(picture(k)))
    (folder / "list_attr_celeba.txt").write_text(attributes())
    (folder / "list_eval_partition.txt").write_text(parts())
    return tmp_path / "data"


def test_attributes_and_parts(root):
    images = CelebA().open(root)
    assert images.rows == 16 and len(images.factors.names) == 40
    assert np.array_equal(images.levels(torch.arange(16)).numpy(), signs())
    smiling = CelebA(attributes=("Smiling", "Male")).open(root)
    columns = [celeba.ATTRIBUTES.index(name) for name in ("Smiling", "Male")]
    assert np.array_equal(smiling.levels(torch.arange(16)).numpy(), signs()[:, columns])
    for number, (part, count) in enumerate(COUNTS.items()):
        some = CelebA(part).open(root)
        rows = np.flatnonzero(np.array(PARTS) == number)
        assert some.rows == CelebA(part).rows == count == len(rows)
        assert np.array_equal(some.levels(torch.arange(count)).numpy(), signs()[rows])
        assert torch.equal(some.batch(torch.arange(count), {}), images.batch(torch.from_numpy(rows), {}))
    with pytest.raises(UserError, match="no image has levels"):
        images.index(torch.zeros(1, 40, dtype=torch.long))


def test_crops(root):
    for crop, box in ((178, (0, 20, 178, 198)), (148, (15, 35, 163, 183)), (None, (0, 0, 178, 218))):
        for size in (64, 128):
            images = CelebA(crop=crop, size=size).open(root)
            with Image.open(root / "celeba" / "img_align_celeba" / "000003.jpg") as opened:
                wanted = opened.convert("RGB").crop(box).resize((size, size), Image.Resampling.BILINEAR)
            x = (images.batch(torch.tensor([2]), {})[0] * 255).round().numpy().transpose(1, 2, 0)
            assert np.array_equal(x, np.asarray(wanted))


@pytest.mark.parametrize(
    "options", [{}, {"part": "train"}, {"crop": 148, "size": 32, "attributes": ("Male",)}], ids=str
)
def test_contract(root, options):
    check_dataset(CelebA(**options), root)


def test_archive(root):
    folder = root / "celeba" / "img_align_celeba"
    with zipfile.ZipFile(root / "celeba" / "img_align_celeba.zip", "w") as archive:
        archive.writestr("img_align_celeba/", b"")
        for path in sorted(folder.iterdir()):
            archive.write(path, f"img_align_celeba/{path.name}")
    from_folder = CelebA().open(root).batch(torch.arange(16), {})
    for path in folder.iterdir():
        path.unlink()
    images = CelebA().open(root)
    assert images.source.endswith(".zip") and torch.equal(images.batch(torch.arange(16), {}), from_folder)


def test_check(root, monkeypatch):
    lines = CelebA().check(root)
    assert "16 images" in lines[0] and "every picture decoded again" in lines[2]
    (root / "celeba" / "list_eval_partition.txt").write_text(parts().replace("000001.jpg 0", "000001.jpg 2"))
    with pytest.raises(UserError, match="8 pictures in part 'train'; expected 9"):
        CelebA().check(root)


def changed(name, change):
    def do(folder):
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return do


A, P = "list_attr_celeba.txt", "list_eval_partition.txt"
BROKEN = {
    "count": (changed(A, lambda d: b"15" + d[2:]), "line 1 is '15'; expected the number of pictures, 16"),
    "names": (changed(A, lambda d: d.replace(b"Bald", b"Bold")), "40 names, among them 'Bold'"),
    "order": (changed(A, lambda d: d.replace(b"Bald Bangs", b"Bangs Bald")), "40 names, in another order"),
    "sign": (changed(A, lambda d: d[:-3] + b"2\n"), "line 18 is '000016.jpg.*expected 000016.jpg and 40 times -1 or 1"),
    "line": (changed(A, lambda d: d + b"more\n"), "19 lines; expected 18"),
    "not text": (changed(A, lambda d: bytes(1 << 20)), "more than 9,216 bytes"),
    "file": (changed(A, lambda d: d.replace(b"000004.jpg", b"000005.jpg")), "line 6 is '000005.jpg"),
    "picture gone": (
        lambda folder: (folder / "img_align_celeba" / "000007.jpg").unlink(),
        "1 of 16 pictures are missing, first 000007.jpg",
    ),
    "picture cut": (changed("img_align_celeba/000007.jpg", lambda d: d[:2000]), "000007.jpg: no JPEG file, truncated"),
    "other size": (
        changed("img_align_celeba/000007.jpg", lambda d: jpeg(picture(1)[:100])),
        "178 × 100 pixels; expected 178 × 218",
    ),
    "a PNG": (changed("img_align_celeba/000007.jpg", lambda d: b"\x89PNG\r\n\x1a\n" + d), "000007.jpg: no JPEG file"),
    "huge": (changed("img_align_celeba/000007.jpg", lambda d: d + bytes(1 << 22)), "more than 4,194,304 bytes"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken(root, case):
    change, message = BROKEN[case]
    change(root / "celeba")
    with pytest.raises(UserError, match=message) as error:
        CelebA().open(root)
    assert "\n" not in str(error.value)


def test_settings(root):
    for options, message in (
        ({"part": "training"}, "'training' — did you mean 'train'"),
        ({"attributes": ("Smile",)}, "did you mean 'Smiling'"),
        ({"attributes": ("Male", "Male")}, "each attribute once"),
        ({"size": 65}, "size = 65"),
        ({"crop": 179}, "crop = 179"),
    ):
        with pytest.raises(UserError, match=message):
            CelebA(**options).open(root)
    (root / "celeba" / P).unlink()
    with pytest.raises(UserError, match=r"celeba: its files were not found .*list_eval_partition.txt"):
        CelebA().open(root)


def test_spoiled_pictures():
    rule = Rule("JPEG", (178, 218), 178, 64, "bilinear", "RGB")

    def read(data):
        assert decode(data, rule, "x.jpg").shape == (64, 64, 3)

    # Pillow keeps three copies of the picture; the decoder's own memory is bounded by the size, checked before.
    assert fuzz(jpeg(picture(1)), read, 3 * 178 * 218 * 4, head=700) > 100


def test_spoiled_texts(tmp_path):
    names = [f"{k + 1:06}.jpg" for k in range(16)]
    path = tmp_path / "text"

    def read(data):
        path.write_bytes(data)
        assert set(np.unique(texts.read_attributes(path, celeba.ATTRIBUTES, names))) <= {0, 1}

    def read_parts(data):
        path.write_bytes(data)
        assert texts.read_parts(path, names).max() <= 2

    assert fuzz(attributes().encode(), read, 200_000, count=500, head=1000) > 350
    assert fuzz(parts().encode(), read_parts, 100_000, count=1000, head=1000) > 700
