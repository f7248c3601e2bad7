"""Sums over all posteriors are made on the bench, which may be another device than the codes', and come back."""

from __future__ import annotations

import pytest
import torch

from unweave import Codes
from unweave.analysis import kl_decompose
from unweave.metrics import MIGPosterior

LEVELS = torch.cartesian_prod(torch.arange(4), torch.arange(5))
CODES = Codes.of(
    torch.cat([LEVELS.double(), LEVELS.double() @ torch.ones(2, 1).double()], -1),
    LEVELS,
    logvar=torch.linspace(-2, 1, 60).reshape(20, 3).double(),
)


def put(monkeypatch: pytest.MonkeyPatch, where: torch.device) -> None:
    monkeypatch.setattr("unweave.mixture.bench", lambda: where)
    monkeypatch.setattr("unweave.metrics.mig_posterior.bench", lambda: where)


def test_the_same_numbers_wherever_they_are_summed(monkeypatch: pytest.MonkeyPatch, device: torch.device) -> None:
    put(monkeypatch, torch.device("cpu"))
    rate, score = kl_decompose(CODES, samples=100), MIGPosterior(samples=100)(CODES)
    put(monkeypatch, device)
    again, scored = kl_decompose(CODES, samples=100), MIGPosterior(samples=100)(CODES)
    assert [again.kl, again.mi, again.tc, again.dw] == pytest.approx([rate.kl, rate.mi, rate.tc, rate.dw], abs=1e-10)
    assert (scored.value, scored.parts) == (
        pytest.approx(score.value, abs=1e-10),
        pytest.approx(dict(score.parts), abs=1e-10),
    )


@pytest.mark.parametrize("measure", (lambda: kl_decompose(CODES, samples=100), lambda: MIGPosterior(samples=9)(CODES)))
def test_all_of_it_is_on_the_bench_until_the_result(monkeypatch: pytest.MonkeyPatch, measure) -> None:
    # A tensor left elsewhere is another error, earlier: "meta" computes shapes and refuses to be mixed or looked at.
    put(monkeypatch, torch.device("meta"))
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        measure()
