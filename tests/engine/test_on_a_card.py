"""On a GPU: repeated as graphs, in lockstep and alone, taken up again. Run with ``--device cuda``."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from unweave.data import DSprites
from unweave.engine import Experiment, encode, train
from unweave.engine.place import home
from unweave.engine.train import LOCKSTEP
from unweave.methods import METHODS
from unweave.networks import Conv
from unweave.types import Adam

from .tiny import apart, every, finals, fitted, same, tiny

CLOSE = 1e-8
"""Of numbers in float64, relative to the largest."""
RECORDED = sorted(set(METHODS))


@pytest.fixture(autouse=True)
def _card(device: torch.device) -> None:
    if device.type != "cuda":
        pytest.skip("needs a GPU; run with --device cuda")


@pytest.mark.parametrize("name", RECORDED)
def test_graph_equals_single_steps(name: str, device: torch.device) -> None:
    """And nothing refuses to be recorded: a warning is an error here."""
    one = fitted(every(name), steps=12)
    found, single = finals(one, device=device, blocks=True), finals(one, device=device, blocks=False)
    assert apart(_main(found[one.key]), _main(single[one.key])) < CLOSE


@pytest.mark.parametrize("way", LOCKSTEP)
@pytest.mark.parametrize("name", RECORDED)
def test_lockstep_equals_alone(name: str, way: str, device: torch.device) -> None:
    adams = (Adam(lr=3e-3), Adam(lr=1e-3, betas=(0.5, 0.9), weight_decay=0.1))
    members = [fitted(every(name), seed=s, optimiser=adam, steps=12) for s, adam in enumerate(adams)]
    together = finals(members, device=device, lockstep=way)
    for one in members:
        alone = finals(one, device=device, lockstep=False)[one.key]
        assert apart(_main(together[one.key]), _main(alone)) < CLOSE


@pytest.mark.parametrize("name", RECORDED)
def test_a_card_equals_a_cpu(name: str, device: torch.device) -> None:
    one = fitted(every(name), steps=8)
    assert apart(_main(finals(one, device=device)[one.key]), _main(finals(one, device="cpu")[one.key])) < 1e-7


@pytest.mark.parametrize("lockstep", [False, *LOCKSTEP])
@pytest.mark.parametrize("precision", ["bf16", "tf32", "float32", "float64"])
def test_convolutions_are_recorded_and_taken_up_again_bit_for_bit(
    precision: str, lockstep: Any, device: torch.device, tmp_path: Path
) -> None:
    if (precision, lockstep) == ("tf32", "products"):
        pytest.skip("refused: tf32 is of convolutions")
    members = [tiny("devae", network=Conv("devae", 16), precision=precision, seed=s, batch=8) for s in (0, 1, 2)]
    whole = finals(members, device=device, lockstep=lockstep, every=9)
    for one in [members] if lockstep else members:
        run = train(one, device=device, lockstep=lockstep, every=9, out=tmp_path)
        next(run)
        run.close()  # type: ignore[attr-defined]
    again = finals(members, device=device, lockstep=lockstep, every=9, out=tmp_path)
    assert all(same(again[one.key], whole[one.key]) for one in members)


def test_float32_graph_equals_blocks_one_by_one_bit_for_bit(
    device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unweave.engine.graph import Graphs

    one = tiny("devae", network=Conv("devae", 16), precision="float32", batch=8)
    recorded = finals(one, device=device)[one.key]
    monkeypatch.setattr(Graphs, "_record", lambda self, kind, step: False)
    assert same(finals(one, device=device)[one.key], recorded)


def test_a_step_that_cannot_be_recorded_says_so(device: torch.device) -> None:
    from .test_blocks import Looking

    one = tiny(Looking(beta=2.0))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = finals(one, device=device)[one.key]
    assert ["cannot be recorded as a CUDA graph" in str(w.message) for w in said] == [True]
    assert apart(_main(found), _main(finals(one, device=device, blocks=False)[one.key])) < CLOSE


def test_memory_does_not_grow(device: torch.device) -> None:
    one = Experiment("beta-vae", "triangle", batch=64, steps=3000, precision="bf16")
    held = [torch.cuda.memory_reserved(device) for _ in train(one, device=device, every=250)]
    # Blocks of several lengths take turns, so that a last small piece may come late.
    assert held[-1] - held[2] <= 8 << 20


def test_codes_of_a_card_are_those_of_a_cpu(device: torch.device) -> None:
    data = DSprites()
    (*_, last) = train(Experiment("vae", data, batch=64, steps=20, precision="float32"), device=device)
    found = encode(last.models[0], data, data.open(device=home(device)), count=6000)
    wanted = encode(last.models[0].cpu(), data, data.open(), count=6000)
    assert torch.equal(found.levels, wanted.levels) and found.mean.device.type == "cpu"
    torch.testing.assert_close(found.mean, wanted.mean, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.distortion["bce"], wanted.distortion["bce"], rtol=1e-3, atol=1e-2)


def _main(memory: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.cpu() for name, value in memory.items()}
