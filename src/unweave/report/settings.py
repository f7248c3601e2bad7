"""An experiment's settings in words: its network, its learning rates, what was changed, the command that trains it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import torch

from unweave.data import DATASETS, Dataset
from unweave.engine import Complete
from unweave.engine.experiment import body_name, preset_for
from unweave.engine.step import build
from unweave.networks import MLP, Conv


def words(value: Any) -> str:
    """A setting as a person would type it.

    >>> words((20.0, 2.0)), words(1e-4), words(20160), words(True), words(None), words(())
    ('20 2', '0.0001', '20,160', 'yes', 'none', 'none')
    """
    if isinstance(value, tuple | list):
        return " ".join(words(one) for one in value) or "none"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def architecture(experiment: Complete) -> str:
    """The network in words."""
    body = experiment.network
    if body is None:
        return "the method's own network"
    given = [
        f"{one.name} {words(getattr(body, one.name))}" for one in fields(body) if getattr(body, one.name) is not None
    ]
    return ", ".join([body_name(body), *given])


def adam(experiment: Complete) -> str:
    """Adam's learning rates: the experiment's, and those of parameter groups that the method sets itself.

    >>> from unweave import Experiment
    >>> adam(Experiment("beta-vae", "triangle").complete()), adam(Experiment("infogan", "triangle").complete())
    ('Adam 0.0001', 'Adam generator 0.001, discriminator 0.0002')
    """
    own = [f"{name} {one.lr:g}" for name, one in experiment.method.optimisers().items()]
    return "Adam " + ", ".join([f"{experiment.optimiser.lr:g}", *own] if steered(experiment) else own)


def steered(experiment: Complete) -> bool:
    """Whether the experiment's own Adam moves any parameter: the method may have set that of every group."""
    own = experiment.method.optimisers()
    return not own or not set(build(experiment, torch.device("cpu"), channels_last=False).groups()) <= set(own)


def changes(experiment: Complete) -> Iterator[tuple[str, Any, Any]]:
    """What differs from the published settings of the method for the data set: name, value, published value."""
    preset = preset_for(type(experiment.method), experiment.data)
    published = type(experiment.method)(**preset.fields)
    pairs = [
        (one.name, getattr(experiment.method, one.name), getattr(published, one.name)) for one in fields(published)
    ]
    pairs += [(name, getattr(experiment, name), getattr(preset, name)) for name in ("latents", "steps", "batch")]
    pairs += [("lr", experiment.optimiser.lr, preset.optimiser.lr)]
    yield from ((name, ours, theirs) for name, ours, theirs in pairs if ours != theirs)


def again(experiment: Complete) -> str:
    """The command line that trains an experiment; Python where the command line has no words for it."""
    method, preset = experiment.method, preset_for(type(experiment.method), experiment.data)
    rate = experiment.optimiser
    plain = type(rate)(
        **{one.name: getattr(preset.optimiser, one.name) for one in fields(rate) if one.name != "lr"}, lr=rate.lr
    )
    body = experiment.network
    if rate != plain or not _named(experiment.data) or not (body is None or _typed(body)):
        settings = ", ".join(f"{one.name}={getattr(experiment, one.name)!r}" for one in fields(experiment)[2:])
        # A path says its class; the line is to run on other systems too.
        whole = re.sub(r"\b(Posix|Windows)Path\(", "Path(", f"{method!r}, {experiment.data!r}, {settings}")
        return f"from pathlib import Path\nfrom unweave import *\n\nfit(Experiment({whole}), out='runs')"
    typed = ["unweave", "train", method.name, "--data", experiment.data.name]
    published = type(method)(**preset.fields)
    for one in fields(method):
        typed += _option(one.name, getattr(method, one.name), getattr(published, one.name))
    for name in ("steps", "batch", "latents", "precision", "likelihood", "seed"):
        typed += [f"--{name}", str(getattr(experiment, name))]
    typed += ["--lr", repr(rate.lr)]
    if isinstance(body, MLP):
        typed += ["--network", "mlp", "--hidden", *map(str, body.hidden)]
    elif isinstance(body, Conv):
        typed += ["--network", body.preset, *(["--hidden", str(body.hidden)] if body.hidden else [])]
    return f"{shlex.join(typed)}\nunweave report {experiment.key}"


def _named(data: Dataset) -> bool:
    """Whether a name alone is all there is to say of a data set; never of the user's own images."""
    return type(data) in DATASETS.values() and data == type(data)()


def _typed(body: object) -> bool:
    return isinstance(body, Conv) or (isinstance(body, MLP) and body.activation == "relu")


def _option(name: str, value: Any, published: Any) -> list[str]:
    """A field as typed: the command line starts from the published settings, and knows a switch's other side alone."""
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [] if value == published else [option if value else f"--no-{name.replace('_', '-')}"]
    if value is None and published is None:
        return []
    values = value if isinstance(value, tuple) else (value,)
    return [
        option,
        *(f"{one:g}" if isinstance(one, float) and float(f"{one:g}") == one else str(one) for one in values),
    ]
