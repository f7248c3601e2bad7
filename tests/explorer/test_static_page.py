"""The page that can be mailed: whole in itself, its pictures those of the model."""

from __future__ import annotations

import base64
import io
import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unweave import MLP, Experiment, Folder, Split, fit
from unweave.explorer import Exhibit, static_page
from unweave.explorer.static import FRAMES, explore
from unweave.explorer.summary import frames
from unweave.report.from_run import mailable
from unweave.report.story import Story
from unweave.run import load

SHEET = re.compile(r'<img src="data:image/png;base64,([^"]+)" class="sheet"')


def sheets(html: str) -> list[np.ndarray]:
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in SHEET.findall(html)]


def test_sprites_are_what_the_model_draws(exhibits: list[Exhibit]) -> None:
    one = exhibits[1]
    html = explore(one)
    found = sheets(html)
    units = [unit for unit in one.units(0) if unit.alive]
    assert len(found) == 3 and found[0].shape == (64 * (1 + len(units)), 64 * FRAMES)
    assert re.findall(r'data-row="(\d+)"', html) == [str(1 + place) for place in range(len(units))]
    start = one.summary(0)
    code = one.row(start.row or 0, 0)[0]
    assert np.array_equal(found[0][:64, :64], one.decode([code], 0)[0, ..., 0])
    for place, unit in enumerate(units):
        for at in (0, FRAMES - 1):
            moved = list(code)
            for latent in unit.latents:
                moved[latent] = list(frames(unit, FRAMES))[at]
            picture = found[0][64 * (place + 1) : 64 * (place + 2), 64 * at : 64 * (at + 1)]
            assert np.array_equal(picture, one.decode([moved], 0)[0, ..., 0])


def test_the_page_loads_nothing_and_holds_the_report(exhibits: list[Exhibit]) -> None:
    run = exhibits[0].run
    html = static_page(run, codes=run.codes(100), images=200)
    assert not re.findall(r'(?:src|href)="(?!data:|#|https?://)', html)
    assert not re.findall(r"<(?:script|link|img)[^>]+https?://", html)
    assert "What each latent carries" in html and "How to cite" in html
    assert html.count('type="range"') == len([unit for unit in exhibits[0].units(0) if unit.alive])
    assert html == static_page(run, codes=run.codes(100), images=200), "the same run gives the same bytes"


def test_names_given_by_hand_are_shown(folders: list[Path], exhibits: list[Exhibit]) -> None:
    exhibits[1].name([0, 1], "<b>where</b>")
    html = explore(Exhibit(load(folders[1], device="cpu"), images=200))
    assert "&lt;b&gt;where&lt;/b&gt;" in html and "<b>where" not in html


def test_without_the_data_it_starts_from_samples(exhibits: list[Exhibit], monkeypatch: pytest.MonkeyPatch) -> None:
    from unweave.types import UserError

    def refuse(*_: object) -> None:
        raise UserError("no files here")

    monkeypatch.setattr("unweave.data.triangle.Triangle.open", refuse)
    html = explore(exhibits[0])
    assert len(sheets(html)) == 3 and "sample 1" in html


def test_it_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    place = tmp_path / "of somebody" / "her pictures"
    place.mkdir(parents=True)
    for shade in range(12):
        Image.new("RGB", (16, 16), (20 * shade, 0, 90)).save(place / f"{shade}.png")
    data = Split(Folder(place, size=16), fraction=0.5)
    run = fit(Experiment("vae", data, network=MLP((8,)), steps=2, batch=4), out=tmp_path / "runs")
    html = static_page(run, codes=run.codes(), images=6)
    assert "of somebody" not in html and str(tmp_path) not in html
    assert "her pictures" in html and "Folder(path=Path(&#x27;her pictures&#x27;)" in html


@pytest.mark.parametrize(
    "source, shown",
    [
        ("/srv/acme/dsprites.npz", "dsprites.npz"),
        (
            "drawn, on /srv/secret place/scream.jpg of 215 × 274 pixels",
            "drawn, on scream.jpg of 215 × 274 pixels",
        ),
        (r"D:\some pictures\set.npz, 10 images", "set.npz, 10 images"),
        ("drawn by unweave (3 / 4 of it)", "drawn by unweave (3 / 4 of it)"),
    ],
)
def test_where_pixels_were_read_at_training_is_no_address(source: str, shown: str, exhibits: list[Exhibit]) -> None:
    told = mailable(Story("t", summary={"Pixels from": source}), exhibits[0].run)
    assert told.summary["Pixels from"] == shown


def test_folders_of_a_relative_path_are_left_out_too() -> None:
    run: Any = SimpleNamespace(data=Folder(Path("clients/acme"), labels=Path("clients/acme.csv")), root=None)
    story = Story("t", summary={"Pixels from": "clients/acme, 60 pictures"}, command=f"fit({run.data!r})")
    told = mailable(story, run)
    assert told.summary["Pixels from"] == "acme, 60 pictures" and "clients" not in told.command


def test_paths_with_quotes_and_doubled_slashes_are_left_out_of_commands(tmp_path: Path) -> None:
    for folder, typed in ((tmp_path / "o'brien" / "photos", ""), (tmp_path / "ann" / "photos", "//")):
        folder.mkdir(parents=True)
        run: Any = SimpleNamespace(data=Folder(folder), root=None)
        words = ["unweave", "fit", str(folder).replace("/photos", f"{typed or '/'}photos"), "--out", "my out"]
        told = mailable(Story("t", command=shlex.join(words)), run)
        assert told.command == "unweave fit photos --out 'my out'"
