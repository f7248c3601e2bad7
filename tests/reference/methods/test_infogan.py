"""InfoGAN against its objectives written out, and its one backward pass against the authors' two."""

from __future__ import annotations

import math

import pytest
import torch

from unweave.methods import InfoGAN

from . import oracle
from .case import LATENTS, TIGHT, Case, case, gradients, rows, table

CODES = [((), False), ((), True), ((3,), False), ((2, 3), True)]


def codes_of(one: Case) -> tuple[list[list[int]], list[list[float]], list[list[float]]]:
    """The drawn categories, the continuous codes, and both as the generator is given them."""
    noise, categories = one.batch.noise, one.method.categories
    count = len(rows(noise["code"]))
    drawn = [[int(noise[f"category.{k}"][n].item() * size) for k, size in enumerate(categories)] for n in range(count)]
    continuous = [[2 * u - 1 for u in row] for row in rows(noise["code"])]
    codes = []
    for values, row in zip(drawn, continuous, strict=True):
        hot = [float(level == value) for value, size in zip(values, categories, strict=True) for level in range(size)]
        codes.append(hot + row)
    return drawn, continuous, codes


def softmax(logits: oracle.Numbers) -> list[float]:
    top = max(logits)
    whole = math.fsum(math.exp(a - top) for a in logits)
    return [math.exp(a - top) / whole for a in logits]


def leaky(values: list[list[float]]) -> list[list[float]]:
    return [[a if a > 0 else 0.1 * a for a in row] for row in values]


@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
@pytest.mark.parametrize(("categories", "learned_std"), CODES)
@pytest.mark.parametrize("info", [1.0, 0.0, 3.5])
def test_terms(likelihood: str, categories: tuple[int, ...], learned_std: bool, info: float) -> None:
    one = case(InfoGAN(info, 5, categories, learned_std), likelihood)
    net = one.model
    drawn, continuous, codes = codes_of(one)
    noise = [[2 * u - 1 for u in row] for row in rows(one.batch.noise["noise"])]
    given = table([a + b for a, b in zip(noise, codes, strict=True)])
    fake = [[oracle.sigmoid(a) for a in row] for row in rows(net.generator(given))]
    assert given.shape[1] == 5 + LATENTS

    def look(images: list[list[float]]) -> list[list[float]]:
        return leaky(rows(net.trunk(table(images).view(-1, 1, 8, 8))))

    def judge(features: list[list[float]]) -> list[float]:
        return [row[0] for row in rows(net.judge(table(features)))]

    real, made = judge(look(rows(one.batch.x))), judge(look(fake))
    discriminator = oracle.mean([-math.log(oracle.sigmoid(a)) for a in real])
    discriminator -= oracle.mean([math.log(1 - oracle.sigmoid(a)) for a in made])
    generator = -oracle.mean([math.log(oracle.sigmoid(a)) for a in made])

    surprise = []
    for values, wanted, row in zip(drawn, continuous, rows(net.reader(table(look(fake)))), strict=True):
        total, place = 0.0, 0
        for value, size in zip(values, categories, strict=True):
            total -= math.log(softmax(row[place : place + size])[value])
            place += size
        for j, c in enumerate(wanted):
            logvar = min(max(row[place + len(wanted) + j], -10.0), 10.0) if learned_std else 0.0
            total += (math.log(2 * math.pi) + logvar + (c - row[place + j]) ** 2 / math.exp(logvar)) / 2
        surprise.append(total)
    code = oracle.mean(surprise)

    read = []
    for row in rows(net.reader(table(look(rows(one.batch.x))))):
        place, mean = 0, []
        for size in categories:
            mean += softmax(row[place : place + size])
            place += size
        read.append([0.0] * 5 + mean + row[place:LATENTS])
    recon = oracle.reconstruction(likelihood, rows(net.generator(table(read))), rows(one.batch.x))
    entropy = sum(math.log(size) for size in categories) + (LATENTS - sum(categories)) * math.log(2)
    wanted_terms = {"recon": recon, "generator": generator, "discriminator": discriminator, "code": code}
    loss = one.loss()
    for name, value in {**wanted_terms, "bound": entropy - code}.items():
        assert loss.terms[name].item() == pytest.approx(value, rel=TIGHT), name
    assert loss.total.item() == pytest.approx(generator + discriminator + info * code, rel=TIGHT)


@pytest.mark.parametrize(("categories", "learned_std"), CODES)
def test_one_backward_gives_the_gradients_of_two(categories: tuple[int, ...], learned_std: bool) -> None:
    one = case(InfoGAN(0.7, 5, categories, learned_std))
    one.loss().total.backward()
    together = gradients(one.model)
    net = one.model
    drawn, continuous, codes = codes_of(one)
    noise = table([[2 * u - 1 for u in row] for row in rows(one.batch.noise["noise"])])

    def part(side: str) -> dict[str, torch.Tensor]:
        net.zero_grad()
        fake = torch.sigmoid(net.generator(torch.cat([noise, table(codes)], 1)))
        made = torch.nn.functional.leaky_relu(net.trunk(fake), 0.1)
        seen = torch.nn.functional.leaky_relu(net.trunk(one.batch.x), 0.1)
        outputs, place, surprise = net.reader(made), 0, torch.zeros(len(made), dtype=made.dtype)
        for k, size in enumerate(categories):
            logits, place = outputs[:, place : place + size], place + size
            picked = torch.distributions.Categorical(logits=logits)
            surprise = surprise - picked.log_prob(torch.tensor([row[k] for row in drawn]))
        mean = outputs[:, place:LATENTS]
        spread = torch.exp(outputs[:, LATENTS:].clamp(-10, 10) / 2) if learned_std else torch.ones_like(mean)
        surprise = surprise - torch.distributions.Normal(mean, spread).log_prob(table(continuous)).sum(1)
        real, false = torch.sigmoid(net.judge(seen)), torch.sigmoid(net.judge(made))
        if side == "generator":
            total = -torch.log(false).mean() + 0.7 * surprise.mean()
        else:
            total = -torch.log(real).mean() - torch.log(1 - false).mean() + 0.7 * surprise.mean()
        total.backward()
        return gradients(net)

    for side, names in net.groups().items():
        apart = part(side)
        for name in names:
            assert apart[name].abs().max() > 0
            torch.testing.assert_close(together[name], apart[name], rtol=1e-9, atol=1e-11, msg=name)
