"""A method of one's own on the command line: named by UNWEAVE_IMPORT, known to every verb and every worker."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

import unweave
from unweave.cli import train
from unweave.methods.base import TYPED

from .conftest import TINY, Call

CODE = '''
from dataclasses import dataclass
from typing import ClassVar

import unweave


@dataclass(frozen=True)
class Halved(unweave.Method):
    """A VAE that pays half its KL."""

    share: float = 0.5
    name: ClassVar[str] = "halved-vae"
    summary: ClassVar[str] = "half the KL"

    def loss(self, model, batch, state):
        q = model.encode(batch.x)
        recon = model.distortion(model.decode(q.sample(batch.noise["z"])), batch.x).mean()
        kl = q.kl().sum(-1).mean()
        return unweave.Loss(recon + self.share * kl, {"recon": recon, "kl": kl})
'''
STEM = "halved_vae_of_ones_own"
GRID = """
[experiment]
method = { name = "halved-vae", share = 0.25 }
data = "triangle"
network = { name = "mlp", hidden = [8] }
steps = 2
batch = 8
precision = "float64"

[product]
seed = [0, 1]

[measure]
metrics = ["mig"]
images = 100
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "code"
    folder.mkdir()
    path = folder / f"{STEM}.py"
    path.write_text(CODE, encoding="utf-8")
    monkeypatch.setenv("UNWEAVE_IMPORT", str(path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = dict(unweave.METHODS)
    yield path
    sys.modules.pop(STEM, None)
    unweave.METHODS.clear()
    unweave.METHODS.update(before)


def test_every_verb_knows_it(call: Call, own: Path) -> None:
    assert "half the KL" in call("list", "methods").out
    made = call("train", "halved-vae", "--data", "triangle", "--steps", "2", "--share", "0.25", *TINY)
    assert made.code == 0, made.err
    assert call("score", "last", "--metrics", "mig", "--images", "100").code == 0
    assert call("report", "last", "--out", "page.html").code == 0
    assert "halved-vae" in Path("page.html").read_text(encoding="utf-8")
    assert "did you mean --share?" in call("train", "halved-vae", "--data", "triangle", "--shar", "1").line


def test_without_its_file_a_run_says_what_to_do(call: Call, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("train", "halved-vae", "--data", "triangle", "--steps", "2", *TINY).code == 0
    monkeypatch.delenv("UNWEAVE_IMPORT")
    unweave.METHODS.pop("halved-vae")
    told = call("score", "last")
    assert told.code == 2
    assert "the method 'halved-vae', which is no part of unweave" in told.line
    assert "UNWEAVE_IMPORT=its_file.py" in told.line


def test_workers_of_a_sweep_know_it(call: Call, own: Path) -> None:
    Path("grid.toml").write_text(GRID, encoding="utf-8")
    assert call("sweep", "grid.toml", "--workers", "2").code == 0
    Path("grid.toml").write_text(GRID.replace('"mig"', '"mig", "sap"'), encoding="utf-8")
    again = call("sweep", "grid.toml", "--workers", "2", "--json")
    assert again.code == 0, again.err
    rows = json.loads(call("results", "select method, sap from runs", "--json").out)
    assert [row["method"] for row in rows] == ["halved-vae"] * 2
    assert all(row["sap"] is not None for row in rows)


@pytest.mark.parametrize(
    "old, new, told",
    [
        ("share: float = 0.5", "lr: float = 0.5", "Halved.lr is called like an option that every method takes"),
        ("share: float = 0.5", "share: float", "Halved.share has no default"),
    ],
)
def test_fields_that_cannot_be_options(call: Call, own: Path, old: str, new: str, told: str) -> None:
    own.write_text(CODE.replace(old, new), encoding="utf-8")
    assert told in call("train", "halved-vae", "--data", "triangle", "--steps", "2", *TINY).line


def test_what_no_field_may_be_called_is_what_train_takes() -> None:
    assert {one.name for one in fields(train.Options)} == TYPED


def test_a_method_without_a_summary_has_a_page_all_the_same(call: Call, own: Path) -> None:
    own.write_text(CODE.replace('    summary: ClassVar[str] = "half the KL"\n', ""), encoding="utf-8")
    assert call("list", "methods").code == 0
    assert call("train", "halved-vae", "--data", "triangle", "--steps", "2", *TINY).code == 0
    assert call("report", "last", "--out", "page.html", "--images", "100").code == 0
    assert call("export", "last", "--model", "shared").code == 0


def test_a_name_that_is_taken_is_refused(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("own_twin.py").write_text(CODE.replace("halved-vae", "beta-vae"), encoding="utf-8")
    monkeypatch.setenv("UNWEAVE_IMPORT", "own_twin.py")
    told = call("list", "methods")
    assert told.code == 2
    assert "UNWEAVE_IMPORT=own_twin.py: Halved is called 'beta-vae', as BetaVAE is; allowed: another name" in told.line


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("my_vea.py", None, "names my_vea.py, which is no file"),
        ("my-vae.py", "", "called like a module"),
        ("json.py", "", "json is another module"),
        ("own_broken.py", "raise KeyError('beta')", "own_broken.py cannot be imported: KeyError: 'beta'"),
        ("own_syntax.py", "def", "own_syntax.py cannot be imported: SyntaxError"),
        ("own_ended.py", "import sys; sys.exit(0)", "own_ended.py cannot be imported: SystemExit: 0"),
        (
            "own_refused.py",
            "import unweave; unweave.dataset('dsprits')",
            "UNWEAVE_IMPORT=own_refused.py: unknown data set",
        ),
        ("__main__.py", "", "__main__.py"),
        ("no.such.module", None, "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_imported(
    name: str, text: str | None, message: str, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    if text is not None:
        Path(name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("UNWEAVE_IMPORT", name)
    told = call("list", "methods")
    assert told.code == 2
    assert message in told.line and not told.out
