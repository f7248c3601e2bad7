"""bfloat16 stays inside the trunks: heads, latents, losses and weights are float32."""

from __future__ import annotations

import pytest
import torch

from unweave.engine import Experiment, encode, train
from unweave.engine.step import Alone
from unweave.methods import METHODS, Method
from unweave.networks import Conv
from unweave.testing import Dots

from .tiny import finals, same, tiny

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "precision, dtype", [("bf16", torch.float32), ("float32", torch.float32), ("float64", torch.float64)]
)
def test_what_runs_in_which_precision(precision: str, dtype: torch.dtype) -> None:
    learner = Alone(tiny(precision=precision, network=Conv("lite", 8)), Dots().open(), CPU)
    model, seen = learner.models[0], {}
    for name, module in model.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda m, i, o, name=name: seen.__setitem__(name, (i[0].dtype, o.dtype)))
    batch = learner.feed.batch(0)
    loss = learner.experiments[0].method.loss(model, batch, {})
    assert {batch.x.dtype, batch.noise["z"].dtype, loss.total.dtype, *(v.dtype for v in loss.terms.values())} == {dtype}
    assert all(p.dtype == dtype for p in model.parameters())
    image = f"decoder.trunk.layers.{len(model.get_submodule('decoder').trunk.layers) - 1}"
    for name, (given, out) in seen.items():
        if name.endswith(("head", "stem")):
            assert (given, out) == (dtype, dtype), name
        elif "layers" in name and any(kind in type(model.get_submodule(name)).__name__ for kind in ("Conv", "Linear")):
            # The layer that makes the image multiplies in bfloat16 and adds up in float32.
            low = torch.bfloat16 if precision == "bf16" and name != image else dtype
            assert out == low, name
    q = model.encode(batch.x)
    assert q.mean.dtype == dtype and q.logvar is not None and q.logvar.dtype == dtype
    assert model.decode(q.mean).dtype == dtype
    assert encode(model, Dots(), Dots().open()).mean.dtype == dtype


@pytest.mark.parametrize("kind", METHODS.values(), ids=lambda kind: kind.name)
def test_bf16_is_the_same_twice_and_near_float32(kind: type[Method]) -> None:
    small = {"critic_hidden": 8} if kind.name == "factor-vae" else {}
    latents = {"bhivae": 8, "bhivae-supervised": 8, "nvae": 10}.get(kind.name, 4)
    one, exact = (
        Experiment(kind(**small), Dots(), Conv("lite", 8), latents=latents, steps=8, batch=4, precision=p).complete()
        for p in ("bf16", "float32")
    )
    first = finals(one)[one.key]
    assert same(first, finals(one)[one.key])
    assert all(value.dtype in (torch.float32, torch.float64) for value in first.values())
    (rough,), (fine,) = (list(train(e, every=8)) for e in (one, exact))
    totals = fine.trace(0)["total"]
    assert rough.trace(0)["total"] == pytest.approx(totals, rel=0.02, abs=0.02 * max(map(abs, totals)))
    assert not same(first, fine.memory(0))
