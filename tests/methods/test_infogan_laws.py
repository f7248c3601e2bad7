"""InfoGAN: who learns from which term, what Q says, and codes there and back."""

from __future__ import annotations

import math

import pytest
import torch

from unweave.methods import InfoGAN
from unweave.methods.infogan import unlikely
from unweave.networks import DCGAN, CodedGAN, set_channels_last, set_precision
from unweave.types import Gaussian, UserError

from .case import BODY, LATENTS, SPEC, case, gradients

PARTS = {"generator", "trunk", "judge", "reader"}


def reached(term: str, method: InfoGAN | None = None) -> set[str]:
    one = case(method or InfoGAN(noise_size=5))
    one.loss().terms[term].backward()
    return {name.split(".")[0] for name, value in gradients(one.model).items() if bool(value.any())}


def test_each_term_teaches_its_own_part() -> None:
    assert reached("generator") == {"generator"}
    assert reached("discriminator") == {"trunk", "judge"}
    assert reached("code") == {"generator", "trunk", "reader"}


def test_the_reconstruction_teaches_nothing() -> None:
    assert not case(InfoGAN(noise_size=5)).loss().terms["recon"].requires_grad


def test_the_groups_are_the_two_players() -> None:
    method = InfoGAN()
    groups = case(method).model.groups()
    assert set(groups) == {"generator", "discriminator"}
    assert {name.split(".")[0] for name in groups["discriminator"]} == PARTS - {"generator"}
    adams = method.optimisers()
    assert adams["generator"].lr == 1e-3 and adams["discriminator"].lr == 2e-4
    assert adams["generator"].betas == adams["discriminator"].betas == (0.5, 0.999)


def test_a_discriminator_that_cannot_tell() -> None:
    one = case(InfoGAN(noise_size=5))
    with torch.no_grad():
        one.model.judge.weight.zero_()
        one.model.judge.bias.zero_()
    terms = one.loss().terms
    assert terms["generator"].item() == pytest.approx(math.log(2))
    assert terms["discriminator"].item() == pytest.approx(2 * math.log(2))


def test_log_likelihood_by_loops() -> None:
    torch.manual_seed(0)
    logits = [torch.randn(4, 3).double(), torch.randn(4, 2).double()]
    values = [torch.tensor([0, 2, 1, 1]), torch.tensor([1, 0, 0, 1])]
    mean, logvar, code = torch.randn(3, 4, 2).double()
    total = 0.0
    for n in range(4):
        for one, value in zip(logits, values, strict=True):
            row = one[n].tolist()
            total += row[int(value[n])] - math.log(sum(math.exp(a) for a in row))
        for m, v, c in zip(mean[n].tolist(), logvar[n].tolist(), code[n].tolist(), strict=True):
            total -= (math.log(2 * math.pi) + v + (c - m) ** 2 / math.exp(v)) / 2
    assert float(unlikely(logits, Gaussian(mean, logvar), values, code)) == pytest.approx(-total / 4, rel=1e-12)


def test_a_code_that_is_read_perfectly_is_as_uncertain_as_a_standard_normal() -> None:
    code = torch.rand(5, 3).double()
    found = unlikely([], Gaussian(code, torch.zeros_like(code)), [], code)
    assert float(found) == pytest.approx(1.5 * math.log(2 * math.pi))


@pytest.mark.parametrize("categories", [(), (3,), (2, 3)])
def test_codes_are_means_with_probabilities_first(categories: tuple[int, ...]) -> None:
    one = case(InfoGAN(noise_size=5, categories=categories))
    q = one.model.encode(one.batch.x)
    assert q.logvar is None and q.mean.shape == (5, LATENTS)
    start = 0
    for size in categories:
        torch.testing.assert_close(q.mean[:, start : start + size].sum(1), torch.ones(5).double())
        start += size
    logits = one.model.generate(torch.zeros(5, 5).double(), q.mean)
    assert torch.equal(one.model.decode(q.mean), logits)
    blocks = one.model.blocks
    assert [len(block) for block in blocks] == ([*categories, *[1] * (LATENTS - start)] if categories else [])
    assert [d for block in blocks for d in block] == (list(range(LATENTS)) if categories else [])


@pytest.mark.parametrize("categories", [(), (3,), (2, 3)])
def test_the_prior_draws_codes_as_training_does(categories: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    net = InfoGAN(categories=categories).network(SPEC, LATENTS, BODY)
    code = net.prior(torch.randn(4000, LATENTS))
    hot, rest = code[:, : sum(categories)], code[:, sum(categories) :]
    assert set(hot.unique().tolist()) <= {0.0, 1.0} and bool((hot.sum(1) == len(categories)).all())
    for part in hot.split(categories, 1) if categories else ():
        torch.testing.assert_close(part.mean(0), torch.full((part.shape[1],), 1 / part.shape[1]), atol=0.05, rtol=0)
    assert float(rest.abs().max()) <= 1
    torch.testing.assert_close(rest.mean(0), torch.zeros(rest.shape[1]), atol=0.05, rtol=0)
    torch.testing.assert_close(rest.var(0), torch.full((rest.shape[1],), 1 / 3), atol=0.03, rtol=0)


def test_images_of_a_batch_do_not_depend_on_each_other() -> None:
    """What BatchNorm would break: an image judged alone is judged as in company."""
    torch.manual_seed(0)
    net = CodedGAN(DCGAN(8, 4), (1, 16, 16), 3, "bernoulli", 5).double()
    x, n, c = torch.rand(4, 1, 16, 16).double(), torch.rand(4, 5).double(), torch.rand(4, 3).double()
    torch.testing.assert_close(net.discriminate(x)[:1], net.discriminate(x[:1]), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(net.generate(n, c)[:1], net.generate(n[:1], c[:1]), rtol=1e-12, atol=1e-12)
    assert not any("BatchNorm" in type(module).__name__ for module in net.modules())
    assert not dict(net.named_buffers())


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (1, 64, 64), (2, 17, 40)])
@pytest.mark.parametrize("precision", ["float64", "float32", "bf16"])
def test_the_default_network_fits_images_of_many_sizes(shape: tuple[int, int, int], precision: str) -> None:
    net = set_precision(CodedGAN(DCGAN(8, 8), shape, 4, "bernoulli", 5), precision)
    if precision == "bf16":
        set_channels_last(net)
    dtype = next(net.parameters()).dtype
    x = torch.rand(2, *shape, dtype=dtype)
    q = net.encode(x)
    assert q.mean.shape == (2, 4) and net.decode(q.mean).shape == x.shape
    assert q.mean.dtype == net.decode(q.mean).dtype == dtype
    net.discriminate(torch.sigmoid(net.decode(q.mean))).sum().backward()


@pytest.mark.parametrize(
    ("body", "shape", "said"),
    [
        (DCGAN(10, 4), (1, 64, 64), "width = 10, groups = 4; allowed: a width that the groups divide"),
        (DCGAN(0, 1), (1, 64, 64), "width = 0"),
        (DCGAN(), (1, 7, 64), "images of 7×64; allowed: at least 8 pixels a side"),
    ],
)
def test_networks_that_cannot_be(body: DCGAN, shape: tuple[int, int, int], said: str) -> None:
    for build in (lambda: body.encoder(shape, 3), lambda: body.decoder(3, shape)):
        with pytest.raises(UserError) as error:
            build()
        assert said in str(error.value) and "\n" not in str(error.value)
