"""``unweave fit``: what it says before, meanwhile and in the end."""

from __future__ import annotations

import errno
import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unweave.cli.entry import VERBS
from unweave.store import StoreError

from .conftest import Call

SMALL = ("--latents", "2", "--seeds", "2", "--steps", "6", "--workers", "0")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    place = tmp_path / "my photos"
    chance = np.random.default_rng(0)
    for number in range(20):
        folder = place / str(number % 2)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(chance.integers(0, 256, (12, 12), dtype=np.uint8)).save(folder / f"{number}.png")
    return place


def test_it_tells_what_it_does_and_what_to_do_next(call: Call, photos: Path) -> None:
    done = call("fit", "my photos", *SMALL)
    assert (done.code, done.err) == (0, "")
    assert "fit my photos: 20 images of 1×12×12, grey" in done.out
    assert "2 models of 6 steps of 20 images" in done.out and "information freezes at β = " in done.out
    assert "of 2 latents, nats of each" in done.out or "none of 2 latents" in done.out
    assert "codes.csv: 20 rows" in done.out
    out = photos.parent / "my-photos-unweave"
    assert {path.name for path in out.iterdir() if path.name[0] != "."} == {
        "codes.csv",
        "fit.json",
        "model",
        "report.html",
        "runs",
    }
    again = call("fit", "my photos", *SMALL)
    assert again.code == 0 and "goes on, 2 of 2 models are done" in again.out


def test_the_commands_that_it_ends_with_work_when_pasted(call: Call, photos: Path) -> None:
    out = call("fit", "my photos", *SMALL).out
    lines = out[out.index("three things to do next:") :].splitlines()[1:4]
    page, explore, encode = (shlex.split(line[22:]) for line in lines)
    assert page[0] == sys.executable and page[1:3] == ["-m", "webbrowser"] and Path(page[3].removeprefix("file://"))
    assert page[3] == (photos.parent / "my-photos-unweave" / "report.html").as_uri()
    assert explore == ["unweave", "explore", "my-photos-unweave/model", "--open"]
    assert call("export", explore[2], "--html").code == 0, "the model is found where the command says"
    assert encode[:2] == ["unweave", "encode"]
    if "encode" in VERBS:
        assert call(*encode[1:]).code == 0 and Path("more.csv").is_file()


def test_json_is_one_document(call: Call, photos: Path) -> None:
    done = call("fit", "my photos", *SMALL, "--codes", "codes.csv", "--json")
    document = json.loads(done.out)
    assert document["rows"] == 20 and document["codes"] == "codes.csv" and Path("codes.csv").is_file()
    assert len(document["udr"]) == 2 and document["failed"] == []


def test_codes_that_are_points_have_no_nats(call: Call, photos: Path) -> None:
    done = call("fit", "my photos", "--method", "infogan", *SMALL)
    assert done.code == 0 and "nats" not in done.out.partition("chosen:")[2]
    assert "in use     2 of 2 latents, the widest first (points have no KL): z" in done.out
    document = json.loads(call("fit", "my photos", "--method", "infogan", *SMALL, "--json").out)
    assert document["latents"]["kl"] is None and sorted(document["latents"]["alive"]) == [0, 1]


def test_broken_pictures_are_listed_or_left_out(call: Call, photos: Path) -> None:
    (photos / "0" / "broken.png").write_bytes(b"no picture")
    refused = call("fit", "my photos", *SMALL)
    assert refused.code == 2 and "0/broken.png: no PNG, JPEG, WebP or TIFF picture" in refused.line
    done = call("fit", "my photos:skip-broken", *SMALL)
    assert done.code == 0 and "left out   picture" in done.out and "20 rows" in done.out
    text = Path("my-photos-unweave/codes.csv").read_text()
    assert "broken" not in text and text.count("\n") == 21
    # What is printed to go on with works as it stands, and says what it leaves out too.
    printed = next(row for row in done.out.splitlines() if "unweave encode" in row)
    words = shlex.split(printed[printed.index("unweave encode") :])[1:]
    more = call(*words)
    assert more.code == 0 and "left out   picture" in more.out


def test_a_refusal_leaves_nothing(call: Call) -> None:
    place = Path("few")
    place.mkdir()
    Image.new("L", (16, 16)).save(place / "0.png")
    assert "few has 1 images; allowed: 10 or more" in call("fit", "few").line
    assert "cannot write nowhere/c.csv" in call("fit", "few", "--codes", "nowhere/c.csv").line
    assert not Path("few-unweave").exists()
    assert call("fit", "few", "--out", "a/b/c").code == 2 and not Path("a").exists()
    Path("few-unweave").mkdir()
    assert call("fit", "few").code == 2 and Path("few-unweave").is_dir()
    assert call("fit", "few", "--out", "few").code == 2 and [one.name for one in place.iterdir()] == ["0.png"]


def test_codes_may_go_into_the_folder_that_is_made(call: Call, photos: Path) -> None:
    done = call("fit", "my photos", *SMALL, "--out", "made", "--codes", "made/codes.npz")
    assert done.code == 0 and Path("made/codes.npz").is_file(), done.err


def test_a_full_disk_is_a_failure_and_no_mistake(call: Call, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *rest: object) -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            raise StoreError(f"cannot write {path}: No space left on device") from None

    monkeypatch.setattr("unweave.store.folder.write_json", full)
    done = call("fit", "my photos", *SMALL)
    assert done.code == 1 and "No space left on device" in done.err


def test_what_looks_like_a_mistake_is_said(call: Call) -> None:
    place = Path("dark")
    place.mkdir()
    generator = np.random.default_rng(0)
    for k in range(20):
        Image.fromarray(generator.integers(0, 4096, (16, 16), np.uint16)).save(place / f"{k:02}.png")
    (place / "more.bmp").write_bytes(b"anything")
    done = call("fit", "dark", *SMALL)
    assert done.code == 0, done.err
    assert "left out   files of other kinds, which are not read: 1 .bmp" in done.out
    assert "look at    the brightest pixel of 20 images is 16 of 255" in done.out


@pytest.mark.parametrize(
    "words, says",
    [
        ((), "no folder named"),
        (("nowhere/",), "no such folder"),
        (("my photos", "--codes", "codes.xlsx"), "allowed: .parquet, .csv, .npz"),
        (("my photos", "--minutes", "0"), "minutes = 0"),
        (("my photos:labels=none.csv",), "none.csv: cannot be read (No such file or directory)"),
        (("my photos", "--methd", "deft"), "did you mean --method"),
    ],
)
def test_mistakes_are_one_line(call: Call, photos: Path, words: tuple[str, ...], says: str) -> None:
    done = call("fit", *words)
    assert done.code == 2 and says in done.line
