"""Every mistake: exit code 2, one line that names what is allowed and the nearest match, and nothing written."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from unweave.cli import main
from unweave.cli.options import _gist
from unweave.data import DATASETS, Dataset, Factors, Images
from unweave.metrics import METRICS
from unweave.store import RunFolder

from .conftest import TINY, Call

TRAIN = {
    "verb": ("trian vae", "'train'"),
    "no method": ("train", "beta-vae"),
    "method": ("train bta-vae --data triangle", "'beta-vae'"),
    "method last": ("train --data triangle vae", "method comes first"),
    "no data": ("train vae", "dsprites, triangle"),
    "data": ("train vae --data trangle", "'triangle'"),
    "option": ("train beta-vae --data triangle --bta 3", "--beta"),
    "option of another method": ("train vae --data triangle --gamma 3", "unknown option --gamma"),
    "value": ("train vae --data triangle --steps many", "--steps: 'many'; allowed: a whole number"),
    "value of the method": (
        "train beta-vae --data triangle --beta x",
        "--beta: 'x'; allowed: a number",
    ),
    "no value": ("train vae --data triangle --steps", "--steps"),
    "stray word": ("train vae --data triangle fast", "fast"),
    "steps": ("train vae --data triangle --steps 0", "steps = 0"),
    "batch": ("train vae --data triangle --batch 0", "batch = 0"),
    "seeds": ("train vae --data triangle --seeds 0", "seeds = 0"),
    "seed": ("train vae --data triangle --seed -1", "seed = -1"),
    "every": ("train vae --data triangle --every 0", "every = 0"),
    "lr": ("train vae --data triangle --lr -1", "lr = -1.0 of optimiser's Adam; allowed: 0 or more"),
    "half a step": ("train vae --data triangle --steps 2.5", "--steps: '2.5'; allowed: a whole number"),
    "size as a word": ("train vae --data .:size=abc", "given: 'abc'; allowed: a whole number"),
    "a file for data": ("train vae --data notes.txt", "no kind that is read"),
    "groups": ("train deft --data triangle --betas 3 2 1", "multiples of 3"),
    "latents": ("train deft --data triangle --latents 5", "multiples of 2"),
    "negative beta": ("train beta-vae --data triangle --beta -1", "-1"),
    "negative betas": ("train devae --data triangle --betas 1 -40", "-40"),
    "nan": ("train beta-vae --data triangle --beta nan", "nan"),
    "word": ("train deft --data triangle --scaling grd", "'grad'"),
    "network": ("train vae --data triangle --network standrd", "'standard'"),
    "hidden": ("train vae --data triangle --network mlp --hidden 0", "hidden"),
    "hidden alone": ("train vae --data triangle --hidden 8", "--network"),
    "precision": ("train vae --data triangle --precision bf61", "'bf16'"),
    "likelihood": ("train vae --data triangle --likelihood bernouli", "'bernoulli'"),
    "device": ("train vae --data triangle --device gpu", "allowed: cpu"),
    "data root": ("train vae --data triangle --data-root nowhere", "nowhere"),
}


@pytest.mark.parametrize("case", TRAIN)
def test_train_refuses(case: str, call: Call, tmp_path: Path) -> None:
    words, told = TRAIN[case]
    (tmp_path / "notes.txt").write_text("no data", encoding="utf-8")
    done = call(*words.split())
    assert done.code == 2
    assert told in done.line
    assert "Traceback" not in done.err and not {"│", "╭", "\x1b"} & set(done.err)
    assert not (tmp_path / "runs").exists()


OTHERS = {
    "score nothing": ("score", "no run named"),
    "score in an empty folder": ("score last --out empty", "holds no runs"),
    "score under another name of the folder": ("score last --runs empty", "holds no runs"),
    "score a word of blocks": ("score last --blocks jont", "jont"),
    "score an unknown run": ("score zzz", "no run 'zzz'"),
    "score an unknown metric": ("score last --metrics mgi", "'mig'"),
    "score too few images": ("score last --images 3", "images = 3"),
    "score a word of images": ("score last --images al", "images = al; allowed: a whole number from 10, or all"),
    "score a space": ("score last --space 1", "latent space 1"),
    "score on no device": ("score last --device cpus", "allowed: cpu"),
    "score with an unknown option": ("score last --metric mig", "--metrics"),
    "report nothing": ("report", "no run named"),
    "report to nowhere": ("report last --out nowhere/page.html", "nowhere"),
    "list nothing": ("list", "methods, metrics, data, networks"),
    "list an unknown thing": ("list method", "'methods'"),
    "data nothing": ("data", "data check NAME"),
    "data unknown task": ("data chek triangle", "'check'"),
    "data unknown set": ("data check dsprite", "'dsprites'"),
    "data no set": ("data check", "dsprites, triangle"),
    "cite nothing": ("cite", "mig"),
    "cite an unknown name": ("cite devea", "'devae'"),
    "results of no folder": ("results --out nowhere", "nowhere"),
    "results in an unknown format": ("results --format tabel", "'table'"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_verbs_refuse(case: str, call: Call, runs: Path) -> None:
    words, told = OTHERS[case]
    before = sorted(runs.rglob("*"))
    done = call(*words.split())
    assert (done.code, done.out) == (2, "")
    assert told in done.line
    assert sorted(runs.rglob("*")) == before


def test_a_prefix_of_two_keys_is_refused(call: Call, runs: Path) -> None:
    first, second = sorted(runs.iterdir())
    second.rename(runs / f"{first.name[:4]}zz")
    done = call("score", first.name[:4])
    assert done.code == 2
    assert first.name in done.line


def _npz(path: Path, **arrays: np.ndarray) -> None:
    np.savez(path, **arrays)


def _bomb(path: Path) -> None:
    header = io.BytesIO()
    shape = (737280, 6)
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("latents_classes.npy", header.getvalue() + bytes(32 << 20))


NAME = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
FILES = {
    "truncated": lambda path: path.write_bytes(b"PK\x03\x04 and no more"),
    "pickled": lambda path: _npz(path, latents_classes=np.array([{"a": 1}] * 4, dtype=object)),
    "wrong shape": lambda path: _npz(path, latents_classes=np.zeros((4, 6), np.int64)),
    "wrong number type": lambda path: _npz(path, latents_classes=np.zeros((737280, 6), np.complex64)),
    "zip bomb": _bomb,
}


@pytest.mark.parametrize("case", FILES)
def test_a_bad_file_is_refused_before_the_first_step(case: str, call: Call, tmp_path: Path) -> None:
    FILES[case](tmp_path / NAME)
    done = call("train", "vae", "--data", "dsprites", "--data-root", ".", *TINY)
    assert done.code == 2
    assert NAME in done.line
    assert not list(tmp_path.rglob("checkpoint*"))


def test_a_checkpoint_of_another_experiment_is_refused_and_stays(call: Call, runs: Path) -> None:
    first, second = sorted(runs.iterdir())
    for name in ("checkpoint.safetensors", "status.json"):
        shutil.copy(second / name, first / name)
    bytes_before = (first / "checkpoint.safetensors").read_bytes()
    RunFolder(first).write("status", {"state": "stopped", "step": 10})
    seed = json.loads((first / "experiment.json").read_text())["seed"]
    words = ["--beta", "2", "--data", "triangle", "--steps", "20", "--lr", "1e-3", "--latents", "3", *TINY]
    done = call("train", "beta-vae", *words, "--seed", str(seed))
    assert done.code == 2
    assert second.name in done.line
    assert (first / "checkpoint.safetensors").read_bytes() == bytes_before


@pytest.mark.parametrize("verb", ["score", "report"])
def test_a_damaged_checkpoint_is_refused(verb: str, call: Call, runs: Path) -> None:
    first = min(runs.iterdir())
    (first / "checkpoint.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00 no header")
    done = call(verb, first.name)
    assert done.code == 2
    assert "checkpoint.safetensors" in done.line


def test_a_folder_that_is_a_file_is_refused(call: Call, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("not a folder")
    done = call("train", "vae", "--data", "triangle", "--steps", "3", *TINY)
    assert done.code == 2
    assert "runs" in done.line


class GreyImages(Images):
    rows, source = 16, "drawn"

    def batch(self, rows: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        return (rows.float() / 16).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)

    def levels(self, rows: Tensor) -> Tensor:
        return torch.zeros(len(rows), 0, dtype=torch.int64)


@dataclass(frozen=True)
class Grey(Dataset):
    """Sixteen shades, of which no factor is known."""

    name: ClassVar[str] = "grey"
    shape: ClassVar[tuple[int, int, int]] = (1, 8, 8)

    @property
    def factors(self) -> Factors | None:
        return None

    @property
    def rows(self) -> int:
        return 16

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        return GreyImages()


def test_a_metric_asked_of_data_without_factors(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASETS, "grey", Grey)  # type: ignore[misc]
    assert call("train", "vae", "--data", "grey", "--steps", "3", *TINY).code == 0
    done = call("score", "last", "--metrics", "mig")
    assert (done.code, done.out) == (2, "")
    assert "grey has none; allowed: gaussian-tc, " in done.line and ", reconstruction" in done.line
    scored = call("score", "last", "--json")
    assert scored.code == 0
    free = [name for name, kind in METRICS.items() if kind.reads != "factors"]
    assert list(json.loads(scored.out)["runs"][0]["scores"]) == free
    assert call("report", "last").code == 0
    assert "No factors are known" in Path(call_last(), "report.html").read_text(encoding="utf-8")


def call_last() -> str:
    """The folder of the only run here."""
    return str(next(Path("runs").iterdir()))


def test_a_bug_is_one_line_too_and_a_traceback_on_request(
    call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(root: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("unweave.cli.data.data", broken)
    done = call("data", "list")
    assert done.code == 1
    assert "RuntimeError: two lines" in done.line
    monkeypatch.setenv("UNWEAVE_DEBUG", "1")
    with pytest.raises(RuntimeError, match="two"):
        main(["data", "list"])


BOX = """
╭─ Value error ──────────────────────────╮
│ Error parsing --beta: could not: 'x'.  │
│ ────────────────────────────────────── │
│ Argument helptext:                     │
╰────────────────────────────────────────╯
"""
PLAIN = """
 Value error
 ---------------------------------------
  Error parsing --beta: could not: 'x'.
  --------------------------------------
  Argument helptext:
"""


@pytest.mark.parametrize("drawn", [BOX, PLAIN, "\n".join(f"\x1b[31m{line}\x1b[0m" for line in BOX.splitlines())])
def test_what_is_said_in_a_box_is_told_without_it(drawn: str) -> None:
    """As drawn in a terminal with and without letters for lines, and in colours."""
    assert _gist(drawn) == "--beta: could not: 'x'"
