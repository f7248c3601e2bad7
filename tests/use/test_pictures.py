"""Pictures to codes and back, by the rules of a folder of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import unweave
from unweave import UserError
from unweave.data import MNIST, ArrayFile, Folder, InMemory, Split
from unweave.data.elsewhere import fitting, own_fit
from unweave.run import Run
from unweave.use import Encoded, decode, edit, encode, picture_names, read_table, write_codes, write_pictures
from unweave.use.latents import called, read
from unweave.use.pictures import cut
from use.made import photographs, small


@pytest.fixture(scope="module")
def run() -> Run:
    return small()


@pytest.fixture(scope="module")
def colour(tmp_path_factory: pytest.TempPathFactory) -> Run:
    pictures = photographs(tmp_path_factory.mktemp("pictures"))
    return small(data=Folder(pictures, size=16, fit="pad"))


def test_a_folder_is_encoded_as_it_was_trained_on(colour: Run) -> None:
    path = colour.data.path  # type: ignore[attr-defined]
    found = encode(colour, str(path))
    assert found.names == ("a/1.png", "a/3.jpg", "b/0.png", "b/2.png", "b/4.png") and found.files
    assert torch.equal(found.codes.mean, colour.codes(None).mean)
    assert found.codes.logvar is not None and found.codes.logvar.shape == (5, 3)


def test_a_folder_is_made_to_fit_any_model(run: Run, tmp_path: Path) -> None:
    found = encode(run, photographs(tmp_path))
    grey = Folder(tmp_path, size=64, grey=True).open()
    with torch.no_grad():
        wanted = run.model.encode(grey.batch(torch.arange(5), {})).mean
    assert torch.equal(found.codes.mean, wanted)


def test_parts_and_data_sets(run: Run, tmp_path: Path) -> None:
    photographs(tmp_path)
    part = encode(run, f"{tmp_path}:test=0.6")
    whole = encode(run, tmp_path)
    rows = [whole.names.index(name) for name in part.names]
    assert 0 < len(rows) < 5 and torch.equal(part.codes.mean, whole.codes.mean[rows])
    found = encode(run, "triangle:only=orientation=3")
    levels = run.images.levels(torch.arange(1024))[:, 0]
    assert not found.files and list(map(int, found.names)) == (levels == 3).nonzero()[:, 0].tolist()
    assert found.codes.levels[:, 0].unique().tolist() == [3]


def test_images_of_another_shape_are_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"shapes3d has images of 3×64×64; this model reads 1×64×64; allowed: such"):
        encode(run, "shapes3d")
    np.save(tmp_path / "x.npy", np.zeros((4, 32, 32), np.uint8))
    assert encode(run, str(tmp_path / "x.npy")).codes.mean.shape == (4, 3), "a file is resized as a folder is"
    with pytest.raises(UserError, match=r"latent space 1 \(allowed: 0\)"):
        encode(run, "triangle", space=1)


def test_broken_pictures_are_named_and_can_be_left_out(run: Run, tmp_path: Path) -> None:
    photographs(tmp_path)
    (tmp_path / "a" / "2.png").write_bytes(b"\x89PNG and no more")
    with pytest.raises(UserError, match=r"1 broken pictures: picture 2, a/2.png: .*skip-broken"):
        encode(run, str(tmp_path))
    found = encode(run, f"{tmp_path}:skip-broken")
    assert found.names == ("a/1.png", "a/3.jpg", "b/0.png", "b/2.png", "b/4.png")
    assert len(found.codes.mean) == 5


def test_images_that_are_no_squares(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 255, (6, 16, 24), dtype=np.uint8))
    run = small(data=ArrayFile(tmp_path / "x.npy"))
    found = encode(run, photographs(tmp_path / "pictures"))
    assert found.codes.mean.shape == (5, 3) and decode(run, found.codes.mean).shape == (5, 16, 24, 1)
    assert torch.equal(encode(run, tmp_path / "x.npy").codes.mean, run.codes(None).mean)
    assert edit(run, tmp_path / "pictures" / "a" / "1.png", "z0=1").image.shape == (16, 24, 1)
    assert torch.equal(cut(torch.arange(16.0).view(1, 1, 4, 4), (1, 2, 4))[0, 0], torch.arange(4.0, 12).view(2, 4))


def test_an_array_of_images(colour: Run) -> None:
    images = np.stack([edit(colour, colour.data.path / name).image for name in colour.data.names])  # type: ignore[attr-defined]
    found = encode(colour, images)
    assert torch.allclose(found.codes.mean, colour.codes(None).mean, atol=1e-6) and found.names[1] == "1"
    assert found.codes.logvar is not None and not found.files
    for wrong in (images[0], images[:0], images.astype(float), images[..., :1]):
        with pytest.raises(UserError, match=r"allowed: bytes of shape \('N', 16, 16, 3\)"):
            encode(colour, wrong)


def test_what_fits_is_said_once(tmp_path: Path) -> None:
    inside = fitting(Split(Folder(tmp_path), "train"), (3, 32, 32), "stretch")
    assert inside == Split(Folder(tmp_path, size=32, fit="stretch"), "train")


def test_codes_are_decoded_as_the_model_does(run: Run) -> None:
    z = torch.randn(300, 3)
    with torch.no_grad():
        wanted = torch.sigmoid(run.model.decode(z))
    found = decode(run, z)
    assert found.dtype == np.uint8 and found.shape == (300, 64, 64, 1)
    assert np.abs(found[..., 0] / 255 - wanted[:, 0].numpy()).max() <= 0.5 / 255 + 1e-6
    assert np.array_equal(found, decode(run, z.tolist()))


@pytest.mark.parametrize(
    "codes, told",
    [
        (np.zeros((2, 4)), r"codes of shape \(2, 4\); allowed: \(images, 3\)"),
        (np.zeros(3), "allowed: "),
        (np.zeros((0, 3)), "one or more images"),
        ([[0, 0, float("nan")]], "not finite"),
        ([[0, 0, 1e9]], "beyond ±10,000"),
        ("codes", "allowed: "),
    ],
)
def test_codes_that_are_none(run: Run, codes: Any, told: str) -> None:
    with pytest.raises(UserError, match=told):
        decode(run, codes)


def test_an_edit_moves_what_it_names_and_nothing_else(colour: Run) -> None:
    path = colour.data.path / "a" / "1.png"  # type: ignore[attr-defined]
    found = edit(colour, path, "z1=1.5", "z0+=0.5", "z0-=0.25", "2=-1")
    assert found.after == pytest.approx((found.before[0] + 0.25, 1.5, -1.0), abs=1e-6)
    assert found.before == pytest.approx(colour.codes(None).mean[0].tolist(), abs=1e-6)
    assert np.array_equal(found.edited, decode(colour, [found.after])[0])
    assert np.array_equal(found.made, decode(colour, [found.before])[0])
    same = edit(colour, path.read_bytes(), "z1=1.5")
    assert np.array_equal(same.image, found.image) and edit(colour, found.image, "z0=0").before == found.before
    assert np.array_equal(edit(colour, path).made, edit(colour, path).edited)


def test_names_and_labels_stand_for_latents(tmp_path: Path) -> None:
    run = small(out=tmp_path, latents=4)
    assert run.folder is not None
    summary = {
        "kl": [1.0, 1.0, 1.0, 1.0],
        "nmi": [[0.1, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.4], [0.0, 0.0, 0.3]],
        "low": [-1.0] * 4,
        "high": [1.0] * 4,
        "start": [0.0] * 4,
        "row": 0,
        "images": 9,
    }
    assert called(run, "Z2") == called(run, "2") == (2,)
    with pytest.raises(UserError, match=r"which latent holds 'pos_x' is not known yet; allowed: z0 to z3, or"):
        called(run, "pos_x")
    with pytest.raises(UserError, match=r"no latent 'pos_q' \(allowed: z0 to z3\)"):
        called(run, "pos_q")
    run.folder.write("explorer", {"step": run.step, "spaces": {"0": summary}})
    run.folder.write("names", {"names": {"3": "Smile", "0 1": "pose", "2": "z0"}})
    assert called(run, "smile") == (3,) and called(run, "pose") == (0, 1) and called(run, "pos_x") == (1,)
    assert called(run, "z0") == (2,), "a name that a person gave comes first"
    assert read(run, "smile-=2").value == -2 and read(run, " smile += 1e-1 ").moves
    assert called(run, "pos_y") == (2,), "of two latents that go with a factor the one that tells more of it"
    run.folder.write("names", {"names": {"3": "Smile", "0 1": "pose", "2": "smile"}})
    with pytest.raises(UserError, match=r"'smile' is the name of z3 and z2; allowed: one of them by its number"):
        called(run, "smile")
    with pytest.raises(UserError, match=r"no latent 'smle' — did you mean 'smile'"):
        called(run, "smle")
    with pytest.raises(UserError, match=r"z4; allowed: z0 to z3"):
        called(run, "z4")
    image = np.zeros((64, 64, 1), np.uint8)
    assert edit(run, image, "pose=2").after[:2] == (2, 2)


@pytest.mark.parametrize(
    "text, told",
    [
        ("z1", "allowed: z3=1.5 to set"),
        ("=1", "allowed: z3=1.5 to set"),
        ("z1=+0.5", r"may mean two things; allowed: z1=0.5 to set, z1\+=0.5 to move"),
        ("z1=much", "'much' is no number"),
        ("z1=nan", "'nan' is no number"),
        ("z1=", "'' is no number"),
        ("z1=1e9", "z1 = 1e\\+09; allowed: from -10,000 to 10,000"),
        ("z7=1", "z7; allowed: z0 to z2"),
    ],
)
def test_changes_that_are_none(run: Run, text: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        edit(run, np.zeros((64, 64, 1), np.uint8), text)


def test_pictures_that_cannot_be_edited(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    real = Image.fromarray(np.zeros((8, 8), np.float32), "F") if hasattr(Image, "fromarray") else None
    assert real is not None
    real.save(tmp_path / "f.tif")
    for given, told in (
        (tmp_path / "nothing.png", "no such file"),
        (tmp_path, "no file"),
        (tmp_path / "a.png", "a.png cannot be used: no PNG, JPEG, WebP or TIFF picture"),
        (tmp_path / "f.tif", "pixels are real numbers"),
        (b"", "the picture cannot be used"),
        (np.zeros((8, 8, 1), np.uint8), r"bytes of shape \(64, 64, 1\)"),
        (np.zeros((64, 64, 1)), "a picture of float64"),
    ):
        with pytest.raises(UserError, match=told):
            edit(run, given, "z0=1")


@pytest.mark.parametrize("form", [".csv", ".parquet", ".npz"])
def test_codes_go_through_a_file(form: str, colour: Run, tmp_path: Path) -> None:
    if form == ".parquet":
        pytest.importorskip("duckdb")
    found = encode(colour, colour.data)
    file = tmp_path / f"codes'{form}"
    write_codes(file, found, logvar=True)
    table = read_table(file, 3)
    assert table.names == found.names and table.files and np.array_equal(table.mean.astype("f4"), found.codes.mean)
    write_codes(file, found)
    assert read_table(file, 3).names == found.names
    with pytest.raises(UserError, match=r"this model has 2( |$)"):
        read_table(file, 2)
    with pytest.raises(UserError, match=r"(lacks z3|3 latents); this model has 4"):
        read_table(file, 4)
    write_codes(file, Encoded(("3", "4", "7", "8", "9"), found.codes, False))
    assert read_table(file, 3).names == ("3", "4", "7", "8", "9") and not read_table(file, 3).files
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_an_npz_can_be_scored(colour: Run, tmp_path: Path) -> None:
    from unweave.data.tables import read_codes

    write_codes(tmp_path / "codes.npz", encode(colour, colour.data), logvar=True)
    codes = read_codes(tmp_path / "codes.npz")
    assert codes.logvar is not None and torch.equal(codes.mean, encode(colour, colour.data).codes.mean)


@pytest.mark.parametrize(
    "name, content, told",
    [
        ("a.txt", b"", r"ends in '.txt'.*allowed: .parquet, .csv, .npz"),
        ("no.csv", None, "no such file"),
        ("a.csv", b"", "no table of codes"),
        ("a.csv", b"path,z0,z1,z2\na.png,1,2\n", "all as long"),
        ("a.csv", b"path,z0,z1,z2\na.png,1,2,x\n", "column z2 holds something that is no finite number"),
        ("a.csv", b"path,z0,z1,z2\na.png,1,2,inf\n", "no finite number"),
        ("a.csv", b"path,z0,z1,zz\na.png,1,2,3\n", "lacks z2"),
        ("a.csv", b"\xff\xfe\x00", "cannot be read"),
        ("a.parquet", b"PAR1 and no more", "no Parquet file"),
        ("a.npz", b"PK", "no zip archive"),
    ],
)
def test_files_of_codes_that_are_none(name: str, content: bytes | None, told: str, tmp_path: Path) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("duckdb")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=told) as caught:
        read_table(tmp_path / name, 3)
    assert "\n" not in str(caught.value)


def test_points_have_no_log_variances(tmp_path: Path) -> None:
    run = small("infogan", network=None, latents=10)
    with pytest.raises(UserError, match=r"these codes are points"):
        write_codes(tmp_path / "a.csv", encode(run, "triangle:test=0.99"), logvar=True)


@pytest.mark.parametrize(
    "name", ["../a.png", "/etc/a.png", "a/../../b.png", "C:\\a.png", "a//b.png", "", "./a.png", "..\\a"]
)
def test_names_that_lead_out_of_the_folder(name: str) -> None:
    with pytest.raises(UserError, match=r"leads out of the folder"):
        picture_names([name], True)


def test_names_that_every_system_takes() -> None:
    given = ["a:b.png", "con.jpg", "x.jpg", "x.png", "w. ", "n\x01", "d\\e.png", "l" * 300 + ".png"]
    found = [str(one) for one in picture_names(given, True)]
    assert found[:7] == ["a_b.png", "_con.png", "x.jpg.png", "x.png.png", "w.png", "n_.png", "d/e.png"]
    assert len(found[7]) < 210
    with pytest.raises(UserError, match=r"would both be written"):
        picture_names(["a", "a"], True)
    with pytest.raises(UserError, match=r"would both be written"):
        picture_names(["3", "3"], False)
    assert [str(one) for one in picture_names(["0", "12"], False)] == ["00.png", "12.png"]


def test_pictures_are_written(run: Run, tmp_path: Path) -> None:
    images = decode(run, np.zeros((2, 3)))
    write_pictures(tmp_path / "new", picture_names(["a/b.jpg", "c"], True), images)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "new" / "a" / "b.png")), images[0, ..., 0])
    assert (tmp_path / "new" / "c.png").is_file()


def test_the_public_names() -> None:
    assert unweave.encode is encode and unweave.edit is edit and unweave.decode is decode


def test_rows_of_an_array_are_those_of_its_file(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 64, 64), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    levels = rng.permutation(12)
    lines = [f"{row},{level // 4},{level % 4}" for row, level in enumerate(levels)]
    (tmp_path / "factors.csv").write_text("row,a,b\n" + "\n".join(lines) + "\n", encoding="utf-8")
    found = encode(run, f"{tmp_path}/images.npy:labels=factors.csv")
    assert not found.files and list(map(int, found.names)) == np.argsort(levels).tolist()
    wanted = encode(run, images[np.argsort(levels)][..., None]).codes.mean
    assert torch.allclose(found.codes.mean, wanted, atol=1e-6)


def test_a_table_that_a_spreadsheet_wrote(colour: Run, tmp_path: Path) -> None:
    write_codes(tmp_path / "codes.csv", encode(colour, str(colour.data.path)))  # type: ignore[attr-defined]
    text = (tmp_path / "codes.csv").read_text(encoding="utf-8")
    (tmp_path / "codes.csv").write_text(text, encoding="utf-8-sig")
    found = read_table(tmp_path / "codes.csv", 3)
    assert found.files and found.names[0] == "a/1.png"


def test_pictures_fit_as_those_of_the_training_did(tmp_path: Path) -> None:
    """Through all wrappers; digits are resized, which is none of the ways that pictures have."""
    folder = Folder(tmp_path, fit="pad")
    assert own_fit(folder) == own_fit(Split(Split(folder, part="train"), part="test")) == "pad"
    held = InMemory.of(np.zeros((3, 8, 8), np.uint8))
    assert own_fit(held) == own_fit(Split(held)) == "crop"
    assert own_fit(MNIST()) == own_fit(Split(MNIST(fit="pad"), part="train")) == "crop"
