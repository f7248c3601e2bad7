"""ONNX files give what the model gives, in batches of any size, without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from unweave import UserError
from unweave.data import ArrayFile
from unweave.methods import METHODS
from unweave.networks import DCGAN, MLP, Conv
from unweave.networks.conv import LAYOUTS
from unweave.run import Run
from unweave.use import export_onnx
from unweave.use import onnx as module
from unweave.use.onnx import plain
from use.made import small, trained

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")
USUAL = ("deft", "devae", "bhivae", "recurd")
"""Methods whose networks are unlike each other; the others, which take a minute and a half, are slow."""


class Made(NamedTuple):
    """A model, where its files are, and its codes before they were made."""

    run: Run
    folder: Path
    codes: torch.Tensor


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    run = small("vae", network=Conv("lite"), steps=1, precision="bf16", out=tmp_path_factory.mktemp("runs"))
    assert run.folder is not None
    run.folder.write("names", {"names": {"1": "tilt"}})
    codes = run.codes(20).mean
    found = export_onnx(run, tmp_path_factory.mktemp("onnx"))
    assert found.files == ("encoder.onnx", "decoder.onnx", "onnx.json") and found.difference < 1e-4
    return Made(run, found.folder, codes)


def session(path: Path) -> Any:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def matches(run: Run, folder: Path, space: int = 0) -> None:
    """Both files against the model in float32, on batches of sizes that were not tried before."""
    about = json.loads((folder / "onnx.json").read_text())
    encoder, decoder = session(folder / about["encoder"]["file"]), session(folder / about["decoder"]["file"])
    model = plain(run.model)
    for size in (1, 3, 7):
        x, z = torch.rand(size, *run.data.shape), torch.randn(size, run.model.latents)
        with torch.no_grad():
            q, image = model.encode(x, space), torch.sigmoid(model.decode(z, space))
        found = encoder.run(None, {about["encoder"]["input"]["name"]: x.numpy()})
        wanted = [q.mean] if q.logvar is None else [q.mean, q.logvar]
        assert len(found) == len(wanted) == len(about["encoder"]["outputs"])
        for ours, theirs in zip(found, wanted, strict=True):
            assert np.abs(ours - theirs.numpy()).max() < 1e-4
        (drawn,) = decoder.run(None, {about["decoder"]["input"]["name"]: z.numpy()})
        assert drawn.shape == image.shape and np.abs(drawn - image.numpy()).max() < 1e-4
        assert drawn.min() >= 0 and drawn.max() <= 1


@pytest.mark.parametrize(
    "name", [name if name in USUAL else pytest.param(name, marks=pytest.mark.slow) for name in METHODS]
)
def test_every_method(name: str, tmp_path: Path) -> None:
    run = trained(name)
    last = run.model.spaces - 1
    matches(run, export_onnx(run, tmp_path, space=last).folder, last)


@pytest.mark.slow
@pytest.mark.parametrize("body", [*(Conv(name) for name in LAYOUTS), DCGAN(8, 4), MLP((8, 4), "tanh")], ids=repr)
def test_every_network(body: Any, tmp_path: Path) -> None:
    run = small("vae", network=body, steps=1, precision="bf16")
    matches(run, export_onnx(run, tmp_path).folder)


def test_convolutions_trained_in_bf16(made: Made) -> None:
    matches(made.run, made.folder)
    assert torch.equal(made.run.codes(20).mean, made.codes), "the model itself stays as it is"
    assert made.run.model.encoder.trunk.bf16


def test_colours_and_sides_that_are_no_powers_of_two(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 255, (6, 27, 50, 3), dtype=np.uint8))
    run = small(data=ArrayFile(tmp_path / "x.npy"), network=Conv("deft-2021-code"), steps=1)
    matches(run, export_onnx(run, tmp_path / "onnx").folder)


def test_they_name_no_folder_of_the_machine(made: Made) -> None:
    for name in ("encoder.onnx", "decoder.onnx"):
        content = (made.folder / name).read_bytes()
        assert b".py" not in content and str(Path.home()).encode() not in content


def test_what_is_said_beside_them(made: Made) -> None:
    about = json.loads((made.folder / "onnx.json").read_text())
    assert about["encoder"]["input"] == {
        "name": "image",
        "shape": ["batch", 1, 64, 64],
        "type": "float32",
        "range": [0, 1],
    }
    assert [one["name"] for one in about["encoder"]["outputs"]] == ["z_mean", "z_logvar"]
    assert about["latents"] == ["z0", "tilt", "z2"] and about["prior"] == "standard normal"
    assert about["model"]["key"] == made.run.experiment.key and max(about["differs by at most"].values()) < 1e-4


def test_a_difference_is_seen(made: Made) -> None:
    other = module.Decoding(plain(small("vae", network=Conv("lite"), steps=1, seed=1).model), 0)
    content = (made.folder / "decoder.onnx").read_bytes()
    with torch.no_grad():
        assert module.difference(content, other, torch.randn(5, 3), "it") > 1e-3


def test_one_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "encoder.onnx").write_bytes(b"of before")
    monkeypatch.setattr(module, "converted", lambda *given: b"")
    monkeypatch.setattr(module, "difference", lambda content, part, inputs, who: 3e-4)
    with pytest.raises(UserError, match=r"its encoder as ONNX differs by 0.0003; allowed: 0.0001; nothing was written"):
        export_onnx(small(), tmp_path)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"of before"]


def test_a_network_that_cannot_be_exported_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: Any, **more: Any) -> None:
        raise RuntimeError("step 3 failed\nsee below") from ValueError("no translation for aten.magic\nand so on")

    monkeypatch.setattr(torch.onnx, "export", fails)
    with pytest.raises(UserError) as caught:
        export_onnx(small(), tmp_path / "new")
    told = "beta-vae: its encoder cannot be exported as ONNX (ValueError: no translation for aten.magic)"
    assert str(caught.value) == told and not (tmp_path / "new").exists()
    with pytest.raises(UserError, match=r"latent space 1 \(allowed: 0\)"):
        export_onnx(small(), tmp_path, space=1)


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"ONNX needs onnx, onnxscript, onnxruntime; run: pip install onnx onnxscript onnxruntime"
    ):
        export_onnx(small(), tmp_path)
