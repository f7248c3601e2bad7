"""What every metric promises, whatever it measures."""

from __future__ import annotations

import json
import math
from dataclasses import fields

import torch
from torch import Tensor

from unweave.metrics import Metric
from unweave.testing.claims import check_description, check_example, claim, leaves_randomness_alone
from unweave.types import Codes, Score, UserError

ROWS = 300
SIZES = (3, 4)


def check_metric(metric: Metric) -> None:
    """Check that a metric keeps the rules that scoring and tables rely on.

    It is described by plain fields; the same codes and seed give the same finite score, which lies within ``limits``
    and says every setting that made it; nothing it is given changes and no global random numbers are used; latents that
    never move or are there twice, a single latent, a hundred of them and a single factor do it no harm; float32 and
    float64 codes of the same numbers score alike; codes that lack what it reads, or hold NaN, are refused with a
    ``UserError``; and it tells perfect codes from noise, or where it reads no factors independent latents from copies,
    in the direction that ``better`` says.

    Raises:
        AssertionError: one line that says what does not hold.
    """
    who = str(getattr(metric, "name", type(metric).__name__))
    check_description(metric, who)
    check_example(metric, who)
    claim(metric.references, who, "has no references")
    claim(metric.better in ("higher", "lower"), who, f"better = {metric.better!r}; allowed: higher, lower")
    least, most = metric.limits
    claim(least < most, who, f"limits = {metric.limits}; allowed: the least value, then a larger one")
    allowed = ("factors", "distortion", "codes")
    claim(metric.reads in allowed, who, f"reads = {metric.reads!r}; allowed: {', '.join(allowed)}")
    make = free_sample if metric.reads == "codes" else sample
    good, bad = make(good=True), make(good=False)
    held = [good.mean, good.logvar, good.levels, *good.distortion.values()]
    before = [value.clone() for value in held if value is not None]
    with leaves_randomness_alone(who):
        score, again = metric(good, seed=3), metric(good, seed=3)
        worse = metric(bad, seed=3)
    claim(isinstance(score, Score), who, f"returns a {type(score).__name__}, not a Score")
    claim(all(torch.equal(a, b) for a, b in zip(held, before, strict=True) if a is not None), who, "changes the codes")
    claim(score == again, who, f"gives {score.value} and then {again.value} for the same codes and seed")
    _check_score(metric, score, who)
    _check_score(metric, worse, who)
    told = score.value > worse.value if metric.better == "higher" else score.value < worse.value
    claim(told, who, f"gives perfect codes {score.value:.4g} and noise {worse.value:.4g}; {metric.better} is better")
    still = good._replace(mean=torch.cat([good.mean, torch.zeros(ROWS, 1)], 1), logvar=None)
    if metric.posteriors and good.logvar is not None:
        still = still._replace(logvar=torch.cat([good.logvar, torch.zeros(ROWS, 1)], 1))
    _check_score(metric, metric(still, seed=3), f"{who} with a latent that never moves")
    for what, odd in _odd(good).items():
        _check_score(metric, metric(odd, seed=3), f"{who} with {what}")
    wide = good._replace(mean=good.mean.double(), logvar=None if good.logvar is None else good.logvar.to(torch.float64))
    precise = metric(wide, seed=3).value
    near = math.isclose(precise, score.value, rel_tol=1e-5, abs_tol=1e-6)
    claim(near, who, f"gives {score.value} for float32 codes and {precise} for the same numbers in float64")
    for what, lacking in _lacking(metric, good).items():
        try:
            metric(lacking, seed=3)
        except UserError as error:
            claim("\n" not in str(error), who, "its UserError has more than one line")
        else:
            raise AssertionError(f"{who}: scores codes that {what}; it must raise UserError")


def _odd(good: Codes) -> dict[str, Codes]:
    """Codes that every metric can score, by what is odd about them."""
    generator = torch.Generator().manual_seed(8)
    extra = 100 - good.mean.shape[1]
    many = 0.05 * torch.randn(ROWS, extra, generator=generator)

    def with_latents(mean: Tensor, logvar: Tensor | None) -> Codes:
        return good._replace(mean=mean, logvar=logvar)

    def joined(mean: Tensor) -> Tensor:
        return torch.cat([good.mean, mean], 1)

    widths = good.logvar
    idle = None if widths is None else torch.cat([widths, torch.zeros(ROWS, extra)], 1)
    found = {
        "one latent": with_latents(good.mean[:, :1], None if widths is None else widths[:, :1]),
        "every latent twice": with_latents(
            joined(good.mean), None if widths is None else torch.cat([widths, widths], 1)
        ),
        "latents that are all constant": with_latents(torch.ones(ROWS, 3), None if widths is None else widths[:, :3]),
        "a hundred latents": with_latents(joined(many), idle),
    }
    if good.levels.shape[1]:
        found["one factor"] = good._replace(levels=good.levels[:, :1], sizes=good.sizes[:1], names=good.names[:1])
    return found


def _lacking(metric: Metric, good: Codes) -> dict[str, Codes]:
    """Codes that a metric cannot score, by what is wrong with them."""
    broken = good.mean.clone()
    broken[0, 0] = math.nan
    nothing = good._replace(levels=good.levels[:, :0], sizes=(), names=(), distortion={})
    found = {"carry no numbers (NaN)": good._replace(mean=broken)} if metric.reads != "distortion" else {}
    found |= {f"carry no {metric.reads}": nothing} if metric.reads != "codes" else {}
    return found | ({"carry no log-variances": good._replace(logvar=None)} if metric.posteriors else {})


def free_sample(good: bool) -> Codes:
    """300 codes of 4 latents without factors: independent latents, or three copies and a dead one."""
    generator = torch.Generator().manual_seed(7)
    noise = torch.randn(ROWS, 4, generator=generator)
    copies = torch.cat([noise[:, :1] + 0.1 * noise[:, 1:], torch.zeros(ROWS, 1)], 1)
    return Codes.of(noise if good else copies, logvar=torch.tensor([-4.0, -4.0, -4.0, 0.0]).expand(ROWS, 4).clone())


def sample(good: bool) -> Codes:
    """300 codes of 4 latents for 2 factors: the levels themselves and two idle latents, or noise."""
    generator = torch.Generator().manual_seed(7)
    levels = torch.stack([torch.randint(size, (ROWS,), generator=generator) for size in SIZES], 1)
    noise = torch.randn(ROWS, 4, generator=generator)
    mean = torch.cat([levels + 0.01 * noise[:, :2], 0.05 * noise[:, 2:]], 1) if good else noise
    logvar = torch.tensor([-6.0, -6.0, 0.0, 0.0]).expand(ROWS, 4).clone() if good else torch.zeros(ROWS, 4)
    error = torch.rand(ROWS, generator=generator) + (1.0 if good else 50.0)
    codes = Codes.of(mean, levels, logvar=logvar, sizes=SIZES, names=("one", "two"))
    return codes._replace(distortion={"bce": error, "squared_error": error / 2}, pixels=64)


def _check_score(metric: Metric, score: Score, who: str) -> None:
    for name, value in {"value": score.value, **score.parts}.items():
        number = isinstance(value, int | float) and math.isfinite(value)
        claim(number, who, f"{name} is {value!r}; allowed: a finite Python number")
    least, most = metric.limits
    claim(least <= score.value <= most, who, f"gives {score.value:.6g}; its limits are {least:g} and {most:g}")
    # n_jobs says how many processes share the work, which no number depends on.
    wanted = ({one.name for one in fields(metric)} | {"seed"}) - {"n_jobs"}
    missing = sorted(wanted - set(score.settings))
    claim(not missing, who, f"its score does not say {', '.join(missing)}")
    try:
        json.dumps(dict(score.settings))
    except TypeError as error:
        raise AssertionError(f"{who}: the settings of its score are no plain values ({error})") from None
