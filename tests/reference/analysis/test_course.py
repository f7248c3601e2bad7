"""Information over training, pairs of latents and diffusion events, counted in plain loops."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch

from unweave.analysis import Course, diffusion_events, pairwise_nmi, point
from unweave.metrics import MeanPairwiseMI
from unweave.types import Codes

BINS = 5


def binned(column: list[float]) -> list[int]:
    low, high = min(column), max(column)
    return [min(BINS - 1, int((v - low) / (high - low) * BINS)) for v in column]


def entropy(symbols: list[object]) -> float:
    counts = Counter(symbols)
    return -sum(n / len(symbols) * math.log(n / len(symbols)) for n in counts.values())


def shared(a: list[int], b: list[int]) -> float:
    return entropy(list(a)) + entropy(list(b)) - entropy(list(zip(a, b, strict=True)))


def made(seed: int) -> Codes:
    generator = torch.Generator().manual_seed(seed)
    levels = torch.stack([torch.randint(0, n, (60,), generator=generator) for n in (3, 4)], 1)
    z = levels.float() @ torch.randn(2, 3, generator=generator) + torch.randn(60, 3, generator=generator)
    return Codes.of(z.double(), levels, logvar=torch.full((60, 3), -1.0).double())


def test_nmi_and_its_ranks() -> None:
    each = [made(seed) for seed in range(3)]
    course = Course.of([point(codes, 10 * t, bins=BINS, samples=0) for t, codes in enumerate(each)])
    for t, codes in enumerate(each):
        latents = [binned(column) for column in codes.mean.T.tolist()]
        factors = codes.levels.T.tolist()
        first = second = 0.0
        for k, factor in enumerate(factors):
            found = [shared(z, factor) / entropy(factor) for z in latents]
            assert course.nmi[t, :, k] == pytest.approx(found, abs=1e-9)
            best, next_best, _ = sorted(found, reverse=True)
            assert (course.ranked(1)[t, k], course.ranked(2)[t, k]) == pytest.approx((best, next_best), abs=1e-9)
            first, second = first + best / len(factors), second + next_best / len(factors)
        assert course.nmi1[t] == pytest.approx(first, abs=1e-9)
        assert course.nmi2[t] == pytest.approx(second, abs=1e-9)
        assert course.mig[t] == pytest.approx(first - second, abs=1e-9)
        kl = [sum(0.5 * (m * m + math.exp(-1) + 1 - 1) for m in column) / 60 for column in codes.mean.T.tolist()]
        assert course.kl[t] == pytest.approx(kl, rel=1e-9)


def test_pairs() -> None:
    codes = made(7)
    latents = [binned(column) for column in codes.mean.T.tolist()]
    found = pairwise_nmi(codes, BINS)
    off = []
    for i, a in enumerate(latents):
        for j, b in enumerate(latents):
            truth = shared(a, b) / math.sqrt(entropy(list(a)) * entropy(list(b)))
            assert found[i, j] == pytest.approx(truth, abs=1e-9)
            off += [truth] if i != j else []
    assert MeanPairwiseMI(bins=BINS)(codes).parts["nmi"] == pytest.approx(sum(off) / len(off), abs=1e-9)


def by_the_rule(nmi: np.ndarray, mi: list[float], delta: float) -> set[tuple[int, int]]:
    """(factor, step) at which §6.2 sees diffusion: NMI(c, 1) more than δ under its running maximum, NMI(c, 2) or MI
    above what they were there."""
    found = set()
    for k in range(nmi.shape[2]):
        for t in range(len(nmi)):
            ranked = [sorted(nmi[s, :, k].tolist(), reverse=True) for s in range(t + 1)]
            peak = max(range(t + 1), key=lambda s: (ranked[s][0], s))
            if ranked[peak][0] - ranked[t][0] > delta and (ranked[t][1] > ranked[peak][1] or mi[t] > mi[peak]):
                found.add((k, t))
    return found


@pytest.mark.parametrize("seed", range(20))
def test_events_are_seen_when_the_rule_sees_them(seed: int) -> None:
    random = np.random.default_rng(seed)
    nmi = np.abs(np.cumsum(random.normal(0, 0.06, (15, 3, 2)), 0)) % 1.0
    mi = np.cumsum(random.normal(0.1, 0.3, 15)).tolist()
    steps = list(range(15))
    marked = by_the_rule(nmi, mi, 0.05)
    events = diffusion_events(steps, nmi, np.array(mi), None, 0.05)
    assert {(int(e.factor), e.seen) for e in events} <= marked
    for k, t in marked:
        spans = [(e.seen, e.peak) for e in events if int(e.factor) == k]
        assert any(seen <= t and peak < t for seen, peak in spans), (k, t)
    for event in events:
        column = nmi[:, :, int(event.factor)]
        assert event.peak < event.seen <= event.lowest
        assert column[event.peak].max() == column[: event.seen + 1].max()
        assert event.drop == pytest.approx(column[event.peak].max() - column[event.lowest].max(), abs=1e-12)
        assert event.drop > 0.05
        assert column[event.peak].argmax() == event.source != event.receiver
