"""Schedules and stages of AnnealedVAE and CascadeVAE-C: their borders, their lengths, their gradients."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from unweave.data import Triangle
from unweave.engine.experiment import Experiment
from unweave.engine.step import Alone
from unweave.methods import METHODS, AnnealedVAE, BetaVAE, CascadeVAEC, ControlVAE, DynamicVAE, Method, Preset
from unweave.methods import annealed_vae as annealed
from unweave.methods import cascade_vae_c as cascade
from unweave.methods import dynamic_vae as dynamic
from unweave.networks import MLP, SoftplusVAE
from unweave.networks.softplus import softplus_logvar
from unweave.types import LOGVAR_RANGE, Rate

from .case import LATENTS, SPEC, case, gradients

CASCADE: dict[str, Any] = {"beta_low": 0.5, "beta_high": 9.0, "stage_steps": 10}


def at(method: Any, step: int, dtype: torch.dtype = torch.float64) -> float:
    """C(t) of a method at a step."""
    return float(method.target(torch.tensor(step), dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("start, end", [(0.0, 25.0), (0.5, 25.0), (0.1, 0.3), (0.7, 0.7), (1 / 3, 1e3), (0.0, 0.0)])
@pytest.mark.parametrize("length", [1, 3, 7, 1000])
def test_the_capacity_is_exact_at_its_ends_and_never_passes_them(
    dtype: torch.dtype, start: float, end: float, length: int
) -> None:
    method = AnnealedVAE(c_start=start, c_max=end, anneal_steps=length)
    first, last = (float(torch.tensor(value, dtype=dtype)) for value in (start, end))
    assert at(method, 0, dtype) == first
    assert [at(method, step, dtype) for step in (length, length + 1, 10**9)] == [last] * 3
    steps = [at(method, step, dtype) for step in range(0, length + 1, max(1, length // 97))]
    assert all(value <= last for value in steps) and steps == sorted(steps)
    if length > 1:
        middle = at(method, length // 2, torch.float64)
        assert middle == pytest.approx(start + (end - start) * (length // 2) / length, rel=1e-14)


def test_tensors_for_hyperparameters_give_the_same_capacity() -> None:
    """As in a pack, where float fields are tensors."""
    numbers: dict[str, Any] = {"c_start": 0.3, "c_max": 9.7}
    method = AnnealedVAE(**numbers, anneal_steps=13)
    tensors = {name: torch.tensor(value, dtype=torch.float64) for name, value in numbers.items()}
    packed = replace(method, **tensors)
    assert [at(packed, step) for step in range(20)] == [at(method, step) for step in range(20)]


@pytest.mark.parametrize("side", [-1, 1])
def test_the_kl_is_pulled_to_the_capacity_from_both_sides(side: int) -> None:
    """One small step against the gradient brings KL nearer to C, wherever it starts."""
    one = case(AnnealedVAE(gamma=1e6))
    kl = float(one.loss().terms["kl"].detach())
    method = AnnealedVAE(1e6, kl + 3 * side, kl + 3 * side, 1)
    method.loss(one.model, one.batch, {}).total.backward()
    with torch.no_grad():
        for parameter in one.model.parameters():
            if parameter.grad is not None:
                parameter -= 1e-10 * parameter.grad
    moved = float(method.loss(one.model, one.batch, {}).terms["kl"].detach()) - kl
    assert moved * side > 0 and abs(moved) < 3


def test_between_the_sides_there_is_no_pull() -> None:
    one = case(AnnealedVAE())
    kl = float(one.loss().terms["kl"].detach())
    method = AnnealedVAE(1000.0, kl, kl, 1)
    loss = method.loss(one.model, one.batch, {})
    torch.testing.assert_close(loss.total, loss.terms["recon"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("step", range(0, 100, 3))
def test_a_stage_opens_exactly_the_latents_up_to_its_own(step: int) -> None:
    """The pressure on every latent, read off the gradient of the loss at the encoder's outputs."""
    one = case(CascadeVAEC(**CASCADE), step)
    weights = pressures(one.method, one.model, one.batch)
    stage = min(step // 10, LATENTS - 1)
    assert weights == pytest.approx([0.5] * (stage + 1) + [9.0] * (LATENTS - 1 - stage), rel=1e-9)
    assert float(one.loss().terms["stage"]) == stage


def pressures(method: CascadeVAEC, model: Any, batch: Any) -> list[float]:
    """How much the loss grows for each nat of each latent's KL, by the gradient at the biases of the means."""
    bias = model.encoder.head.bias
    low = method.loss(model, batch, {})
    each = model.encode(batch.x).kl().mean(0)
    (whole,) = torch.autograd.grad(low.total - low.terms["recon"], bias, retain_graph=True)
    found = []
    for j in range(LATENTS):
        (own,) = torch.autograd.grad(each[j], bias, retain_graph=True)
        found.append(float(whole[j] / own[j]))
    return found


def test_equal_pressures_are_beta_vae() -> None:
    one, other = case(CascadeVAEC(4.2, 4.2, stage_steps=10)), case(BetaVAE(beta=4.2))
    loss, wanted = one.loss(), other.loss()
    loss.total.backward()
    wanted.total.backward()
    torch.testing.assert_close(loss.total, wanted.total, rtol=1e-12, atol=0)
    for name, value in gradients(other.model).items():
        torch.testing.assert_close(gradients(one.model)[name], value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("step", [0, 15, 59, 10**6])
def test_the_parts_of_the_kl_are_all_of_it(step: int) -> None:
    terms = case(CascadeVAEC(**CASCADE), step).loss().terms
    torch.testing.assert_close(terms["kl.open"] + terms["kl.closed"], terms["kl"], rtol=1e-12, atol=0)
    assert (terms["kl.closed"].item() == 0) == (step >= 50)


def test_adam_is_reset_at_every_border_between_stages_and_nowhere_else() -> None:
    method = CascadeVAEC(**CASCADE, reset_optimizer=True, stages=LATENTS)
    resets = [step for step in range(200) if method.rates(step)["all"].reset]
    assert resets == [10, 20, 30, 40, 50]
    assert all(method.rates(step)["all"].scale == 1 for step in range(200))
    assert not any(CascadeVAEC(**CASCADE).rates(step)["all"].reset for step in range(200))


def test_a_reset_empties_the_moments_of_the_engine() -> None:
    method = CascadeVAEC(stage_steps=3, reset_optimizer=True, stages=4)
    data = Triangle()
    full = Experiment(method, data, MLP((4,)), None, 4, 100, 8, precision="float64").complete()
    alone = Alone(full, data.open(None, torch.device("cpu")), torch.device("cpu"))
    counts = []
    for step in range(14):
        alone.step(step)
        counts.append(int(alone.groups[0].count[0]))
    assert counts == [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 4, 5]


def test_softplus_standard_deviations() -> None:
    raw = torch.linspace(-12, 40, 53, dtype=torch.float64)
    wanted = torch.tensor([2 * math.log(math.log1p(math.exp(float(value)))) for value in raw], dtype=torch.float64)
    torch.testing.assert_close(softplus_logvar(raw), wanted, rtol=1e-9, atol=1e-9)
    one = case(CascadeVAEC(std="softplus"))
    assert isinstance(one.model, SoftplusVAE)
    assert set(one.model.state_dict()) == set(case(CascadeVAEC()).model.state_dict())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_softplus_stays_finite_with_its_gradient(dtype: torch.dtype) -> None:
    raw = torch.tensor([-1e30, -1e4, -104.0, -15.0, 0.0, 1e4, 1e9, 1e30], dtype=dtype, requires_grad=True)
    logvar = softplus_logvar(raw)
    logvar.sum().backward()
    assert raw.grad is not None and bool(torch.isfinite(logvar).all()) and bool(torch.isfinite(raw.grad).all())
    assert LOGVAR_RANGE[0] <= float(logvar.detach().min()) and float(logvar.detach().max()) <= LOGVAR_RANGE[1]


SCHEDULES: list[tuple[Method, list[int]]] = [
    (AnnealedVAE(c_start=0.5, anneal_steps=80), [0, 20, 40, 60, 80, 200]),
    (DynamicVAE(c_every=8, c_steps=64), [0, 8, 16, 32, 56, 64, 100]),
    (DynamicVAE(c_every=8, c_steps=64, c_stop=False), [0, 8, 16, 32, 64, 128]),
    (DynamicVAE("cvpr22", c_period=24, c_ramp=8), [0, 24, 28, 32, 48, 52, 240]),
    (ControlVAE(c_every=8), [0, 8, 16, 80]),
]


@pytest.mark.parametrize("method, steps", SCHEDULES, ids=str)
@pytest.mark.parametrize("fraction", [0.25, 0.5, 3.0])
def test_over_scales_every_schedule(method: Any, steps: list[int], fraction: float) -> None:
    """What happened at step t happens at ``fraction`` · t."""
    scaled = method.over(fraction)
    for step in steps:
        assert at(scaled, round(fraction * step)) == pytest.approx(at(method, step), rel=1e-12), step


@pytest.mark.parametrize("fraction", [0.2, 2.0])
def test_over_scales_the_stages_of_the_cascade(fraction: float) -> None:
    method = CascadeVAEC(**CASCADE, reset_optimizer=True, stages=LATENTS)
    scaled = method.over(fraction)
    resets = [step for step in range(200) if scaled.rates(step)["all"] == Rate(reset=True)]
    assert resets == [round(fraction * 10 * stage) for stage in range(1, LATENTS)]
    one = case(scaled)
    stages = [int(scaled.loss(one.model, one.batch._replace(step=torch.tensor(s)), {}).terms["stage"]) for s in resets]
    assert stages == [1, 2, 3, 4, 5]


PRESETS = {
    f"{module.__name__.rsplit('.', 1)[-1]}.{name}": (kind, value)
    for module, kind in ((annealed, AnnealedVAE), (cascade, CascadeVAEC), (dynamic, DynamicVAE))
    for name, value in vars(module).items()
    if isinstance(value, Preset)
}


@pytest.mark.parametrize("name", PRESETS)
def test_every_published_setting_can_be_trained(name: str) -> None:
    kind, preset = PRESETS[name]
    method = kind(**preset.fields)
    method.check(SPEC, preset.latents)
    assert preset.note
    longest = max([getattr(method, one) for one in method.schedules])
    assert longest < preset.steps


def test_what_is_published() -> None:
    """The published numbers that people ask for by name."""
    paper, authors = annealed.DEFT_PAPER.fields, annealed.DEFT_AUTHORS.fields
    assert (paper["gamma"], paper["c_max"], authors["gamma"], authors["c_max"]) == (1000, 5, 100, 25)
    assert (annealed.RECURD.fields["c_start"], annealed.RECURD.fields["c_max"]) == (0.5, 25)
    assert annealed.RECURD.latents == 8, "RecurD's Table 3, for all baselines"
    assert METHODS["annealed-vae"].presets[""].fields["anneal_steps"] == 100_000
    capacities = {"dsprites": 5, "color-dsprites": 10, "scream-dsprites": 25, "smallnorb": 5, "triangle": 10}
    named = {data: one.fields["c_max"] for data, one in METHODS["annealed-vae"].presets.items() if data}
    assert named == capacities, "DEFT's Table 3, and its authors' run files for the triangle"
    for data in ("color-dsprites", "scream-dsprites", "smallnorb"):
        same = METHODS["annealed-vae"].presets[data]
        assert same._replace(fields={}, note="") == annealed.DEFT_PAPER._replace(fields={}, note="")
        assert {**same.fields, "c_max": 5.0} == paper
    own = cascade.AUTHORS
    assert (own.fields["beta_low"], own.fields["stage_steps"], own.optimiser.weight_decay) == (0.1, 20_000, 4e-5)
    lengths = {name: getattr(cascade, name).fields["stage_steps"] for name in ("DEFT_PAPER", "TRIANGLE", "CHAIRS")}
    assert lengths == {"DEFT_PAPER": 6000, "TRIANGLE": 2000, "CHAIRS": 3000}
    assert METHODS["cascade-vae-c"].presets["chairs3d"] is cascade.CHAIRS and cascade.CHAIRS.steps == 30_000
    script, printed = METHODS["dynamic-vae"].presets[""], dynamic.DEVAE_PAPER
    gains = [[DynamicVAE(**one.fields).number(name) for name in ("kp", "ki")] for one in (script, printed)]
    assert gains == [[0.04, 0.004], [0.01, 0.001]] and DynamicVAE(**script.fields) == DynamicVAE()
    assert (script.batch, script.steps, dynamic.CVPR22.batch, dynamic.CVPR22.steps) == (256, 300_000, 128, 2_000_000)


def test_published_numbers_stand_in_for_fields_left_open() -> None:
    for variant, numbers in dynamic.PUBLISHED.items():
        left, given = DynamicVAE(variant), DynamicVAE(variant, **numbers)
        one, other = case(left), case(given)
        assert torch.equal(one.loss().total, other.loss().total)
        assert [at(left, step) for step in (0, 7000, 10**6)] == [at(given, step) for step in (0, 7000, 10**6)]


@pytest.mark.parametrize(
    ("method", "name"),
    [
        (ControlVAE(), "c_every"),
        (ControlVAE(c_start=0.0, c_max=1.0, c_step=0.25, c_every=10), "c_every"),
        (DynamicVAE(variant="cvpr22"), "c_period"),
        (DynamicVAE(variant="cvpr22", c_start=1.0, c_max=2.0, c_step=0.25, c_period=10, c_ramp=10), "c_period"),
        (DynamicVAE(), "c_steps"),
        (AnnealedVAE(anneal_steps=7), "anneal_steps"),
    ],
)
def test_a_schedule_is_over_after_its_span_and_not_before(method: Any, name: str) -> None:
    span = method.spans(LATENTS)[name]

    def target(step: int) -> float:
        return float(method.target(torch.tensor(step), torch.float64))

    assert target(span) == pytest.approx(target(50 * span)) and target(span - 1) < target(span) - 1e-6


def test_a_stage_begins_last_after_its_span() -> None:
    deft, cascade_vae = METHODS["deft"](betas=(9.0, 5.0, 2.0), stage_steps=4), CascadeVAEC(stage_steps=4)
    assert deft.spans(6) == {"stage_steps": 8} and [deft.stage(step) for step in (7, 8, 80)] == [1, 2, 2]
    assert cascade_vae.spans(3) == {"stage_steps": 8}
    assert BetaVAE().spans(3) == {} and BetaVAE(end=1.0, schedule="linear", anneal_steps=9).spans(3) == {
        "anneal_steps": 9
    }
    assert ControlVAE(c_start=1.0, c_max=1.0, c_step=0.0).spans(3) == {"c_every": 0}
