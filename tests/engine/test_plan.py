"""What a training takes, told before it starts: how many models fit, how many steps are left, how much memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch

from unweave.engine import Snapshot, pack, plan, train
from unweave.engine.blocks import Blocks
from unweave.engine.pack import sized
from unweave.engine.plan import Cost, Group, free, measure, size
from unweave.methods import BetaVAE
from unweave.networks import MLP
from unweave.testing import Dots
from unweave.types import Batch, Loss, State, UserError

from .tiny import same, tiny

CPU = torch.device("cpu")


def test_groups_cover_every_experiment_once_in_the_order_of_training() -> None:
    many = [tiny(seed=k) for k in range(3)] + [tiny("beta-vae", steps=7)] + [tiny(seed=1)]
    found = plan(many, device="cpu")
    assert [one.key for group in found.groups for one in group.experiments] == [
        one.key for members in pack(many) for one in members
    ]
    assert [group.steps for group in found.groups] == [20, 20, 20, 7]
    assert found.seconds == pytest.approx(sum(group.steps * group.cost.seconds for group in found.groups))
    assert found.memory == max(group.cost.memory for group in found.groups)


def test_steps_taken_already_are_not_counted() -> None:
    one, other = tiny(), tiny(seed=1)
    found = plan([one, other], device="cpu", begun={one.key: 15})
    assert [group.steps for group in found.groups] == [5, 20]


@pytest.mark.parametrize("models, wanted", [(1, [1] * 5), (2, [1, 2, 2]), (3, [2, 3]), (5, [5]), (99, [5])])
def test_as_many_in_lockstep_as_fit(models: int, wanted: list[int]) -> None:
    many = [tiny(seed=k) for k in range(5)]
    one = plan(many[0], device="cpu").memory
    found = plan(many, device="cpu", lockstep=True, memory=models * one + one // 2)
    assert [len(group.experiments) for group in found.groups] == wanted
    assert [group.cost.memory for group in found.groups] == [one * size for size in wanted]


def test_a_model_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match=r"one model of vae needs .* kB, free are 1\.0 kB; allowed: smaller batches"):
        plan(tiny(), device="cpu", memory=1000)


def test_memory_is_that_of_parameters_and_of_what_the_gradients_need() -> None:
    """One hidden layer on squares of 8 × 8: counted by hand from what each layer's gradient reads."""
    batch, pixels, hidden, latents, number = 64, 64, 8, 4, 8
    found = measure([tiny(batch=batch)], Dots().open(), CPU).memory
    parameters = hidden * (pixels + 1) + 2 * latents * (hidden + 1) + hidden * (latents + 1) + pixels * (hidden + 1)
    image = batch * pixels * number
    assert Dots().shape == (1, 8, 8)
    # The images, the logits and a few arrays as wide as the hidden layer, besides four numbers a parameter; the most
    # that a step holds at once is two images more.
    least = 4 * parameters * number + 2 * image + 2 * image
    assert least <= found <= least + 30 * batch * hidden * number


def test_measuring_leaves_the_experiment_and_the_random_state_alone() -> None:
    def last(snapshots: Any) -> Snapshot:
        return list(snapshots)[-1]

    one = tiny()
    before, state = last(train(one, every=99)).memory(0), torch.get_rng_state()
    plan(one, device="cpu")
    assert torch.equal(torch.get_rng_state(), state)
    assert same(last(train(one, every=99)).memory(0), before)


def test_images_of_a_plan_are_not_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0
    open_ = Dots.open

    def counted(self: Dots, *given: Any) -> Any:
        nonlocal count
        count += 1
        return open_(self, *given)

    monkeypatch.setattr(Dots, "open", counted)
    one = tiny(data=Dots(0.125))
    found = plan(one, device="cpu")
    list(train(one, every=99, images=found.images))
    assert count == 1 and list(found.images) == [one.data]
    list(train(one, every=99))
    assert count == 2


@pytest.mark.parametrize("most, wanted", [(None, [5]), (2, [1, 2, 2]), (1, [1] * 5)])
def test_packs_are_cut_to_what_fits(most: int | None, wanted: list[int]) -> None:
    many = [tiny(BetaVAE(beta=float(k)), steps=2) for k in range(5)]
    found = list(train(many, every=99, lockstep=True, most=most))
    assert [len(snapshot.experiments) for snapshot in found] == wanted
    assert [one.key for snapshot in found for one in snapshot.experiments] == [one.key for one in many]


def test_cut_evenly() -> None:
    for count in range(12):
        for most in range(1, 14):
            groups = list(sized(range(count), most))
            assert [one for group in groups for one in group] == list(range(count))
            assert all(0 < len(group) <= most for group in groups)
            assert not groups or max(map(len, groups)) - min(map(len, groups)) <= 1
            assert len(groups) == -(-count // most)


def test_words_and_sums() -> None:
    assert [size(n) for n in (12, 1200, 99_400_000, 10**9)] == ["12 bytes", "1.2 kB", "99 MB", "1.0 GB"]
    assert free(CPU) > 1 << 20
    assert Group((), 300, Cost(0.5, 1)).seconds == 150
    with pytest.raises(UserError, match="most = 0; allowed: a whole number from 1"):
        next(train(tiny(network=MLP((4,))), most=0))


@dataclass(frozen=True)
class Bright(BetaVAE):
    """A loss that looks at a number, which ``vmap`` refuses."""

    name = "bright"

    def loss(self, model: Any, batch: Batch, state: State) -> Loss:
        found = super().loss(model, batch, state)
        return found._replace(total=found.total * (1 + 0 * float(batch.x.mean())))


def test_what_is_timed_is_what_trains() -> None:
    """The way of lockstep that is asked for: a pack that trains in branches is not refused because vmap would."""
    many = [tiny(Bright(), seed=seed) for seed in range(3)]
    found = plan(many, device="cpu", lockstep="branches")
    assert [len(group.experiments) for group in found.groups] == [3] and found.seconds > 0
    list(train(many, device="cpu", lockstep="branches"))
    with pytest.raises(RuntimeError, match="item"):
        plan(many, device="cpu", lockstep="vmap")


@pytest.mark.parametrize("lockstep", [False, True, "branches"])
@pytest.mark.parametrize("steps", [20, 60])
def test_steps_are_timed_in_blocks_where_they_are_taken_in_blocks(
    lockstep: bool | str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long enough ones; of a short training single steps are timed."""
    ran: list[int] = []
    run = Blocks.run
    monkeypatch.setattr(Blocks, "run", lambda self, count: (ran.append(count), run(self, count))[1])
    many = [tiny(steps=steps, seed=seed) for seed in range(2)]
    found = plan(many, device="cpu", lockstep=lockstep, blocks=True)
    kinds = 1 if lockstep is False else 2  # one model alone, and the pack
    assert ran == ([] if steps == 20 else [29, 29] * kinds) and found.seconds > 0
    assert found.memory == plan(many, device="cpu", lockstep=lockstep).memory
