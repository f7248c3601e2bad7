"""The user's own pictures."""

from __future__ import annotations

import os
import random
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiffs import tiff

from unweave import Experiment, UserError, fit, load
from unweave.data import Folder, Split, dataset
from unweave.data.cache import CACHE_VARIABLE
from unweave.data.folder import pictures
from unweave.data.formats import anyfile
from unweave.data.formats.anyfile import Broken, Look, image_of
from unweave.data.variants import Color
from unweave.engine.experiment import from_json, to_json
from unweave.networks import MLP, Conv
from unweave.testing import check_dataset

LOOK = Look(8, "crop", False)
QUARTERS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))
"""Colours of a test picture: above left, above right, below left, below right."""
SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "in" / "deep").mkdir(parents=True)
    return folder


def quarters(width: int = 32, height: int = 32) -> Image.Image:
    pixels = np.zeros((height, width, 3), np.uint8)
    halves = (slice(0, height // 2), slice(height // 2, None)), (slice(0, width // 2), slice(width // 2, None))
    for k, colour in enumerate(QUARTERS):
        pixels[halves[0][k // 2], halves[1][k % 2]] = colour
    return Image.fromarray(pixels)


def corners(image: np.ndarray) -> list[tuple[int, ...]]:
    last = len(image) - 1
    return [tuple(image[r, c].tolist()) for r in (0, last) for c in (0, last)]


def test_it_keeps_the_rules_of_a_data_set(place: Path) -> None:
    for k in range(5):
        quarters(20 + k, 30).save(place / "in" / f"{k}.png")
    for data in (Folder(place), Folder(place, size=28, grey=True, fit="pad"), Split(Folder(place), fraction=0.6)):
        check_dataset(data)
        assert from_json(to_json(Experiment("vae", data, network=MLP((4,)), steps=1).complete())).data == data
    lines = Folder(place).check()
    assert "5 of 5 pictures can be used" in lines[0] and "as it was written" in lines[-1]


def test_order_kinds_and_what_is_no_picture(place: Path) -> None:
    for k, name in enumerate(("b.PNG", "a.jpeg", "in/c.webp", "in/deep/d.tiff", "in/deep/e.Jpg", "z.tif")):
        Image.new("RGB", (9, 9), (40 * k, 0, 0)).save(place / name, lossless=True)
    (place / "notes.txt").write_text("no picture")
    (place / ".hidden").mkdir()
    for name in (".hidden/x.png", "in/._e.jpg", "b.gif"):
        (place / name).write_bytes(b"no picture")
    (place / "in" / "again").symlink_to(place, target_is_directory=True)
    assert pictures(place).names == ("a.jpeg", "b.PNG", "in/c.webp", "in/deep/d.tiff", "in/deep/e.Jpg", "z.tif")
    images = Folder(place, size=8).open()
    red = images.batch(torch.arange(6), {})[:, 0, 4, 4] * 255
    assert red.round().tolist() == [40, 0, 80, 120, 160, 200]
    assert images.source == f"{place}, 6 pictures" and images.levels(torch.arange(3)).shape == (3, 0)


@pytest.mark.parametrize("kind", ["jpg", "png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_a_camera_noted_is_undone(place: Path, kind: str, orientation: int) -> None:
    undo = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE"}
    undo |= {6: "ROTATE_90", 7: "TRANSVERSE", 8: "ROTATE_270"}
    stored, exif = quarters(64, 96), Image.Exif()
    if orientation in undo:
        stored = stored.transpose(Image.Transpose[undo[orientation]])
    exif[0x0112] = orientation
    stored.save(place / f"x.{kind}", exif=exif, **({"quality": 100, "subsampling": 0} if kind == "jpg" else {}))
    found = corners(image_of(place / f"x.{kind}", LOOK))
    assert np.abs(np.array(found) - np.array(QUARTERS)).max() < 16


def test_a_broken_note_of_the_camera_is_passed_over(place: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    quarters().save(place / "x.jpg", exif=exif, quality=100)
    content = (place / "x.jpg").read_bytes()
    (place / "x.jpg").write_bytes(content.replace(b"II*\0", b"XX*\0").replace(b"MM\0*", b"XX\0*"))
    assert np.abs(np.array(corners(image_of(place / "x.jpg", LOOK))) - np.array(QUARTERS)).max() < 16


MODES = {
    "1": (Image.new("1", (9, 9), 1), (255, 255, 255)),
    "L": (Image.new("L", (9, 9), 77), (77, 77, 77)),
    "LA": (Image.new("LA", (9, 9), (0, 51)), (204, 204, 204)),
    "P": (Image.new("RGB", (9, 9), (250, 0, 9)).convert("P", palette=Image.Palette.ADAPTIVE), (250, 0, 9)),
    "RGBA": (Image.new("RGBA", (9, 9), (255, 0, 0, 0)), (255, 255, 255)),
    "half": (Image.new("RGBA", (9, 9), (255, 0, 0, 51)), (255, 204, 204)),
    "16": (Image.fromarray(np.full((9, 9), 0x8080, np.uint16)), (128, 128, 128)),
    "white16": (Image.fromarray(np.full((9, 9), 0xFFFF, np.uint16)), (255, 255, 255)),
}


@pytest.mark.parametrize("name", MODES)
def test_every_mode_becomes_eight_bits_without_transparency(place: Path, name: str) -> None:
    picture, colour = MODES[name]
    picture.save(place / "x.png")
    assert image_of(place / "x.png", LOOK)[4, 4].tolist() == list(colour)
    grey = image_of(place / "x.png", LOOK._replace(grey=True))
    assert grey.shape == (8, 8, 1) and abs(int(grey[4, 4, 0]) - np.dot(colour, (0.299, 0.587, 0.114))) < 1.5


def test_a_palette_with_a_transparent_colour(place: Path) -> None:
    picture = Image.new("P", (9, 9), 1)
    picture.putpalette([0, 0, 0, 200, 0, 0])
    picture.save(place / "x.png", transparency=1)
    assert image_of(place / "x.png", LOOK)[4, 4].tolist() == [255, 255, 255]


def test_tiffs_of_16_bits_of_real_numbers_and_of_cmyk(place: Path) -> None:
    Image.fromarray(np.full((9, 9), 257 * 9, np.uint16)).save(place / "16.tif")
    Image.new("CMYK", (9, 9), (0, 255, 255, 0)).save(place / "cmyk.tif")
    Image.fromarray(np.full((9, 9), 70_000, np.int32)).save(place / "32.tif")
    Image.fromarray(np.full((9, 9), 0.5, np.float32)).save(place / "real.tif")
    assert image_of(place / "16.tif", LOOK)[0, 0].tolist() == [9, 9, 9]
    assert image_of(place / "cmyk.tif", LOOK)[0, 0].tolist() == [255, 0, 0]
    for name, why in (("32", "from 70000 to 70000"), ("real", "real numbers")):
        with pytest.raises(Broken, match=why):
            image_of(place / f"{name}.tif", LOOK)


def test_tiffs_that_pillow_misreads() -> None:
    ramp = np.linspace(0, 65_535, 8).round().astype(np.uint16)[None].repeat(8, 0)
    colours = np.stack([ramp, ramp[:, ::-1], ramp.T], -1)
    grey = Look(8, "crop", True)
    shown = [round(float(v) / 257) for v in ramp[0]]
    for pixels, meaning in ((ramp, 1), (0xFFFF - ramp, 0), ((ramp // 257).astype(np.uint8), 1)):
        assert np.abs(image_of(tiff(pixels, meaning), grey)[3, :, 0].astype(int) - shown).max() <= 1
    assert image_of(tiff(colours, 2), LOOK)[0, :, 0].tolist() == shown
    for content, why in (
        (tiff(colours, 2, planes=2), "each colour of 16 bits in a plane of its own"),
        (tiff((ramp // 600).astype(np.int8)), "signed numbers of 8 bits"),
        (tiff(ramp.astype(np.float64)), "a TIFF of a kind that is not read; allowed: grey or three colours"),
        (tiff(np.stack([ramp] * 5, -1)), "a TIFF of a kind that is not read"),
        (b"II*", "no PNG, JPEG, WebP or TIFF picture"),
    ):
        with pytest.raises(Broken, match=why):
            image_of(content, LOOK)


def test_pages_that_are_not_read_are_told(place: Path) -> None:
    page = np.zeros((9, 9), np.uint8)
    for k in range(3):
        (place / f"{k}.tif").write_bytes(tiff(page, pages=1 + 2 * (k == 1)))
    (place / "3.tif").write_bytes(b"broken")
    told = "1 of 4 files looked at hold several pictures (pages, frames), as 1.tif: only the first of each is read"
    assert Folder(place, skip_broken=True).describe()["notes"][-1] == told
    (place / "1.tif").unlink()
    assert len(Folder(place, skip_broken=True).describe()["notes"]) == 1


@pytest.mark.parametrize("size", [(60, 20), (20, 60), (3, 3), (700, 500), (1, 9)])
def test_what_of_a_picture_is_shown(place: Path, size: tuple[int, int]) -> None:
    width, height = size
    ramp = np.linspace(0, 255, width)[None, :] + np.zeros((height, 1))
    Image.fromarray(ramp.round().astype(np.uint8)).save(place / "x.png")
    grey = {fit: image_of(place / "x.png", Look(20, fit, True))[:, :, 0].astype(float) for fit in anyfile.FITS}
    side = min(size)
    inside = ramp[0, round((width - side) / 2) : round((width + side) / 2)].mean()
    assert abs(grey["crop"].mean() - inside) < 3 and abs(grey["stretch"].mean() - ramp.mean()) < 3
    shown = (20 * width / max(size)) * (20 * height / max(size)) / 400
    assert abs(grey["pad"].mean() - shown * ramp.mean()) < 4
    assert grey["pad"].shape == (20, 20)


def test_shrinking_looks_at_all_pixels(place: Path) -> None:
    board = (np.indices((1501, 1501)).sum(0) % 2 * 255).astype(np.uint8)
    for name in ("x.png", "x.jpg"):
        Image.fromarray(board).save(place / name)
        assert np.abs(image_of(place / name, Look(32, "crop", True)).astype(int) - 127).max() <= 4


def test_broken_pictures_are_listed_or_left_out(place: Path, tmp_path: Path) -> None:
    for k in range(12):
        quarters().save(place / f"{k:02}.png")
    whole = (place / "00.png").read_bytes()
    (place / "03.png").write_bytes(whole[: len(whole) // 2])
    (place / "05.png").write_text("no picture")
    (place / "07.png").write_bytes(b"")
    Image.new("1", (10_000, 9_000)).save(place / "08.png")
    with pytest.raises(UserError) as caught:
        Experiment("vae", Folder(place), steps=1).complete()
    told = str(caught.value)
    assert "\n" not in told and "4 broken pictures: picture 4, 03.png: damaged (" in told
    assert "picture 6, 05.png: no PNG, JPEG, WebP or TIFF picture" in told and "skip_broken" in told
    assert "10000 × 9000 pixels" in told and "08.png" in told
    data = Folder(place, skip_broken=True)
    assert data.rows == 8 and data.open().source == f"{place}, 8 pictures, 4 broken pictures left out"
    told_lines: list[str] = []
    data.prepare(None, told_lines.append)
    assert "4 broken pictures" in told_lines[-1] and len(data.describe()["notes"]) == 4


def test_files_that_are_not_read_are_told(place: Path) -> None:
    for name in ("a.bmp", "in/b.BMP", "c.gif", "notes.txt", ".d.bmp"):
        (place / name).write_bytes(b"anything")
    with pytest.raises(
        UserError, match=r"no pictures in it; .*files of other kinds, which are not read: 2 \.bmp, 1 \.gif"
    ):
        pictures(place)
    quarters().save(place / "a.png")
    assert Folder(place).describe()["notes"] == ["files of other kinds, which are not read: 2 .bmp, 1 .gif"]
    assert Folder(place).describe()["doubts"] == []


def test_pictures_of_twelve_bits_in_sixteen_are_doubted(place: Path) -> None:
    for k in range(3):
        Image.fromarray(np.full((9, 9), 4095 - k, np.uint16)).save(place / f"{k}.png")
    (doubt,) = Folder(place, size=8).describe()["doubts"]
    assert doubt.startswith("the brightest pixel of 3 images is 16 of 255") and "12 in 16" in doubt
    (place / "a.bmp").write_bytes(b"anything")
    for inside in (Split(Folder(place, size=8), fraction=0.6), Color(Folder(place, size=8, grey=True))):
        told = inside.describe()
        assert told["doubts"] == [doubt] and told["notes"] == ["files of other kinds, which are not read: 1 .bmp"]


def test_a_changed_folder_is_decoded_anew(place: Path) -> None:
    quarters().save(place / "a.png")
    images = Folder(place).open()
    Image.new("RGB", (9, 9), "blue").save(place / "a.png")
    Image.new("RGB", (9, 9), "red").save(place / "b.png")
    again = Folder(place).open()
    assert (images.rows, again.rows) == (1, 2)
    assert again.batch(torch.tensor([0]), {})[0, :, 5, 5].tolist() == [0, 0, 1]


def test_folders_that_look_alike_are_not_taken_for_each_other(place: Path, tmp_path: Path) -> None:
    """Names, sizes and times are equal, as after unpacking two archives: only the place is another."""
    other = tmp_path / "other"
    other.mkdir()
    for folder, shade in ((place, 10), (other, 200)):
        Image.new("L", (8, 8), shade).save(folder / "a.tif")
        os.utime(folder / "a.tif", (1, 1))
    assert (place / "a.tif").stat().st_size == (other / "a.tif").stat().st_size
    seen = [float(Folder(folder).open().batch(torch.tensor([0]), {}).mean() * 255) for folder in (place, other)]
    assert seen == pytest.approx([10, 200])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_no_picture(place: Path) -> None:
    quarters().save(place / "a.png")
    os.mkfifo(place / "b.png")
    assert Folder(place).rows == 1


def test_parts_of_a_folder_follow_it(place: Path) -> None:
    for k in range(20):
        Image.new("L", (8, 8), k).save(place / f"{k}.png")
    part = Split(Folder(place))
    assert part.rows == 18
    for k in range(10):
        (place / f"{k}.png").unlink()
    assert part.rows == part.open().rows == 9
    assert part.open().batch(torch.arange(9), {}).shape[0] == 9


def test_a_check_knows_that_pictures_may_share_their_levels(place: Path) -> None:
    lines = ["file,shade,side"]
    for k in range(30):
        Image.new("L", (8, 8), k).save(place / f"{k}.png")
        lines.append(f"{k}.png,{k % 3},{k % 2}")
    (place / "t.csv").write_text("\n".join(lines))
    for data in (f"{place}:labels=t.csv:train", f"{place}:labels=t.csv:without=shade=1"):
        assert "levels lead to images that have them" in dataset(data).check()


def test_folders_that_are_none(place: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, why in ((tmp_path / "gone", "no such folder"), (tmp_path / "file", "no folder"), (place, "no pictures")):
        with pytest.raises(UserError, match=f"{path}: {why}"):
            Folder(path).open()
    quarters().save(place / "a.png")
    for wrong, why in ((Folder(place, size=3), "size = 3"), (Folder(place, fit="squeeze"), "unknown fit 'squeeze'")):
        with pytest.raises(UserError, match=why):
            wrong.open()
    (place / "a.png").write_text("")
    with pytest.raises(UserError, match="none of 1 images could be used"):
        Folder(place, skip_broken=True).open()


def test_factors_from_a_table(place: Path, tmp_path: Path) -> None:
    table = ["file,size,colour"]
    for k in range(12):
        name = f"in/{k:02}.png"
        quarters(10 + k).save(place / name)
        table.append(f"{name},{(7, 100, 20)[k % 3]},{('red', 'blue')[k // 3 % 2]}")
    (place / "in" / "05.png").write_text("broken")
    (place / "factors.csv").write_text("\n".join(reversed([*table[1:], table[0]])))
    data = Folder(place, labels=Path("factors.csv"), skip_broken=True)
    check_dataset(data)
    assert data.factors.names == ("size", "colour") and data.factors.sizes == (3, 2)
    levels = data.open().levels(torch.arange(11)).tolist()
    wanted = [[(0, 2, 1)[k % 3], (1, 0)[k // 3 % 2]] for k in range(12) if k != 5]
    assert levels == wanted
    run = fit("beta-vae", data, steps=2, batch=4, network=MLP((4,)), latents=2)
    assert run.score(["mig"])["mig"].value >= 0
    assert "size 3, colour 2" in data.check()[-2]


def test_a_full_table_numbers_rows_by_levels(place: Path) -> None:
    lines = ["file,b,a"]
    for k in range(6):
        quarters(10 + k).save(place / f"{k}.png")
        lines.append(f"{k}.png,{5 - k // 2},{k % 2}")
    (place / "f.csv").write_text("\n".join(lines))
    data = Folder(place, labels=Path("f.csv"))
    check_dataset(data)
    assert data.factors.sizes == (3, 2) and data.open().index(torch.tensor([[0, 1]])).tolist() == [1]
    assert torch.equal(data.open().batch(torch.tensor([1]), {}), Folder(place).open().batch(torch.tensor([5]), {}))


@pytest.mark.parametrize("size", [28, 32, 64, 128])
def test_standard_networks_take_it_at_these_sizes(place: Path, size: int) -> None:
    for k in range(4):
        quarters(20 + k).save(place / f"{k}.png")
    run = fit("beta-vae", Folder(place, size=size), network=Conv("standard"), batch=2, steps=1)
    assert run.reconstruct(torch.arange(2))[1].shape == (2, 3, size, size)


def test_networks_say_which_sizes_they_take(place: Path) -> None:
    quarters().save(place / "a.png")
    with pytest.raises(UserError, match="images of 6×6; allowed: at least 8 pixels a side"):
        fit("beta-vae", Folder(place, size=6), network=Conv("standard"), batch=2, steps=1)
    with pytest.raises(UserError, match="size = 2048; allowed: 4 to 1024 pixels"):
        fit("beta-vae", Folder(place, size=2048), batch=2, steps=1)


def test_a_run_on_it_comes_back_from_its_folder(place: Path, tmp_path: Path) -> None:
    for k in range(3):
        quarters(20 + k).save(place / f"{k}.png")
    data = dataset(f"{place}:grey:size=32")
    assert data == dataset(place).__class__(place, size=32, grey=True)
    run = load(fit("vae", data, network=MLP((8,)), batch=2, steps=2, out=tmp_path / "runs").folder.path)
    assert run.data == data and len(run.codes().mean) == 3


def seeds(place: Path) -> dict[str, bytes]:
    made = {}
    exif = Image.Exif()
    exif[0x0112] = 6
    grey = np.arange(400, dtype=np.uint16).reshape(20, 20) * 160
    for name, picture in {
        "rgb.png": quarters(24, 20),
        "palette.png": quarters(24, 20).convert("P"),
        "alpha.png": quarters(20, 24).convert("RGBA"),
        "deep.png": Image.fromarray(grey),
        "rgb.jpg": quarters(24, 20),
        "rgb.webp": quarters(24, 20),
        "rgb.tif": quarters(24, 20),
        "deep.tif": Image.fromarray(grey),
    }.items():
        picture.save(place / name, exif=exif)
        made[name] = (place / name).read_bytes()
    return made


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tif"])
@pytest.mark.filterwarnings("ignore")
def test_broken_files_give_a_reason_or_an_image(place: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = random.Random(kind)
    files = {name: content for name, content in seeds(place).items() if name.endswith(kind)}
    monkeypatch.setattr(anyfile, "LARGEST", 1 << 20)
    good = bad = 0
    tracemalloc.start()
    for _ in range(2000):
        name, content = source.choice(sorted(files.items()))
        mutated = bytearray(content)
        for _ in range(source.choice((1, 1, 2, 8))):
            at = source.randrange(len(mutated)) if source.random() < 0.5 else source.randrange(min(80, len(mutated)))
            mutated[at] = source.choice((0, 255, mutated[at] ^ (1 << source.randrange(8)), source.randrange(256)))
        if source.random() < 0.2:
            del mutated[source.randrange(len(mutated)) :]
        (place / name).write_bytes(mutated)
        try:
            image = image_of(place / name, LOOK)
            assert image.shape == (8, 8, 3) and image.dtype == np.uint8
            good += 1
        except Broken as why:
            assert "\n" not in str(why) and len(str(why)) < 200 and str(place) not in str(why)
            bad += 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert good > 20 and bad > 20
    assert peak < 32 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such names")
def test_a_name_that_no_table_can_hold_is_told_before_anything_starts(place: Path) -> None:
    Path(os.fsdecode(os.fsencode(place) + b"/caf\xe9.png")).write_bytes(b"picture")
    with pytest.raises(UserError, match=r"the name caf.udce9.png is not UTF-8"):
        Folder(place).open()
