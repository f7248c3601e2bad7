"""Pairs of images that share all of their factors but some."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from unweave.data import Factors, Images, Triangle
from unweave.engine import train
from unweave.engine.feed import Feed
from unweave.engine.pairs import Neighbours, Partners, below
from unweave.methods import AdaGVAE, AdaMLVAE
from unweave.testing import Dots
from unweave.types import Batch, UserError

from .tiny import apart, finals, same, tiny


class Listed(Images):
    """Images known by their levels alone: pixel k is the level of factor k."""

    def __init__(self, factors: Factors | None, levels: Tensor) -> None:
        self.factors, self.rows, self.source, self.known = factors, len(levels), "drawn", levels

    def batch(self, rows: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        return self.known[rows][:, None, None].float()

    def levels(self, rows: Tensor) -> Tensor:
        return self.known[rows]


def grid(*sizes: int) -> tuple[Factors, Tensor]:
    factors = Factors(tuple(f"factor {place}" for place in range(len(sizes))), sizes)
    return factors, factors.levels(torch.arange(factors.count))


def partners(images: Images, changed: int, rows: Tensor, seed: int = 0) -> Tensor:
    """One partner for each of the rows."""
    assert images.factors is not None
    torch.manual_seed(seed)
    wide = len(rows), len(images.factors.sizes)
    found = Partners(images, changed, rows.device)
    draws = [torch.rand(*shape).to(rows.device) for shape in (wide, wide, (len(rows),))]
    return found.of(rows, *draws)


def differing(images: Images, a: Tensor, b: Tensor) -> Tensor:
    """In how many factors rows differ."""
    return (images.levels(a) != images.levels(b)).sum(1)


def feed(seed: int, device: torch.device, changed: int = 1, haze: float = 0.0, precision: str = "float64") -> Feed:
    one = tiny(AdaGVAE(changed=changed), Dots(haze), seed=seed, batch=8, precision=precision)
    return Feed(one, Dots(haze).open(device=device), device)


def levels_of(images: Tensor) -> Tensor:
    """The levels of Dots' images, found again by comparing pixels."""
    table = Dots().open().batch(torch.arange(32), {}).to(images)
    equal = (images[:, None] == table).flatten(2).all(2)
    assert bool((equal.sum(1) == 1).all())
    return Dots().factors.levels(equal.long().argmax(1).cpu())


@pytest.mark.parametrize(("changed", "allowed"), [(1, {1}), (2, {2}), (0, {1, 2})])
def test_pairs_differ_in_so_many_factors(changed: int, allowed: set[int], device: torch.device) -> None:
    one = feed(3, device, changed)
    seen: Counter[int] = Counter()
    for step in range(40):
        batch = one.batch(step)
        assert torch.equal(levels_of(batch.x), batch.labels.cpu())
        seen.update((levels_of(batch.y) != batch.labels.cpu()).sum(1).tolist())
    assert set(seen) == allowed
    if changed == 0:
        assert abs(seen[1] - 160) < 45, "five standard deviations of 320 fair coins"


@pytest.mark.parametrize("changed", [1, 2])
def test_partners_are_drawn_evenly(changed: int) -> None:
    """Factors evenly, and of each factor the other levels evenly: exact probabilities against 60,000 draws."""
    factors, levels = grid(2, 4, 1, 3)
    images = Listed(factors, levels)
    row, count = 17, 60_000
    found = Counter(partners(images, changed, torch.full((count,), row)).tolist())
    wanted: dict[int, float] = {}
    for other in range(images.rows):
        moved = [place for place in range(4) if levels[other, place] != levels[row, place]]
        if len(moved) == changed:
            wanted[other] = 1 / 3
            for place in moved:
                wanted[other] /= factors.sizes[place] - 1
    assert sum(wanted.values()) == pytest.approx(1) and set(found) == set(wanted)
    chi = sum((found[other] - count * p) ** 2 / (count * p) for other, p in wanted.items())
    assert chi < len(wanted) + 5 * (2 * len(wanted)) ** 0.5


def test_the_number_of_changes_is_drawn_evenly() -> None:
    images = Listed(*grid(3, 2, 4, 1, 2))
    rows = torch.arange(images.rows).repeat(400)
    counts = torch.bincount(differing(images, rows, partners(images, 0, rows)), minlength=5) / len(rows)
    torch.testing.assert_close(counts[1:4], torch.full((3,), 1 / 3), rtol=0, atol=0.02)
    assert counts[0] == 0 and counts[4] == 0


@pytest.mark.parametrize("changed", [0, 1, 3])
def test_sorting_finds_what_arithmetic_finds(changed: int, device: torch.device) -> None:
    """The same images in another order, whose neighbours must be searched for, have the same partners."""
    factors, levels = grid(3, 2, 5, 4)
    torch.manual_seed(5)
    order = torch.randperm(len(levels))
    known, mixed = Listed(factors, levels.to(device)), Listed(factors, levels[order].to(device))
    assert Neighbours(known, device).grid and not Neighbours(mixed, device).grid
    places = torch.arange(len(levels)).repeat(5).to(device)
    a = partners(known, changed, order.to(device)[places])
    b = partners(mixed, changed, places)
    assert torch.equal(known.levels(a), mixed.levels(b))


def test_partners_are_the_same_on_every_device(device: torch.device) -> None:
    factors, levels = grid(3, 2, 5, 4)
    for rows in (levels, levels[::3]):
        here = partners(Listed(factors, rows), 2, torch.arange(len(rows)))
        there = partners(Listed(factors, rows.to(device)), 2, torch.arange(len(rows), device=device))
        assert torch.equal(here, there.cpu())


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("changed", [1, 2, 0])
def test_parts_of_a_set(share: float, changed: int) -> None:
    """Partners exist, differ in no more than asked for, and where one factor leads nowhere share the most they can."""
    factors, levels = grid(4, 5, 3, 6)
    torch.manual_seed(0)
    images = Listed(factors, levels[torch.rand(len(levels)) < share])
    rows = torch.arange(images.rows).repeat(20)
    found = partners(images, changed, rows)
    far = differing(images, rows, found)
    apart_by = (images.known[:, None] != images.known[None]).sum(2)
    nearest = (apart_by + 9 * torch.eye(images.rows, dtype=torch.long)).amin(1)[rows]
    assert bool((far >= nearest).all() and (far[nearest > 1] == nearest[nearest > 1]).all())
    assert bool((far[nearest == 1] >= 1).all() and (far[nearest == 1] <= (changed or 3)).all())
    if changed == 1:
        assert torch.equal(far, nearest)
    if share < 0.1:
        assert bool((nearest > 1).any()), "some images have no neighbour"


def test_a_part_of_a_set_draws_evenly_among_neighbours() -> None:
    factors, levels = grid(2, 6)
    images = Listed(factors, levels[[0, 1, 3, 5, 6, 9]])
    found = Counter(partners(images, 1, torch.zeros(30_000, dtype=torch.long)).tolist())
    shares = {row: count / 30_000 for row, count in sorted(found.items())}
    assert shares == pytest.approx({1: 1 / 6, 2: 1 / 6, 3: 1 / 6, 4: 1 / 2}, abs=0.02)


def test_several_images_of_equal_levels() -> None:
    """Partners differ in a factor, so never in nothing but their row."""
    factors, levels = grid(3, 2)
    images = Listed(factors, levels.repeat(4, 1))
    rows = torch.arange(images.rows).repeat(50)
    found = partners(images, 1, rows)
    assert set(differing(images, rows, found).tolist()) == {1}
    assert len(set(found[rows == 0].tolist())) == 12, "each of 4 images of 3 neighbours"


def test_the_triangle_has_no_pairs_that_differ_in_orientation_alone() -> None:
    """Its positions fix the orientation; some share row or column and orientation with no other."""
    images = Triangle().open()
    rows = torch.arange(images.rows)
    known = images.levels(rows)
    nearest = torch.stack([(known != one).sum(1).sort().values[1] for one in known])
    assert set(nearest.tolist()) == {1, 2}
    assert torch.equal(differing(images, rows, partners(images, 1, rows)), nearest)
    for changed in (2, 0):
        far = differing(images, rows, partners(images, changed, rows))
        assert bool((far >= nearest).all() and (far <= 2).all())
    moved = (known != images.levels(partners(images, 1, rows)))[nearest == 1]
    assert not bool(moved[:, 0].any())


def test_images_that_are_all_alone() -> None:
    """A diagonal: no two images share a level, so any other image is a nearest one."""
    factors, _ = grid(5, 5, 5)
    images = Listed(factors, torch.arange(5)[:, None].expand(5, 3))
    found = partners(images, 1, torch.arange(5))
    assert bool((found != torch.arange(5)).all())
    assert torch.equal(found, partners(images, 2, torch.arange(5), seed=1)), "a fixed one"


def rows_of(batch: Batch) -> tuple[list[int], list[int]]:
    factors = Dots().factors
    return factors.index(batch.labels.cpu()).tolist(), factors.index(levels_of(batch.y)).tolist()


def test_pairs_follow_seed_and_step_alone(device: torch.device) -> None:
    """After a resume, in any order of steps and with any precision the same pairs come."""
    one = feed(7, device)
    seen = {step: rows_of(one.batch(step)) for step in range(40)}
    for step in (39, 16, 15, 3):
        assert rows_of(feed(7, device).batch(step)) == seen[step]
        assert rows_of(feed(7, device, precision="float32").batch(step)) == seen[step]
    assert rows_of(feed(8, device).batch(3)) != seen[3]
    assert len({str(pairs[1]) for pairs in seen.values()}) == 40


def test_each_view_has_its_own_nuisance_noise(device: torch.device) -> None:
    clean, hazy = feed(1, device).batch(2), feed(1, device, haze=0.3).batch(2)
    off = [(noisy - sharp)[sharp == 0] for noisy, sharp in ((hazy.x, clean.x), (hazy.y, clean.y))]
    assert all(0 < float(one.mean()) < 0.3 for one in off)
    background = (clean.x == 0) & (clean.y == 0)
    assert not torch.equal(hazy.x[background], hazy.y[background])


@pytest.mark.parametrize("method", [AdaGVAE(beta=2.0), AdaMLVAE(beta=2.0, changed=0, distance="symmetric")])
def test_pairs_in_lockstep_and_resumed(method: AdaGVAE | AdaMLVAE, tmp_path_factory: pytest.TempPathFactory) -> None:
    members = [tiny(method, seed=seed) for seed in (0, 1, 2)]
    together, in_turn = finals(members, lockstep=True), finals(members, lockstep=False)
    assert all(apart(together[one.key], in_turn[one.key]) < 1e-9 for one in members)
    out = tmp_path_factory.mktemp("runs")
    steps = train(members[0], every=7, out=out)
    next(iter(steps))
    del steps
    assert same(finals(members[0], out=out, every=7)[members[0].key], in_turn[members[0].key])


def test_packs_share_what_is_known_of_the_data() -> None:
    images = Dots().open()
    device = torch.device("cpu")
    first, second = (Feed(tiny(AdaGVAE(), seed=seed), images, device) for seed in (0, 1))
    assert first.partners is not None and second.partners is not None
    assert first.partners.neighbours is second.partners.neighbours


def test_no_factors_no_pairs() -> None:
    with pytest.raises(UserError, match="allowed: data with factors"):
        Partners(Listed(None, torch.zeros(3, 0)), 1, torch.device("cpu"))


def test_whole_numbers_from_uniform_ones() -> None:
    most = torch.tensor([1 - 2.0**-24], dtype=torch.float32)
    sizes = torch.tensor([0, 1, 2, 3, 7, 737_280])
    assert below(sizes, most.expand(6)).tolist() == [0, 0, 1, 2, 6, 737_279]
    assert below(sizes, torch.zeros(6)).tolist() == [0] * 6
