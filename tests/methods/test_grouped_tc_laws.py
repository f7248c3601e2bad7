"""Identities of the grouped total-correlation family, and its estimators where the truth is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from unweave.engine import Experiment
from unweave.methods import HFVAE, VAE, BetaSTCVAE, BetaTCVAE, Method
from unweave.methods.grouped_tc import ESTIMATORS, densities, log_weights, pairwise, partition, split
from unweave.types import Gaussian, UserError

from .case import BODY, LATENTS, SPEC, case, gradients

DSPRITES = 737_280
CORRECT = ("batch", "mss", "exact-weights")
each = pytest.mark.parametrize("estimator", ESTIMATORS)
forms = pytest.mark.parametrize("kl", ["analytic", "sampled"])


def learned(method: Method) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a method on the family's one network, and its gradients."""
    one = case(method)
    total = one.loss().total
    total.backward()
    return total.detach(), gradients(one.model)


def assert_same(one: Method, other: Method, tolerance: float = 0.0) -> None:
    (a, grads), (b, expected) = learned(one), learned(other)
    torch.testing.assert_close(a, b, rtol=tolerance, atol=0)
    for name, value in grads.items():
        torch.testing.assert_close(value, expected[name], rtol=tolerance, atol=100 * tolerance, msg=name)


@each
@forms
def test_groups_of_one_are_beta_tcvae_bit_for_bit(estimator: str, kl: str) -> None:
    tcvae = BetaTCVAE(5.0, estimator=estimator, kl=kl)
    assert_same(BetaSTCVAE(5.0, 1, estimator=estimator, kl=kl), tcvae)
    assert_same(HFVAE(5.0, 99.0, 1, estimator=estimator, kl=kl), tcvae)


@each
@forms
@pytest.mark.parametrize("size", [2, 3, 4, 6])
def test_one_pressure_between_and_within_groups_is_beta_tcvae(estimator: str, kl: str, size: int) -> None:
    grouped = HFVAE(5.0, 5.0, size, 0.7, 1.3, size == 4, estimator, kl)
    assert_same(grouped, BetaTCVAE(5.0, 0.7, 1.3, estimator, kl), 1e-12)


@each
@forms
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_no_pressure_within_groups_is_beta_stcvae_bit_for_bit(estimator: str, kl: str, size: int) -> None:
    rest = {"allow_remainder": size == 4, "estimator": estimator, "kl": kl}
    assert_same(HFVAE(5.0, 0.0, size, **rest), BetaSTCVAE(5.0, size, **rest))


@each
def test_weights_of_one_are_the_vae(estimator: str) -> None:
    assert_same(BetaTCVAE(1.0, estimator=estimator), VAE())
    assert_same(HFVAE(1.0, 1.0, 2, estimator=estimator), VAE())


@each
@forms
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_one_group_of_all_has_no_joint_total_correlation(estimator: str, kl: str, precision: str) -> None:
    """Exactly none, neither in the value nor in the gradient: β makes no difference."""
    one = case(BetaSTCVAE(5.0, LATENTS, estimator=estimator, kl=kl), precision=precision)
    terms = one.loss().terms
    assert terms["tc_joint"].item() == 0.0 and terms["tc"].item() == terms["tc_within"].item() != 0.0
    assert_same(BetaSTCVAE(5.0, LATENTS, kl=kl), BetaSTCVAE(50.0, LATENTS, kl=kl))


@forms
def test_mws_and_batch_learn_the_same(kl: str) -> None:
    for method in (BetaTCVAE, BetaSTCVAE, HFVAE):
        (total, mws), (other, batch) = (learned(method(5.0, estimator=e, kl=kl)) for e in ("mws", "batch"))
        assert abs(float(total - other)) > 1
        for name, value in mws.items():
            torch.testing.assert_close(value, batch[name], rtol=1e-12, atol=1e-13)


def test_mws_never_records_its_constants() -> None:
    """A product of D densities that are each too small by a factor of N is no total correlation."""
    mws, batch = (case(HFVAE(5.0, estimator=e)).loss().terms for e in ("mws", "batch"))
    for name, value in mws.items():
        assert value.item() == pytest.approx(batch[name].item(), rel=1e-12, abs=1e-12), name


@each
def test_parts_add_up_to_the_sampled_rate(estimator: str) -> None:
    one = case(HFVAE(5.0, 2.0, 2, estimator=estimator))
    q = one.model.encode(one.batch.x)
    z = q.sample(one.batch.noise["z"])
    found = densities(pairwise(q, z), log_weights(estimator, 100, z), partition(LATENTS, 2))
    sampled = (q.log_prob(z) + 0.5 * (z**2 + math.log(2 * math.pi))).sum(-1).mean()
    assert sum(split(q, z, found)).item() == pytest.approx(sampled.item(), rel=1e-12)


@pytest.mark.parametrize("count, rows", [(2, 2), (2, 100), (5, 5), (5, 100), (64, 737_280)])
@pytest.mark.parametrize("estimator", CORRECT)
def test_weights_add_up_to_one_in_each_row(estimator: str, count: int, rows: int) -> None:
    weights = log_weights(estimator, rows, torch.zeros(count, dtype=torch.float64)).exp()
    torch.testing.assert_close(weights.sum(1), torch.ones(count, dtype=torch.float64), rtol=1e-14, atol=0)


@pytest.mark.parametrize("count, rows", [(2, 100), (5, 100), (64, 737_280)])
def test_stratified_weights_row_by_row(count: int, rows: int) -> None:
    """Chen et al., appendix C.2: with M = B − 1 other images, 1/N for the image itself, (N − M)/(NM) for one of the
    others, 1/M for each of the rest. Public code fills the first two columns instead."""
    weights = log_weights("mss", rows, torch.zeros(count, dtype=torch.float64)).exp()
    others = count - 1
    for b in range(count):
        row = weights[b].tolist()
        assert row.pop(b) == pytest.approx(1 / rows, rel=1e-12)
        neighbour = row.pop(b % others)
        assert neighbour == pytest.approx((rows - others) / (rows * others), rel=1e-12)
        assert row == pytest.approx([1 / others] * (count - 2), rel=1e-12)


def test_weights_count_once_whatever_the_number_of_latents() -> None:
    """A density of D latents holds the log-weight once: equal posteriors have q(z) = q(z|x) for any D."""
    for estimator in CORRECT:
        for latents in (1, 3, 30):
            q = Gaussian(*torch.zeros(2, 8, latents, dtype=torch.float64))
            z = torch.linspace(-1, 1, 8 * latents, dtype=torch.float64).view(8, latents)
            found = densities(pairwise(q, z), log_weights(estimator, 1000, z), partition(latents, 1))
            torch.testing.assert_close(found.joint, q.log_prob(z).sum(-1), rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(found.marginals, q.log_prob(z).mT, rtol=1e-12, atol=1e-12)


def misplaced(rows: int, count: int) -> Tensor:
    """Log-weights as public code has them: its stride runs down the first two columns."""
    others = count - 1
    weights = torch.full((count, count), 1 / others)
    weights.view(-1)[:: others + 1] = 1 / rows
    weights.view(-1)[1 :: others + 1] = (rows - others) / (rows * others)
    weights[others - 1, 0] = (rows - others) / (rows * others)
    return weights.log()


def drawn(count: int, latents: int, variance: float, seed: int) -> tuple[Gaussian, Tensor]:
    """Posteriors of one variance whose means make q(z) = N(0, I), and a sample: I(x; z) = −D/2 · ln variance."""
    generator = torch.Generator().manual_seed(seed)
    means, noise = torch.randn(2, count, latents, generator=generator)
    q = Gaussian(math.sqrt(1 - variance) * means, torch.full_like(means, math.log(variance)))
    return q, q.sample(noise)


def information(q: Gaussian, z: Tensor, weights: Tensor) -> float:
    """The estimate of I(x; z) in nats."""
    return float(split(q, z, densities(pairwise(q, z), weights, (tuple(range(z.shape[1])),))).mi)


@pytest.mark.parametrize("count", [64, 256])
def test_sharp_posteriors_are_worth_ln_n_with_stratified_weights(count: int) -> None:
    q, z = drawn(count, 10, 1e-6, 0)
    assert information(q, z, log_weights("mss", DSPRITES, z)) == pytest.approx(math.log(DSPRITES), abs=1e-3)
    assert information(q, z, log_weights("exact-weights", DSPRITES, z)) == pytest.approx(math.log(DSPRITES), abs=1e-3)
    # The average over the batch, and misplaced weights, know of B images only.
    assert information(q, z, log_weights("batch", DSPRITES, z)) == pytest.approx(math.log(count), abs=1e-3)
    assert information(q, z, misplaced(DSPRITES, count)) == pytest.approx(math.log(count - 1), abs=0.2)


def test_weak_posteriors_are_worth_what_they_tell() -> None:
    """I(x; z) = 1 nat in ten latents: right within 1 % on average over 200 batches of 1,024."""
    variance = math.exp(-0.2)
    found = []
    for seed in range(200):
        q, z = drawn(1024, 10, variance, seed)
        # With equal variances the sum over latents is a distance: the same numbers, several times faster.
        joint = -0.5 * (torch.cdist(z, q.mean) ** 2 / variance + 10 * math.log(2 * math.pi * variance))
        log_q = torch.logsumexp(joint + log_weights("mss", DSPRITES, z), -1)
        found.append(float((q.log_prob(z).sum(-1) - log_q).mean()))
        if not seed:
            assert found[0] == pytest.approx(information(q, z, log_weights("mss", DSPRITES, z)), abs=1e-4)
    assert sum(found) / len(found) == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize("estimator", ["mss", "exact-weights"])
@pytest.mark.parametrize("kind", [BetaTCVAE, HFVAE, BetaSTCVAE])
def test_a_batch_of_one_has_no_others_to_weigh(kind: type[Method], estimator: str) -> None:
    method = kind(estimator=estimator)  # type: ignore[call-arg]
    with pytest.raises(UserError, match="batch = 1; allowed: 2 or more"):
        method.noise(SPEC, LATENTS, 1)
    with pytest.raises(UserError, match=f"estimator = '{estimator}' with a batch of 101; allowed: 2 to 100"):
        method.noise(SPEC, LATENTS, SPEC.rows + 1)
    assert set(method.noise(SPEC, LATENTS, 2)) == {"z"}


def test_groups_are_the_codes_of_beta_stcvae() -> None:
    def blocks(method: Method) -> tuple[tuple[int, ...], ...]:
        return method.network(SPEC, LATENTS, BODY).blocks

    assert blocks(BetaSTCVAE(group_size=2)) == ((0, 1), (2, 3), (4, 5))
    assert blocks(BetaSTCVAE(group_size=4, allow_remainder=True)) == ((0, 1, 2, 3), (4, 5))
    assert blocks(BetaSTCVAE(group_size=1)) == blocks(BetaTCVAE()) == blocks(HFVAE()) == ()


@pytest.mark.parametrize("latents, size", [(6, 2), (7, 3), (1, 1), (5, 5), (12, 1)])
def test_groups_are_a_partition(latents: int, size: int) -> None:
    groups = partition(latents, size)
    assert [j for group in groups for j in group] == list(range(latents))
    assert {len(group) for group in groups[:-1]} <= {size} and 1 <= len(groups[-1]) <= size


def test_published_settings() -> None:
    one = Experiment("beta-stcvae", "triangle").complete()
    assert (one.latents, one.steps, one.batch, one.method.group_size) == (16, 20_000, 256, 2)  # type: ignore[attr-defined]
    for data in ("dsprites", "shapes3d"):
        found = Experiment("beta-tcvae", data).complete()
        assert found.method == BetaTCVAE(12.0), "both of DeVAE's Table 1"
        assert (found.latents, found.steps, found.batch, found.optimiser.lr) == (10, 300_000, 256, 1e-4)
