"""Figures that several studies share, from what their jobs kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from unweave.analysis import Course
from unweave.studies.base import Row
from unweave.studies.figures import Curves, Distributions, HeatMap, Series, Strips
from unweave.studies.measures import course


def traversals(title: str, arrays: Mapping[str, NDArray[np.float64]], bases: int = 3, caption: str = "") -> Strips:
    """The strips that ``Traversals`` kept: a row a latent and an image.

    Args:
        title: of the figure.
        arrays: of a result.
        bases: how many of the images at most.
        caption: under it.
    """
    strips, moved, values = (np.asarray(arrays[key]) for key in ("traversals", "traversed", "values"))
    shown = strips[:bases].astype(np.uint8)
    rows = [(_of(b, int(d), len(shown)), shown[b, place]) for place, d in enumerate(moved) for b in range(len(shown))]
    return Strips(title, rows, [f"{value:.2g}".replace("-", "−") for value in values], caption)


def _of(base: int, latent: int, bases: int) -> str:
    return f"latent {latent}" if bases == 1 else f"latent {latent}, image {base + 1}"


def best_latents(title: str, found: Course) -> Curves:
    """NMI of every factor's best latent over training; a second, thinner set for the second best."""
    first = found.living().ranked(1)
    lines = {name: [(found.steps, first[:, k])] for k, name in enumerate(found.factors)}
    events = found.events()
    told = f"{len(events)} diffusion events" + "".join(
        f"; {one.factor} falls by {one.drop:.2f} after step {one.peak:,}" for one in events[:5]
    )
    return Curves(f"{title}, best latents", lines, "steps", "NMI(c, 1)", unit=True, caption=told)


def widest_latents(title: str, found: Course) -> Curves:
    """NMI over training of the latents with the highest KL at the end, as many as factors, each with the factor that it
    tells most of then."""
    alive = found.living().nmi
    lines: dict[str, list[Series]] = {}
    for d in np.argsort(-found.kl[-1], kind="stable")[: len(found.factors)]:
        k = int(alive[-1, d].argmax())
        lines[f"latent {d}: {found.factors[k]}"] = [(found.steps, alive[:, d, k])]
    told = "latents by falling KL at the end"
    return Curves(f"{title}, latents with the highest KL", lines, "steps", "NMI(c, z)", unit=True, caption=told)


def courses(results: Iterable[Row], label: str, factors: tuple[str, ...]) -> dict[str, list[Course]]:
    """name -> the courses of its jobs, whichever of the results have one."""
    found: dict[str, list[Course]] = {}
    for labels, result in results:
        if not result.failed and label in labels and (one := course(result.arrays, factors)) is not None:
            found.setdefault(str(labels[label]), []).append(one)
    return found


def over_training(
    title: str, found: Mapping[str, Sequence[Course]], what: str, up: str, unit: bool = False, caption: str = ""
) -> Curves:
    """One number over training: an attribute of ``Course``, such as ``nmi1``, or a part of the rate, such as ``mi``.

    Latents count from a KL of 0.01 nats on, since the bins of one that is closed hold noise.
    """

    def values(one: Course) -> NDArray[np.float64]:
        return np.asarray(one.rate[what]) if what in one.rate else np.asarray(getattr(one.living(), what))

    lines: dict[str, list[Series]] = {
        name: [(one.steps, values(one)) for one in each if what in one.rate or hasattr(one, what)]
        for name, each in found.items()
    }
    return Curves(title, {name: each for name, each in lines.items() if each}, "steps", up, unit=unit, caption=caption)


def history(title: str, found: Course, caption: str = "") -> HeatMap:
    """The heat-map over training: a row a step, a column a factor, for the best and the second best latent."""
    alive = found.living()
    maps = {"NMI(c, 1)": alive.ranked(1), "NMI(c, 2)": alive.ranked(2)}
    return HeatMap(title, maps, [f"{int(step):,}" for step in found.steps], found.factors, caption)


def distributions(
    title: str, results: Iterable[Row], by: str, value: str | Sequence[str], *, up: str = "", unit: bool = False
) -> Distributions:
    """Values of the jobs of each row."""
    names = (value,) if isinstance(value, str) else tuple(value)
    groups: dict[str, list[float]] = {}
    for labels, result in results:
        name = next((one for one in names if one in result.values), None)
        if not result.failed and by in labels and name is not None and np.isfinite(result.values[name]):
            groups.setdefault(str(labels[by]), []).append(result.values[name])
    return Distributions(title, groups, up or names[0], unit)
