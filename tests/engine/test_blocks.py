"""Steps in blocks are the steps taken one by one, whatever happens inside a block, also where they are repeated."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from unweave.engine import train
from unweave.engine.ahead import ROOM, Ahead
from unweave.engine.feed import Feed
from unweave.engine.graph import WARM, Graphs, settings
from unweave.methods import DEFT, METHODS, BetaVAE, ControlVAE, FactorVAE, Method, RecurD
from unweave.networks import Conv
from unweave.store import RunFolder
from unweave.testing import Dots
from unweave.types import Adam, Loss, Rate, State, UserError

from .cards import Card, put_in
from .test_faults import ENDLESS, Fragile
from .tiny import apart, every, finals, fitted, same, tiny

LOOP = sys.modules["unweave.engine.train"]
"""The module, whose name the function inside it has taken."""
STAGES = DEFT((8.0, 2.0), stage_steps=7, optimizer_reset_on_stage=True)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    """Blocks are recorded and repeated, on the CPU."""
    monkeypatch.setattr(LOOP, "runner_of", lambda one, device: Graphs(device, one.precision))
    return put_in(monkeypatch)


@pytest.mark.parametrize("name", METHODS)
def test_blocks_of_every_method_equal_single_steps(name: str) -> None:
    one = fitted(every(name))
    assert same(finals(one, blocks=True)[one.key], finals(one)[one.key])


def test_blocks_end_at_the_steps_asked_for() -> None:
    one = tiny(BetaVAE(), steps=12)
    taken = {blocks: list(train(one, every=(3, 7, 40), blocks=blocks)) for blocks in (True, False)}
    assert [snapshot.step for snapshot in taken[True]] == [snapshot.step for snapshot in taken[False]] == [3, 7, 12]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_can_be_recorded_and_repeated(name: str, card: Card) -> None:
    """Alone and in a pack: a repeated step does what a step taken by Python does."""
    members = [fitted(every(name), seed=seed, steps=8) for seed in (0, 1)]
    for lockstep in (False, True):
        some = members if lockstep else members[:1]
        found, wanted = finals(some, blocks=True, lockstep=lockstep), finals(some, lockstep=lockstep)
        assert all(same(found[one.key], wanted[one.key]) for one in some)
    assert card.recorded >= 2 and card.replayed >= 4


@pytest.mark.parametrize("way", ["vmap", "products", "branches"])
@pytest.mark.parametrize(
    "method", [STAGES, ControlVAE(c_every=7), FactorVAE(critic_hidden=8, critic_layers=2)], ids=str
)
def test_every_way_of_lockstep_equals_alone(way: str, method: Method, card: Card) -> None:
    adams = (Adam(lr=3e-3), Adam(lr=1e-3, betas=(0.5, 0.9), weight_decay=0.1, clip=None))
    members = [tiny(method, network=Conv("lite", 8), seed=s, optimiser=a) for s, a in enumerate(adams)]
    found, plain = finals(members, blocks=True, lockstep=way), finals(members, lockstep=way)
    for one in members:
        alone = finals(one)[one.key]
        assert apart(found[one.key], alone) < 1e-9 and apart(plain[one.key], alone) < 1e-9
    assert card.replayed


@pytest.mark.parametrize("every_", [1, 3, 7, 1000])
@pytest.mark.parametrize("length", [1, 4, 128])
def test_blocks_end_where_snapshots_are_taken(
    every_: int, length: int, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LOOP, "LENGTH", length)
    one = tiny(STAGES, steps=23)
    plain = [(s.step, s.memory(0), s.trace(0)) for s in train(one, every=every_)]
    blocks = [(s.step, s.memory(0), s.trace(0)) for s in train(one, every=every_, blocks=True)]
    assert [step for step, *_ in blocks] == [step for step, *_ in plain]
    assert all(same(a[1], b[1]) and a[2] == b[2] for a, b in zip(blocks, plain, strict=True))


@pytest.mark.parametrize("cut", [1, 5, 7, 8, 13])
def test_a_training_stopped_inside_a_block_goes_on(cut: int, card: Card, tmp_path: Path) -> None:
    """Also by single steps, and the other way round."""
    one = tiny(STAGES, steps=20)
    whole = finals(one)[one.key]
    for first, then in ((True, True), (True, False), (False, True)):
        out = tmp_path / f"{first} {then}"
        run = train(one, out=out, every=cut, blocks=first)
        next(run)
        run.close()  # type: ignore[attr-defined]
        assert same(finals(one, out=out, blocks=then)[one.key], whole)


def test_windows_of_the_trace_that_lie_across_blocks(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unweave.engine.trace.LENGTH", 7)
    monkeypatch.setattr(LOOP, "LENGTH", 8)
    members = [tiny(seed=s, steps=38) for s in (0, 1)]
    plain, blocks = (list(train(members, every=16, lockstep=True, blocks=b)) for b in (False, True))
    for a, b in zip(plain, blocks, strict=True):
        assert a.trace(1) == b.trace(1) and torch.equal(a.terms["kl"], b.terms["kl"])
    assert blocks[-1].trace(0)["step"] == [5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0]


@pytest.mark.parametrize("lockstep", [False, "vmap", "branches"])
@pytest.mark.parametrize("where, term, at", [("term", "extra", 5), ("gradient", "gradient", 5), ("state", "memory", 8)])
def test_a_failure_inside_a_block(
    where: str, term: str, at: int, lockstep: bool | str, card: Card, tmp_path: Path
) -> None:
    """The same step and term as by single steps; the kept numbers are those of before, and the others go on."""
    members = [tiny(Fragile(limit, where)) for limit in (ENDLESS, 5.0, ENDLESS - 1)]
    snapshots = list(train(members, lockstep=lockstep, out=tmp_path, every=8, blocks=True))
    sick = RunFolder(tmp_path / members[1].key)
    status = sick.read("status")
    assert (status["state"], status["step"], status["term"]) == ("failed", at, term)
    assert sick.read_trace()["step"] == [float(step) for step in range(1, at + 1)]
    for one in (members[0], members[2]):
        whole = RunFolder(tmp_path / one.key).load()
        assert whole is not None and whole.step == 20 and apart(whole.tensors, finals(one)[one.key]) < 1e-9
    failures = [dict(zip([e.key for e in s.experiments], s.failures, strict=True)) for s in snapshots]
    found = next(one[members[1].key] for one in reversed(failures) if members[1].key in one)
    assert found is not None and (found.step, found.term) == (at, term)


@pytest.mark.parametrize("lockstep", [False, True])
@pytest.mark.parametrize("where", ["term", "gradient"])
def test_a_pack_that_breaks_inside_a_block_ends_there(where: str, lockstep: bool, card: Card) -> None:
    members = [tiny(Fragile(limit, where)) for limit in (5.0, 9.0)]
    for one in members if not lockstep else [members]:
        (plain,) = train(one, lockstep=lockstep, every=1000)
        (blocks,) = train(one, lockstep=lockstep, every=1000, blocks=True)
        assert (blocks.step, blocks.failures, blocks.done) == (plain.step, plain.failures, True)
        for member in range(len(plain.models)):
            assert plain.trace(member) == blocks.trace(member)
            # The trace of the first to break holds what is not a number, and that equals nothing.
            a, b = plain.memory(member), blocks.memory(member)
            assert all(torch.equal(a[name].nan_to_num(), b[name].nan_to_num()) for name in a)


def test_a_member_found_broken_at_a_snapshot_stays_as_it_is(card: Card) -> None:
    """Its memory is not a number from step 5 on, which no loss tells; the snapshot at 8 does."""
    members = [tiny(Fragile(limit, "state")) for limit in (5.0, ENDLESS)]
    snapshots = list(train(members, lockstep=True, every=8, blocks=True))
    assert torch.equal(snapshots[-1].memory(0)["adam count/all"], torch.tensor(8.0))


def test_told_and_stop_once_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LOOP, "LENGTH", 8)
    told: list[int] = []
    steps = [s.step for s in train(tiny(), every=12, blocks=True, told=lambda m, step, terms: told.append(step))]
    assert told == [8, 12, 20] and steps == [12, 20]
    one, asked = tiny(), iter([False, True])
    (snapshot,) = train(one, every=1000, blocks=True, stop=lambda: next(asked))
    assert snapshot.step == 16 and same(snapshot.memory(0), finals(tiny(steps=20), every=16)[one.key]) is False
    told.clear()
    values: dict[int, Mapping[str, Tensor]] = {}
    list(train(one, every=5, blocks=True, told=lambda m, step, terms: values.update({step: terms})))
    wanted: dict[int, Mapping[str, Tensor]] = {}
    list(train(one, told=lambda m, step, terms: wanted.update({step: terms})))
    assert all(torch.equal(values[step][name], wanted[step][name]) for step in (5, 10, 15, 20) for name in wanted[step])


class TestRecording:
    """What is recorded, when, and what happens where that cannot be."""

    def test_warm_steps_then_one_recording_for_each_kind(self, card: Card) -> None:
        finals(tiny(steps=20), blocks=True)
        assert (card.recorded, card.replayed, card.cleared) == (1, 20 - WARM, 1)

    def test_kinds_of_steps(self, card: Card) -> None:
        """Every second step moves the critic alone; a reset that comes once is never worth recording."""
        finals(fitted(RecurD(critic_hidden=8, critic_layers=1, n_critic=2), steps=20), blocks=True)
        assert (card.recorded, card.replayed, card.cleared) == (2, 20 - 2 * WARM, 2)
        card.recorded = card.replayed = 0
        finals(tiny(STAGES, steps=20), blocks=True)
        # Stage 0 alone, then stage 1 up to the end, its first step with a reset: DEFT's last stage has no end.
        assert (card.recorded, card.replayed) == (2, (7 - WARM) + (12 - WARM))

    @pytest.mark.parametrize("how", ["waits", "refused"])
    def test_what_cannot_be_recorded_runs_step_by_step_and_says_so_once(self, how: str, card: Card) -> None:
        method: Method = Looking() if how == "waits" else BetaVAE(beta=2.0)
        card.refuse = "operation not permitted when stream is capturing" if how == "refused" else ""
        one = tiny(method, steps=20)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = finals(one, blocks=True)[one.key]
        (warning,) = said
        text = str(warning.message)
        assert "cannot be recorded as a CUDA graph and are taken one by one" in text and "\n" not in text
        assert ("_local_scalar_dense waits" if how == "waits" else "not permitted") in text
        assert same(found, finals(one)[one.key]) and card.replayed == 0


@dataclass(frozen=True)
class Looking(BetaVAE):
    """A β-VAE that looks at a number of the batch, which nothing but lockstep forbids."""

    name: ClassVar[str] = "looking"

    def loss(self, model: Any, batch: Any, state: State) -> Loss:
        found = BetaVAE.loss(self, model, batch, state)
        return found._replace(total=found.total * (1 + 0 * batch.x.mean().item()))


@dataclass(frozen=True)
class Slowing(BetaVAE):
    """A learning rate that falls with every step, and is 0 in some."""

    name: ClassVar[str] = "slowing"

    def rates(self, step: int) -> Mapping[str, Rate]:
        return {"all": Rate(0.0 if step % 5 == 4 else 1 / (1 + step))}


def test_rates_that_change_with_every_step(card: Card) -> None:
    members = [tiny(Slowing(beta=b)) for b in (1.0, 4.0)]
    for lockstep in (False, True):
        found, wanted = finals(members, blocks=True, lockstep=lockstep), finals(members, lockstep=lockstep)
        assert all(same(found[one.key], wanted[one.key]) for one in members)
    assert card.recorded == 3 * 2


def test_an_unknown_group_in_rates_is_refused() -> None:
    kind = dataclass(frozen=True)(type("Wrong", (BetaVAE,), {"rates": lambda self, step: {"encodr": Rate()}}))
    with pytest.raises(UserError, match="unknown parameter group in rates"):
        finals(tiny(kind()), blocks=True)


class TestAhead:
    """What a block lays out is what is fed step by step."""

    @pytest.mark.parametrize("resident", [True, False])
    @pytest.mark.parametrize(
        "method", ["vae", "ada-gvae", FactorVAE(critic_hidden=8, critic_layers=1, second_batch=True)]
    )
    @pytest.mark.parametrize(("small", "room"), [(1 << 16, 0), (30, 0), (30, 1 << 30)])
    def test_batches(self, method: Any, resident: bool, small: int, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("unweave.engine.ahead.SMALL", small)
        monkeypatch.setitem(ROOM, "cpu", room)
        monkeypatch.setattr("unweave.engine.ahead.CHUNK", 100)
        data = Dots(haze=0.3)
        images, device = data.open(), torch.device("cpu")
        monkeypatch.setattr(type(images), "resident", resident)
        feeds = [Feed(tiny(method, data, seed=s, batch=6), images, device) for s in (0, 2**40)]
        ahead = Ahead(feeds, 12)
        assert bool(ahead.large) == (small == 30 and not room)
        for start, count in ((0, 12), (12, 12), (3, 5)):
            ahead.fill(start, count)
            for place in range(count):
                ahead.stage(place)
                found = ahead.batch(torch.tensor([place]), torch.tensor(start + place))
                for member, feed in enumerate(feeds):
                    wanted = feed.batch(start + place)
                    assert torch.equal(found.x[member], wanted.x) and torch.equal(found.y[member], wanted.y)
                    assert torch.equal(found.labels[member], wanted.labels) and int(found.step) == int(wanted.step)
                    assert (found.y is found.x) == (wanted.y is wanted.x) and found.rows == wanted.rows
                    for name in feed.noise:
                        assert torch.equal(found.noise[name][member], wanted.noise[name]), name


def test_settings_of_a_card_are_put_back() -> None:
    cudnn = torch.backends.cudnn
    before = (
        cudnn.deterministic,
        cudnn.benchmark,
        cudnn.conv.fp32_precision,
        torch.backends.cuda.matmul.fp32_precision,
    )
    for precision, wanted in (("float32", "ieee"), ("bf16", "ieee"), ("tf32", "tf32")):
        with settings(precision):
            assert cudnn.deterministic and not cudnn.benchmark and cudnn.conv.fp32_precision == wanted
    after = (cudnn.deterministic, cudnn.benchmark, cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision)
    assert after == before


def test_tf32_is_float32_on_a_cpu() -> None:
    one, other = (tiny(precision=precision) for precision in ("float32", "tf32"))
    assert same(finals(one)[one.key], finals(other)[other.key])


def test_float32_in_blocks() -> None:
    """Not only in float64: alone bit for bit, also the fused update with a learning rate that is a tensor."""
    for one in (tiny(precision="float32"), tiny(STAGES, precision="float32", network=Conv("lite", 8))):
        assert same(finals(one, blocks=True)[one.key], finals(one)[one.key])
