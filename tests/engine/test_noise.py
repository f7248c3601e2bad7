"""Random numbers as a pure function of (seed, step, stream)."""

from __future__ import annotations

import math
import random
import zlib

import pytest
import torch

from unweave.engine import noise
from unweave.engine.noise import Order, draw, philox, words
from unweave.testing.methods import KINDS
from unweave.types import Draw

from . import philox as oracle

KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]
"""Counter, key and output as published with the generator (Random123, kat_vectors: philox4x32, 10 rounds)."""
BIG = 2**63 - 1


def numbers(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def tensors(values: list[int], device: torch.device) -> tuple[torch.Tensor, ...]:
    return tuple(torch.tensor([value], device=device) for value in values)


@pytest.mark.parametrize("counter, key, output", KNOWN)
def test_known_answers(counter: str, key: str, output: str, device: torch.device) -> None:
    k0, k1 = tensors(numbers(key), device)
    found = [int(word) for word in philox(tensors(numbers(counter), device), (k0, k1))]
    assert found == numbers(output) == oracle.block(numbers(counter), numbers(key))


def test_random_counters_against_the_transcription(device: torch.device) -> None:
    source = random.Random(1)
    counters = [[source.getrandbits(32) for _ in range(4)] for _ in range(200)]
    keys = [[source.getrandbits(32) for _ in range(2)] for _ in range(200)]
    columns = tuple(torch.tensor(column, device=device) for column in zip(*counters, strict=True))
    k0, k1 = (torch.tensor(column, device=device) for column in zip(*keys, strict=True))
    found = torch.stack(philox(columns, (k0, k1)), 1).tolist()
    assert found == [oracle.block(c, k) for c, k in zip(counters, keys, strict=True)]


@pytest.mark.parametrize("seed", [0, 7, 2**32 + 5, BIG])
@pytest.mark.parametrize("step", [0, 3, 2**33 + 1, BIG])
def test_words_normals_and_uniforms_against_the_transcription(seed: int, step: int, device: torch.device) -> None:
    name = zlib.crc32(b"noise z")
    seeds = torch.tensor([1, seed], device=device)
    wanted = oracle.words(seed, step, name, 10)
    assert words(seeds, step, "noise z", 10)[1].tolist() == wanted
    uniform = draw(seeds, step, "noise z", Draw((2, 5), "uniform"), torch.float64)[1].flatten().tolist()
    assert uniform == [(word >> 8) / 2**24 for word in wanted]
    normal = draw(seeds, step, "noise z", Draw((5, 2)), torch.float64)[1].flatten().tolist()
    assert normal == pytest.approx(oracle.normals(wanted), rel=1e-12, abs=1e-12)
    assert draw(seeds, step, "noise z", Draw((9,)), torch.float64)[1].tolist() == normal[:9]


def test_uniforms_lie_in_0_to_1_with_1_left_out(device: torch.device) -> None:
    found = draw(torch.tensor([3], device=device), 0, "u", Draw((100_000,), "uniform"))
    assert 0 <= float(found.min()) < 1e-4 and 1 - 1e-4 < float(found.max()) < 1
    assert float((2**32 - 1 >> 8) * 2.0**-24) < 1
    counts = torch.histc(found.cpu(), 20, 0, 1)
    assert float(((counts - 5000) ** 2 / 5000).sum()) < 43.8, "chi-square with 19 degrees of freedom at 0.1 %"


@pytest.mark.parametrize("count", [1, 4, 16, 37])
def test_bytes_are_the_bytes_of_the_words(count: int, device: torch.device) -> None:
    seeds = torch.tensor([1, BIG], device=device)
    found = draw(seeds, 3, "noise z", Draw((count,), "bytes"), torch.float64)
    wanted = b"".join(
        word.to_bytes(4, "little") for word in oracle.words(BIG, 3, zlib.crc32(b"noise z"), -(-count // 4))
    )
    assert found.dtype == torch.uint8 and bytes(found[1].tolist()) == wanted[:count]


def test_bytes_are_equally_frequent(device: torch.device) -> None:
    found = draw(torch.tensor([3], device=device), 0, "u", Draw((8, 32_000), "bytes"))[0]
    counts = torch.bincount(found.flatten().cpu().long(), minlength=256)
    assert float(((counts - 1000.0) ** 2 / 1000).sum()) < 330.5, "chi-square with 255 degrees of freedom at 0.1 %"


def test_normals_are_normal(device: torch.device) -> None:
    count = 200_000
    z = draw(torch.tensor([11], device=device), 5, "z", Draw((count,)), torch.float64).flatten().cpu()
    for power, moment, spread in ((1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)):
        assert abs(float((z**power).mean()) - moment) < 4 * math.sqrt(spread / count), power
    ordered = z.sort().values
    cumulative = 0.5 * (1 + torch.erf(ordered / math.sqrt(2)))
    steps = torch.arange(count + 1, dtype=torch.float64) / count
    distance = max(float((steps[1:] - cumulative).max()), float((cumulative - steps[:-1]).max()))
    assert distance < 1.95 / math.sqrt(count), "Kolmogorov and Smirnov's statistic at 0.1 %"
    assert bool(torch.isfinite(draw(torch.tensor([0]), 0, "z", Draw((1,)))).all())


def test_the_largest_and_smallest_words_give_finite_normals() -> None:
    for word in (0, 2**32 - 1):
        radius = oracle.normals([word, 0])[0]
        assert 0 <= radius < 7 and math.isfinite(radius)


@pytest.mark.parametrize("kind", KINDS)
def test_seed_7_alone_is_seed_7_among_fifty(kind: str, device: torch.device) -> None:
    many = draw(torch.arange(50, device=device), 3, "z", Draw((4, 6), kind))
    alone = draw(torch.tensor([7], device=device), 3, "z", Draw((4, 6), kind))
    assert torch.equal(many[7], alone[0])
    assert len({str(one.tolist()) for one in many}) == 50


@pytest.mark.parametrize("kind", KINDS)
def test_steps_streams_and_seeds_are_independent(kind: str) -> None:
    what = Draw((1000,), kind)
    cases = [(s, t, n) for s in (0, 1, 2**32) for t in (0, 1, 2**32) for n in ("a", "b")]
    found = torch.cat([draw(torch.tensor([s]), t, n, what).double() for s, t, n in cases])
    correlation = torch.corrcoef(found) - torch.eye(len(cases))
    assert float(correlation.abs().max()) < 4.5 / math.sqrt(1000)


def test_a_longer_draw_begins_like_a_shorter_one() -> None:
    short, long = (draw(torch.tensor([2]), 1, "z", Draw((count,))) for count in (5, 500))
    assert torch.equal(short[0], long[0, :5])


def test_permutations_are_permutations_and_fair() -> None:
    found = draw(torch.tensor([5]), 0, "p", Draw((6000, 3), "permutation"))[0]
    assert torch.equal(found.sort(1).values, torch.arange(3).expand(6000, 3))
    counts = torch.bincount(found @ torch.tensor([9, 3, 1]), minlength=27)
    counts = counts[counts > 0]
    assert len(counts) == 6 and float(((counts - 1000.0) ** 2 / 1000).sum()) < 20.5, "chi-square, 5 degrees, 0.1 %"


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="allowed: normal, uniform, bytes, permutation"):
        draw(torch.tensor([0]), 0, "z", Draw((1,), "cauchy"))


@pytest.mark.parametrize("rows, batch", [(10, 3), (10, 5), (10, 10), (7, 20), (1, 4)])
def test_every_epoch_is_a_permutation_of_all_rows(rows: int, batch: int, device: torch.device) -> None:
    order = Order(3, rows, batch, device)
    epochs = 6
    seen = torch.cat([order.at(step) for step in range(-(-epochs * rows // batch))])[: epochs * rows]
    cut = seen.view(epochs, rows).cpu()
    assert torch.equal(cut.sort(1).values, torch.arange(rows).expand(epochs, rows))
    assert rows < 7 or len({str(one.tolist()) for one in cut}) == epochs
    assert all(len(order.at(step)) == batch for step in (0, 5, 1000))


@pytest.mark.parametrize("rows, batch, span", [(1, 64, 3), (10, 256, 2), (7, 5, 9), (300, 64, 30)])
def test_epochs_drawn_together_are_those_drawn_one_by_one(
    rows: int, batch: int, span: int, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small sets have many epochs in a batch or a block: one call for all of them, the same order."""
    together = Order(3, rows, batch, device).span(2, span)
    monkeypatch.setattr(noise, "TOGETHER", 1)
    assert torch.equal(together, Order(3, rows, batch, device).span(2, span))


def test_an_order_asked_from_the_middle_is_the_same(device: torch.device) -> None:
    order = Order(3, 10, 7, device)
    walked = [order.at(step) for step in range(30)]
    assert len(order._epochs) <= 2, "epochs long past are forgotten"
    for step in (29, 4, 17, 0):
        assert torch.equal(Order(3, 10, 7, device).at(step), walked[step])
        assert torch.equal(order.at(step), walked[step])
    assert not torch.equal(Order(4, 10, 7, device).at(0), walked[0])
    assert not torch.equal(Order(3, 10, 7, device, "order y").at(0), walked[0])
