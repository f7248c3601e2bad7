"""A small world for the blocks of the documentation: the same code, with few steps and few images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import torch

import unweave
from unweave.engine import Complete, Experiment, codes
from unweave.networks import Model
from unweave.types import Codes

STEPS, BATCH, IMAGES = 4, 8, 200
"""What no block goes beyond."""

# What a page takes for granted: names that its reader has. ``runs/…`` is a run there.
GIVEN: dict[str, str] = {
    "docs/methods/recurd.md": "images = torch.rand(4, 1, 64, 64)",
    "docs/analysis/blocks-and-attributes.md": "keep('runs/…', unweave.BHiVAE(), 'dsprites')",
    "docs/analysis/complexity.md": "other = keep('runs/…', unweave.VAE(), 'triangle')",
    "docs/analysis/downstream-tasks.md": "keep('runs/…', unweave.VAE(), labelled('digits'))",
    "docs/analysis/elbo-trajectory.md": (
        "held = {(w, 8, i): codes() for w in (8, 16, 32) for i in (1, 2, 4)}\n"
        "from unweave.analysis import Trained, elbo_trajectory\n"
        "other = elbo_trajectory(Trained(*cell, float(sum(cell))) for cell in held)"
    ),
    "docs/analysis/omniscient-latents.md": "cell = [keep('runs/…', unweave.VAE(), 'dsprites')]; cell_codes = [codes()]",
    "docs/analysis/pairs-and-layers.md": (
        "keep('runs/…', unweave.RecurD(critic_hidden=16), 'triangle', latents=4)\n"
        "from unweave.analysis import batch_properties\n"
        "other = batch_properties(codes(), batch=64)\n"
        "a, b = torch.randn(100, 2, 3), torch.randn(100, 2, 3)\n"
        "experiment = unweave.Experiment('vae', 'triangle', network=unweave.MLP((8,)), steps=4)\n"
        "experiments = {'vae': experiment}"
    ),
    "docs/analysis/robustness.md": "run = keep('runs/…', unweave.VAE(), 'dsprites')",
    "docs/data/array.md": "numpy.save('images.npy', numpy.zeros((20, 64, 64), 'uint8'))",
    "docs/data/folder.md": "pictures('photos')",
    "docs/data/hugging-face.md": "saved('saved')",
    "docs/sharing.md": (
        "import pathlib\n"
        "pictures('photos')\n"
        "keep('model', unweave.BetaVAE(), unweave.Folder(pathlib.Path('photos').absolute()))"
    ),
    "docs/metrics/failure-rate.md": "runs = [keep('runs/…', unweave.VAE(), 'triangle')]; runs[0].score(['mig'])",
    "docs/metrics/udr.md": (
        "folders = [keep(f'runs/{k}', unweave.VAE(), 'triangle', seed=k).folder.path for k in (0, 1)]"
    ),
}

# Numbers in a page that would take minutes, and what stands in their place.
SHORTER: dict[str, dict[str, str]] = {
    "docs/analysis/blocks-and-attributes.md": {'run.images, "shape")': 'run.images, "shape", steps=4, count=50)'},
    "docs/studies/README.md": {'"runs")}': '"runs", workers=0)}'},
    "docs/analysis/annealing.md": {
        "steps=8000": "steps=4, measurements=4",
        "repeats=50": "repeats=2",
        "steps=100_000, batch=256": "steps=4, measurements=4",
    },
    "docs/analysis/automatic-pressures.md": {
        'freezing_spectrum("dsprites")': 'freezing_spectrum("dsprites", sample=300)',
        'linear_information("dsprites", spectrum)': 'linear_information("dsprites", spectrum, sample=300)',
    },
    "docs/analysis/critical-pressure.md": {
        'freezing_spectrum("dsprites")': 'freezing_spectrum("dsprites", sample=300)'
    },
    "docs/analysis/information-over-training.md": {"at=24": "at=2"},
    "docs/analysis/pairs-and-layers.md": {
        "batch=500": "batch=50",
        "count=10_000": "count=50",
        "at=10": "at=2",
        "critic_information(a, b)": "critic_information(a, b, steps=5)",
        "run.images)  # 2,000 steps": "run.images, count=200, steps=5, hidden=8)  # 2,000 steps",
    },
}
EVERYWHERE = {"15_000": "200"}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of one's own in which every training is of some steps and every data set is encoded in part."""
    monkeypatch.chdir(tmp_path)
    complete, encode = Experiment.complete, codes.encode

    @wraps(complete)
    def shorter(experiment: Experiment) -> Complete:
        full = complete(experiment)
        return replace(full, steps=min(full.steps, STEPS), batch=min(full.batch, BATCH)).complete()

    @wraps(encode)
    def fewer(model: Model, *given: Any, count: int | None = IMAGES, **more: Any) -> Codes:
        return encode(model, *given, count=min(count or IMAGES, IMAGES), **more)

    monkeypatch.setattr(Experiment, "complete", shorter)
    for module in [module for name, module in sys.modules.items() if name.startswith("unweave")]:
        if vars(module).get("encode") is encode:
            monkeypatch.setattr(module, "encode", fewer)
    # Published files are not in the repository: those sets open as the triangle, once they have been described. Each
    # has tests of its own that read files of the published form.
    for kind in {type(one()) for one in unweave.DATASETS.values() if one.needs_files}:
        monkeypatch.setattr(kind, "open", lambda self, root=None, device=None: unweave.Triangle().open())
    return tmp_path


def names() -> dict[str, Any]:
    """What stands before every page."""
    import numpy

    return {
        "__name__": "__main__",
        "torch": torch,
        "numpy": numpy,
        "unweave": unweave,
        "keep": keep,
        "codes": some_codes,
        "pictures": pictures,
        "saved": saved,
        "labelled": labelled,
    }


def keep(folder: str, method: unweave.Method, data: unweave.Dataset | str, **settings: Any) -> unweave.Run:
    """A run in a folder of this name."""
    run = unweave.fit(method, data, network=unweave.MLP((8,)), out="made", **settings)
    assert run.folder is not None
    Path(folder).parent.mkdir(exist_ok=True)
    run.folder.path.rename(folder)
    return unweave.load(folder)


def some_codes() -> Codes:
    """Codes of two factors of a few levels."""
    draws = torch.Generator().manual_seed(0)
    levels = torch.stack([torch.arange(IMAGES) % 3, torch.arange(IMAGES) // 3 % 4], 1)
    mean = torch.randn(IMAGES, 4, generator=draws) + torch.cat([levels, levels], 1)
    distortion = {name: torch.rand(IMAGES, generator=draws) for name in ("bce", "squared_error")}
    return Codes.of(mean, levels, logvar=torch.full((IMAGES, 4), -1.0))._replace(distortion=distortion, pixels=4096)


def pictures(folder: str, count: int = 20) -> None:
    """A folder of pictures."""
    from PIL import Image

    Path(folder).mkdir()
    for place in range(count):
        Image.new("RGB", (64, 64), (9 * place, 80, 40)).save(f"{folder}/{place}.png")


def saved(folder: str) -> None:
    """A data set of Hugging Face's library, saved to disk."""
    datasets = pytest.importorskip("datasets")
    pictures("there")
    paths = [str(path) for path in sorted(Path("there").iterdir())]
    table = datasets.Dataset.from_dict({"image": paths, "label": [k % 2 for k in range(len(paths))]})
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    datasets.DatasetDict({"train": table.cast(features)}).save_to_disk(folder)


def labelled(file: str) -> unweave.ArrayFile:
    """Images of a file with a digit and a domain each."""
    import numpy

    numpy.save(f"{file}.npy", numpy.random.default_rng(0).integers(0, 256, (IMAGES, 64, 64), dtype="uint8"))
    lines = [f"{row},{row % 3},{row // 3 % 4}" for row in range(IMAGES)]
    Path(f"{file}.csv").write_text("\n".join(["row,digit,domain", *lines]))
    return unweave.ArrayFile(Path(f"{file}.npy").absolute(), labels=Path(f"{file}.csv").absolute())


def shortened(page: str, text: str) -> str:
    """A block with the numbers of SHORTER in place."""
    for long, short in {**SHORTER.get(page, {}), **EVERYWHERE}.items():
        text = text.replace(long, short)
    return text


def execute(text: str, where: str, line: int, given: Mapping[str, Any] | dict[str, Any]) -> None:
    """Run a block as if it stood at its line of its page, so that a failure names the place."""
    run: Callable[..., None] = exec
    run(compile("\n" * (line - 1) + text, where, "exec", dont_inherit=True), given)
