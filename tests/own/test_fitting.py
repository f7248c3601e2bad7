"""A fit from a folder: what it decides, what it writes, and that it goes on where it was killed."""

from __future__ import annotations

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unweave import auto, own
from unweave.cli import main
from unweave.data import Folder
from unweave.own import Asked, begin
from unweave.own.budget import MOST_MODELS, budget
from unweave.run import load
from unweave.store import RunFolder
from unweave.types import UserError

from .pictures import sprites

SOURCE = str(Path(own.__file__).resolve().parents[2])


def quiet(what: str) -> None:
    pass


def done(asked: Asked, out: Path) -> own.Chosen:
    fitting = begin(asked, out, workers=0, device="cpu", busy=quiet)
    assert fitting.train(workers=0, device="cpu") == []
    return fitting.finish(device="cpu", busy=quiet)


def table(file: Path) -> tuple[list[str], list[list[str]]]:
    with file.open(newline="", encoding="utf-8") as text:
        head, *lines = csv.reader(text)
    return head, lines


def test_everything_is_in_one_folder(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    levels = sprites(photos, 60, side=16)
    asked = Asked(str(photos), latents=3, seeds=3, steps=30)
    found = done(asked, tmp_path / "out")
    head, lines = table(found.codes)
    assert head == ["path", "z0", "z1", "z2"]
    assert [line[0] for line in lines] == sorted(levels) and found.rows == 60
    codes = np.array([[float(value) for value in line[1:]] for line in lines], np.float32)
    run = load(found.model)
    assert np.allclose(codes, run.codes(None).mean, rtol=1e-5, atol=1e-6)
    assert run.experiment.data.shape == (1, 16, 16) and run.experiment.likelihood == "bernoulli"
    assert len(found.agreement) == 3 and found.agreement[run.experiment.key] == max(found.agreement.values())
    page = found.page.read_text(encoding="utf-8")
    assert "photos: what beta-vae found" in page and "Chosen without labels among 3 models" in page
    assert not any(path.name.endswith(".part") for path in (tmp_path / "out").rglob("*"))


def test_a_second_call_computes_nothing(tmp_path: Path) -> None:
    sprites(tmp_path / "photos", 40, side=12)
    asked = Asked(str(tmp_path / "photos"), latents=2, seeds=2, steps=10)
    out = tmp_path / "out"
    first = done(asked, out)
    stamps = {
        path: path.stat().st_mtime_ns for path in out.rglob("*") if path.suffix in (".safetensors", ".csv", ".html")
    }
    again = done(asked, out)
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert again.run.experiment == first.run.experiment and again.agreement == first.agreement


def test_another_fit_or_other_pictures_are_refused_in_the_same_folder(tmp_path: Path) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    sprites(photos, 30, side=12)
    asked = Asked(str(photos), latents=2, seeds=2, steps=4)
    assert begin(asked, out, workers=0, busy=quiet).fresh
    assert not begin(asked, out, workers=0, busy=quiet).fresh
    with pytest.raises(UserError, match="holds a fit with latents = 2, not 3"):
        begin(Asked(str(photos), latents=3, seeds=2, steps=4), out, workers=0, busy=quiet)
    sprites(photos / "more", 1, side=12)
    with pytest.raises(UserError, match="that the fit in"):
        begin(asked, out, workers=0, busy=quiet)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds something else"):
        begin(asked, other, workers=0, busy=quiet)


def test_what_was_decided_outlasts_a_change_of_the_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sprites(tmp_path / "photos", 30, side=12)
    asked = Asked(str(tmp_path / "photos"), latents=2, seeds=2, steps=4)
    first = begin(asked, tmp_path / "out", workers=0, busy=quiet)
    monkeypatch.setattr(own.fitting, "choose", None)
    assert begin(asked, tmp_path / "out", workers=0, busy=quiet).experiments == first.experiments


def test_the_time_there_is_decides_on_models_and_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sprites(tmp_path / "photos", 30, side=12)
    monkeypatch.setattr("unweave.own.trial.SECONDS", 0.2)
    monkeypatch.setattr(own.fitting, "pace", lambda *given, **more: (0.01, 2))
    asked = Asked(str(tmp_path / "photos"), latents=2, minutes=2)
    fitting = begin(asked, tmp_path / "out", spent=6.0, busy=quiet)
    assert fitting.budget == budget(90.0, 0.01, 2)
    assert fitting.first.steps == fitting.budget.steps and len(fitting.experiments) == fitting.budget.models


def test_a_trial_tells_the_pace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sprites(tmp_path / "photos", 20, side=12)
    one = begin(Asked(str(tmp_path / "photos"), seeds=2, steps=3), tmp_path / "out", workers=0, busy=quiet).first
    pace = own.trial.pace(one, tmp_path / "trial", workers=0, device="cpu")
    assert 0 < pace[0] < 5 and pace[1] == 1


def test_more_time_never_gives_less() -> None:
    for workers in (1, 2, 3, 8):
        found = [budget(seconds, 0.02, workers) for seconds in (1, 10, 60, 200, 400, 1000, 10_000)]
        assert [one.models for one in found] == sorted(one.models for one in found)
        assert found[-1].models == MOST_MODELS


@pytest.mark.parametrize(
    "change, says",
    [
        ({"minutes": 0.0}, "minutes = 0"),
        ({"seeds": 0}, "seeds = 0"),
        ({"steps": -3}, "steps = -3"),
        ({"method": "devea"}, "did you mean 'devae'"),
        ({"latents": 0}, "latents = 0"),
        ({}, "has 5 images; allowed: 10 or more"),
    ],
)
def test_what_cannot_be_is_said(change: dict[str, object], says: str, tmp_path: Path) -> None:
    sprites(tmp_path / "photos", 5, side=12)
    asked = Asked(**{"data": str(tmp_path / "photos"), "seeds": 2, "steps": 2, **change})  # type: ignore[arg-type]
    with pytest.raises(UserError, match=says):
        begin(asked, tmp_path / "out", workers=0, busy=quiet)


def test_colours_sizes_and_few_pictures(tmp_path: Path) -> None:
    from PIL import Image

    chance = np.random.default_rng(0)
    for side, name in ((28, "small"), (128, "large")):
        place = tmp_path / name
        place.mkdir()
        for number in range(12):
            colour = Image.fromarray(chance.integers(0, 256, (4, 4, 3), dtype=np.uint8))
            colour.resize((side, side)).save(place / f"{number}.jpg")
        words = f"{place}:size=128" if side == 128 else str(place)
        asked = Asked(words, latents=2, seeds=2, steps=3)
        found = done(asked, tmp_path / f"{name}-out")
        assert found.run.experiment.data.shape == (3, side, side) and found.rows == 12
        assert found.run.experiment.likelihood == "squared"


def test_killed_and_given_again_it_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    sprites(photos, 40, side=12)
    words = ["fit", str(photos), "--latents", "2", "--seeds", "2", "--steps", "150", "--workers", "0"]
    environment = {**os.environ, "PYTHONPATH": SOURCE}

    def start(out: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "unweave", *words, "--out", str(tmp_path / out), "--json"]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    killed = start("out")
    runs = tmp_path / "out" / "runs"
    end = time.monotonic() + 120
    while time.monotonic() < end and killed.poll() is None:
        if any(RunFolder(one).rows() for one in runs.glob("*")):
            break
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    finished = [one for one in runs.glob("*") if RunFolder(one).rows()]
    assert finished and not (tmp_path / "out" / "model").exists(), "it was killed midway"
    stamps = [(one / "checkpoint.safetensors").stat().st_mtime_ns for one in finished]
    again = start("out")
    said, wrong = again.communicate()
    assert again.returncode == 0, wrong
    assert [(one / "checkpoint.safetensors").stat().st_mtime_ns for one in finished] == stamps
    document = json.loads(said)
    whole = done(Asked(str(photos), latents=2, seeds=2, steps=150), tmp_path / "whole")
    assert whole.run.experiment.key == document["key"]
    assert table(whole.codes) == table(Path(document["codes"]))


def test_a_model_that_was_moved_is_written_again(tmp_path: Path) -> None:
    sprites(tmp_path / "photos", 40, side=12)
    asked = Asked(str(tmp_path / "photos"), latents=2, seeds=1, steps=4)
    first = done(asked, tmp_path / "out")
    first.model.rename(tmp_path / "mine")
    again = done(asked, tmp_path / "out")
    assert again.model.is_dir() and again.run.experiment.key == first.run.experiment.key


def test_the_same_folder_in_other_words_goes_on(tmp_path: Path) -> None:
    sprites(tmp_path / "photos", 30, side=12)
    asked = Asked(f"{tmp_path}/photos", latents=2, seeds=1, steps=4)
    assert begin(asked, tmp_path / "out", workers=0, busy=quiet).fresh
    assert not begin(replace(asked, data=f"{tmp_path}/photos/"), tmp_path / "out", workers=0, busy=quiet).fresh
    sprites(tmp_path / "others", 30, side=12)
    with pytest.raises(UserError, match="holds a fit with data"):
        begin(replace(asked, data=f"{tmp_path}/others"), tmp_path / "out", workers=0, busy=quiet)


def test_the_pages_command_makes_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sprites(Path("photos"), 40, side=12)
    asked = Asked("photos", method="vae", latents=2, seeds=1, steps=4)
    found = done(asked, Path("out"))
    command = "unweave fit photos --method vae --latents 2 --seeds 1 --steps 4 --out out"
    assert command in found.page.read_text(encoding="utf-8")
    assert main(shlex.split(command)[1:]) == 0
    assert done(asked, Path("out")).run.experiment.key == found.run.experiment.key


def test_the_page_names_no_folder_of_the_machine(tmp_path: Path) -> None:
    sprites(tmp_path / "photos", 40, side=12)
    found = done(Asked(str(tmp_path / "photos"), method="vae", latents=2, seeds=1, steps=4), tmp_path / "out")
    page = found.page.read_text(encoding="utf-8")
    assert str(tmp_path) not in page and "unweave fit photos --method vae" in page


def test_another_file_of_the_same_name_is_refused(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 12, 12), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    asked = Asked(str(tmp_path / "images.npy"), method="vae", latents=2, seeds=1, steps=4)
    assert begin(asked, tmp_path / "out", workers=0, busy=quiet).fresh
    assert not begin(asked, tmp_path / "out", workers=0, busy=quiet).fresh
    np.save(tmp_path / "images.npy", images[:30])
    with pytest.raises(UserError, match="are not the 40 that the fit in"):
        begin(asked, tmp_path / "out", workers=0, busy=quiet)


def test_a_part_of_a_folder_is_made_to_fit_too(tmp_path: Path) -> None:
    sprites(tmp_path / "photos", 60, side=16)
    assert own.looked_at(f"{tmp_path}/photos:train").shape == (1, 16, 16)


def test_colours_are_looked_for_in_the_whole_folder(tmp_path: Path) -> None:
    place = tmp_path / "photos"
    place.mkdir()
    for k in range(127):
        Image.new("RGB", (8, 8), "gray" if k < 64 else "red").save(place / f"{k:03}.png")
    found = auto.fitted(Folder(place))
    assert isinstance(found, Folder) and not found.grey
