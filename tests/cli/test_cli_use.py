"""The verbs encode, decode and edit, and export to a model and to ONNX."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unweave.run import load
from unweave.store import RunFolder
from use.made import photographs

from .conftest import Call


def pixels(path: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(Path(path).read_bytes())))


def first(runs: Path) -> Path:
    return min(runs.iterdir())


def test_a_folder_there_and_back(call: Call, runs: Path, tmp_path: Path) -> None:
    photographs(tmp_path / "photos")
    folder = first(runs)
    done = call("encode", folder.name[:6], "photos", "--out", "codes.csv", "--logvar")
    assert (done.code, done.err) == (0, "") and "wrote codes.csv: 5 rows, 3 latents and their log-variances" in done.out
    with Path("codes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "z0", "z1", "z2", "z0_logvar", "z1_logvar", "z2_logvar"]
    assert [row["path"] for row in rows] == ["a/1.png", "a/3.jpg", "b/0.png", "b/2.png", "b/4.png"]
    done = call("decode", str(folder), "codes.csv", "--out", "made")
    assert (done.code, done.err) == (0, "") and "wrote 5 pictures to made" in done.out
    names = sorted(str(path.relative_to("made")) for path in Path("made").rglob("*.png"))
    assert names == ["a/1.png", "a/3.png", "b/0.png", "b/2.png", "b/4.png"]
    assert pixels("made/a/3.png").shape == (64, 64)
    told = json.loads(call("encode", str(folder), "photos", "--out", "codes.npz", "--json").out)
    assert told == {"run": str(folder), "file": "codes.npz", "rows": 5, "latents": 3, "space": 0, "notes": []}
    assert call("score", "--codes", "codes.npz", "--metrics", "gaussian-tc").code in (0, 2)


def test_a_data_set(call: Call, runs: Path) -> None:
    told = json.loads(call("encode", "last", "triangle:test=0.9", "--out", "a.csv", "--json").out)
    assert told["rows"] == 102
    assert Path("a.csv").read_text(encoding="utf-8").startswith("row,z0,z1,z2\n")
    assert call("decode", "last", "a.csv", "--out", "made").code == 0 and len(list(Path("made").iterdir())) == 102


def test_edit(call: Call, runs: Path, tmp_path: Path) -> None:
    photographs(tmp_path / "photos")
    folder = first(runs)
    RunFolder(folder).write("names", {"names": {"2": "tilt"}})
    words = ("edit", str(folder), "photos/a/1.png", "--set", "z1=1.5", "tilt+=0.5", "--set", "0-=1")
    done = call(*words, "--out", "edited.png")
    assert (done.code, done.err) == (0, "") and "z2 (tilt)" in done.out and "→ 1.500" in done.out
    assert pixels("edited.png").shape == (64, 64)
    told = json.loads(call(*words, "--beside", "--out", "beside.png", "--json").out)
    assert told["changed"] == [0, 1, 2] and told["after"][1] == 1.5
    assert told["after"][2] == pytest.approx(told["before"][2] + 0.5)
    assert pixels("beside.png").shape == (192, 3 * 192 + 2 * 8)
    found = pixels("beside.png")[::3, 2 * 200 :: 3]
    assert np.array_equal(found, pixels("edited.png"))


def test_export_of_a_model_that_is_then_used(call: Call, runs: Path, tmp_path: Path) -> None:
    folder = first(runs)
    assert call("score", str(folder), "--metrics", "mig", "--images", "50").code == 0
    done = call("export", str(folder), "--model", "model", "--licence", "mit")
    assert (done.code, done.err) == (0, "")
    assert "wrote model" in done.out and "next: unweave push model USER/NAME" in done.out
    step = load(folder).step
    shutil.rmtree(runs)
    assert load("model").step == step
    photographs(tmp_path / "photos", 2)
    assert call("encode", "model", "photos", "--out", "a.csv").code == 0
    assert call("score", "model", "--metrics", "sap", "--images", "50").code == 0
    assert call("report", "model", "--images", "50").code == 0 and Path("model/report.html").is_file()
    assert call("export", "model", "--html", "--images", "50").code == 0
    told = json.loads(call("export", "model", "--model", "model", "--json").out)
    assert {"README.md", "config.json", "model.safetensors", "scores.json"} <= set(told["files"])
    assert "is left as it is" in call("export", "model", "--model", "model").out


MISTAKES = {
    "encode": ("encode", "no run named"),
    "encode what": ("encode last", "nothing to encode named; allowed: a folder of pictures"),
    "encode to where": ("encode last photos", "no --out given; allowed: a file to write, such as --out codes.csv"),
    "encode to a form": ("encode last photos --out codes.txt", "ends in '.txt' (allowed: .parquet, .csv, .npz)"),
    "encode nothing": ("encode last photos --out a.csv", "unknown data set 'photos'"),
    "encode other images": ("encode last shapes3d --out a.csv", "this model reads 1×64×64"),
    "encode nowhere": ("encode last triangle --out no/a.csv", "cannot write no/a.csv"),
    "encode a space": ("encode last triangle --out a.csv --space 1", "latent space 1"),
    "encode option": ("encode last triangle --ot a.csv", "did you mean --out?"),
    "decode": ("decode last", "allowed: unweave decode RUN codes.csv --out FOLDER"),
    "decode nothing": ("decode last codes.csv --out made", "codes.csv: no such file"),
    "edit": ("edit last", "edit what, and how? allowed: unweave edit RUN PICTURE --set z3=1.5"),
    "edit nothing": ("edit last a.png --set z0=1 --out b.png", "a.png: no such file"),
    "edit to a form": ("edit last a.png --set z0=1 --out b.jpg", "ends in '.jpg'; allowed: .png"),
    "edit to nowhere": ("edit last a.png --set z0=1", "no --out given"),
    "edit a latent": ("edit last a.png --set z9=1 --out b.png", "z9; allowed: z0 to z2"),
    "edit both ways": ("edit last a.png --set z1=+1 --out b.png", "may mean two things; allowed: z1=1 to set, z1+=1"),
    "export": ("export last", "allowed: --html, --model FOLDER or --onnx FOLDER"),
    "export over something": ("export last --model .", "holds other files"),
    "export a licence": ("export last --model m --licence MY,OWN", "allowed: an identifier in small letters"),
    "push": ("push last", "allowed: unweave push RUN user/name"),
    "push a name": ("push last name", "is no name of a model; allowed: user/name"),
    "pull": ("pull", "no model named"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_told_in_one_line(case: str, call: Call, runs: Path) -> None:
    words, told = MISTAKES[case]
    before = sorted(Path().rglob("*"))
    done = call(*words.split())
    assert done.code == 2 and told in done.line
    assert sorted(Path().rglob("*")) == before


def test_a_tampered_model_is_told_in_one_line(call: Call, runs: Path) -> None:
    assert call("export", "last", "--model", "model").code == 0
    Path("model/config.json").write_text('{"library": "unweave", "format": 1, "run": "x"}')
    done = call("encode", "model", "triangle", "--out", "a.csv")
    assert done.code == 2 and "unknown field 'run'" in done.line
