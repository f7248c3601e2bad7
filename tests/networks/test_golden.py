"""Trained networks of another library (YannDubs/disentangling-vae, MIT) give the losses that its logs record.

The files are outside the repository; the tests skip, saying so, where they are absent.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from unweave.data import DSprites
from unweave.methods import BetaVAE
from unweave.networks import VAE, Conv
from unweave.types import Batch

COUNT = 1000
"""Images in the recorded batch: the first ones of each set."""


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    found = shared_data / "disvae-pretrained"
    if not (found / "golden_first_batch.json").is_file():
        pytest.skip(f"no trained networks at {found}")
    return found


@pytest.fixture(scope="module")
def golden(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "golden_first_batch.json").read_text())


@pytest.fixture(scope="module")
def sprites() -> Tensor:
    return DSprites().open().batch(torch.arange(COUNT), {})


@pytest.fixture(scope="module")
def digits(shared_data: Path) -> Tensor:
    """MNIST enlarged from 28 to 32 pixels, as the recorded run did."""
    file = shared_data / "mnist" / "train-images-idx3-ubyte.gz"
    if not file.is_file():
        pytest.skip(f"no {file}")
    with gzip.open(file) as stream:
        pixels = np.frombuffer(stream.read(16 + COUNT * 784)[16:], np.uint8).reshape(COUNT, 28, 28)
    larger = [np.asarray(Image.fromarray(one).resize((32, 32), Image.Resampling.BILINEAR)) for one in pixels]
    return torch.from_numpy(np.stack(larger)).float()[:, None] / 255


def trained(file: Path, size: int) -> VAE:
    """The published weights in our "burgess" network: layers in order; its head interleaves means and log-variances."""
    theirs = torch.load(file, weights_only=True)
    net = VAE(Conv("burgess"), (1, size, size), 10, "bernoulli")
    down, up = ["conv1", "conv2", "conv3"], ["convT1", "convT2", "convT3"]
    if size == 64:
        down, up = [*down, "conv_64"], ["convT_64", *up]
    stacks = {"encoder": [*down, "lin1", "lin2"], "decoder": ["lin2", "lin3", *up]}
    weights: dict[str, Tensor] = {}
    for kind in ("weight", "bias"):
        for part, names in stacks.items():
            ours = [
                name for name, _ in net.named_parameters() if name.startswith(f"{part}.trunk") and name.endswith(kind)
            ]
            weights |= {a: theirs[f"{part}.{b}.{kind}"] for a, b in zip(ours, names, strict=True)}
        head = theirs[f"encoder.mu_logvar_gen.{kind}"]
        weights[f"encoder.head.{kind}"] = torch.cat([head[0::2], head[1::2]])
        weights[f"decoder.stem.{kind}"] = theirs[f"decoder.lin1.{kind}"]
    net.load_state_dict(weights)
    return net


@pytest.mark.parametrize(
    "name", ["VAE_dsprites", "betaH_dsprites", "betaB_dsprites", "btcvae_dsprites", "VAE_mnist", "betaH_mnist"]
)
def test_recorded_losses(name: str, folder: Path, golden: dict[str, Any], request: pytest.FixtureRequest) -> None:
    x = request.getfixturevalue("sprites" if name.endswith("dsprites") else "digits")
    recorded = golden[name]["values"]
    net = trained(folder / name / "model.pt", x.shape[-1])
    beta = 4.0 if name.startswith("betaH") else 1.0
    # The record was made with z = mean.
    batch = Batch(x, x, torch.zeros(COUNT, 0), {"z": torch.zeros(COUNT, 10)}, torch.tensor(0), COUNT)
    with torch.no_grad():
        loss = BetaVAE(beta).loss(net, batch, {})
        kl = net.encode(x).kl().mean(0)
    for latent in range(10):
        assert float(kl[latent]) == pytest.approx(recorded[f"kl_loss_{latent}"], rel=1e-6, abs=1e-6), latent
    assert float(loss.terms["kl"]) == pytest.approx(recorded["kl_loss"], rel=1e-6)
    assert float(loss.terms["recon"]) == pytest.approx(recorded["recon_loss"], rel=1e-6)
    if name.startswith(("VAE", "betaH")):
        assert float(loss.total) == pytest.approx(recorded["loss"], rel=1e-6)
