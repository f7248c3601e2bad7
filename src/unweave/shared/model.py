"""From a trained model to the files of a shared one and back, with everything in them doubted on the way back."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from unweave import __version__
from unweave.data import DATASETS, WRAPPERS, Elsewhere
from unweave.data.base import Dataset
from unweave.data.elsewhere import portable, stays
from unweave.data.part import Part
from unweave.engine import Complete, from_json, to_json
from unweave.engine.place import check_precision
from unweave.engine.plain import untagged
from unweave.engine.step import build
from unweave.names import hint, known
from unweave.networks import Model
from unweave.shared.checks import FORMAT, LIBRARY, WORD, check_config, check_extra, finite
from unweave.shared.folder import CONFIG, EXTRAS, WEIGHTS, SharedFolder
from unweave.store import StoreError
from unweave.types import UserError

LONGEST = 1 << 16
"""Letters of the description of an experiment."""
LATENTS, NUMBERS, PARAMETERS, ROWS = 1 << 16, 1 << 29, 10_000, 10**8
"""Most latents, numbers and tensors of a model, and most images of a data set that is made anywhere."""
PARTED = 1 << 22
"""Images of a data set of which a part was trained on; the largest published one has a million."""
NESTED = 6
"""Parts of parts."""


class SharedModel(NamedTuple):
    """What is in a shared model's folder, its weights in place."""

    experiment: Complete
    model: Model
    step: int
    key: str
    """Of the run that it was."""


def pack(
    experiment: Complete, model: Model, step: int, key: str, extras: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The JSON files and the weights of a shared model: no optimiser, no trace, no critic, no path of this machine.

    Args:
        experiment: its description.
        model: the trained network.
        step: steps taken.
        key: of the run.
        extras: name of one of ``EXTRAS`` -> its content; what holds numbers that are not finite is left out.
    """
    described = to_json(replace(experiment, data=portable(experiment.data)))
    config = {"format": FORMAT, "library": LIBRARY, "version": __version__, "key": key, "step": step}
    documents: dict[str, Any] = {CONFIG: {**config, "experiment": described}}
    documents |= {name: values for name, values in extras.items() if values and finite(values)}
    spare = set(model.spare())
    tensors = {n: p.detach().cpu().contiguous().clone() for n, p in model.named_parameters() if n not in spare}
    return documents, tensors


def unpack(folder: SharedFolder, device: torch.device) -> SharedModel:
    """The model of a shared folder on a device.

    Nothing in the folder is trusted: fields, kinds, sizes, names, shapes and numbers are compared with what a model of
    that description has before memory is asked for.

    Raises:
        UserError: one line that names the file and what is wrong with it.
    """
    where = folder.path / CONFIG
    config = folder.json(CONFIG)
    check_config(config, str(where))
    try:
        experiment = described(config["experiment"])
        outline = sketch(experiment)
    except UserError as error:
        raise StoreError(f"{where}: {error}") from None
    except (ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError) as error:
        raise StoreError(f"{where} describes no model that can be built ({type(error).__name__})") from None
    except (RecursionError, RuntimeError, TypeError, ValueError) as error:
        raise StoreError(f"{where} describes no model that can be built ({type(error).__name__})") from None
    tensors = folder.tensors(config["sha256"])
    check_tensors(tensors, outline, str(folder.path / WEIGHTS))
    for name in EXTRAS:
        if folder.has(name):
            check_extra(name, folder.json(name), str(folder.path / name))
    check_precision(device, experiment.precision)
    model = build(experiment, device)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in tensors:
                parameter.copy_(tensors[name])
    return SharedModel(experiment, model, config["step"], config["key"])


def described(values: Mapping[str, Any]) -> Complete:
    """The experiment that a configuration describes.

    Raises:
        UserError: a field too many or too few, a method that is not there, data of another machine, absurd sizes.
    """
    allowed = [one.name for one in fields(Complete)]
    for name in values:
        known(name, allowed, "field of an experiment")
    if len(json.dumps(values)) > LONGEST:
        raise UserError(f"the description of the experiment is longer than {LONGEST:,} letters")
    data: Dataset = untagged(values.get("data"), {**DATASETS, **WRAPPERS}, "data set")
    _check_data(data)
    if not isinstance(values.get("latents"), int) or not 1 <= values["latents"] <= LATENTS:
        raise UserError(f"latents = {str(values.get('latents'))[:40]}; allowed: 1 to {LATENTS:,}")
    return from_json(values)


def sketch(experiment: Complete) -> Model:
    """The experiment's network without memory for its numbers.

    Raises:
        UserError: one with more tensors or numbers than any of ours.
    """
    with _bounded(), torch.random.fork_rng(devices=[]), torch.device("meta"):
        model = experiment.method.network(experiment.spec, experiment.latents, experiment.network)
    count = sum(one.numel() for one in (*model.parameters(), *model.buffers()))
    if count > NUMBERS:
        raise UserError(f"a network of {count:,} numbers; allowed: {NUMBERS:,}")
    return model


def check_tensors(tensors: Mapping[str, Tensor], outline: Model, where: str) -> None:
    """Raises StoreError unless these are the model's parameters, by name and shape, and finite; critics may lack."""
    wanted = {name: tuple(one.shape) for name, one in outline.named_parameters()}
    spare = set(outline.spare())
    for name, value in tensors.items():
        if name not in wanted:
            raise StoreError(f"{where} holds {name[:WORD]!r}, which this model does not have{hint(name[:80], wanted)}")
        if tuple(value.shape) != wanted[name]:
            raise StoreError(f"{where}: {name} has shape {tuple(value.shape)}; this model's is {wanted[name]}")
        if not bool(torch.isfinite(value).all()):
            raise StoreError(f"{where}: {name} holds numbers that are not finite (NaN or infinity)")
    missing = [name for name in wanted if name not in tensors and name not in spare]
    if missing:
        raise StoreError(f"{where} lacks {', '.join(missing[:3])}{' and more' if len(missing) > 3 else ''}")


def _check_data(data: Dataset) -> None:
    if stays(data):
        raise UserError(f"its data set {data.name} names files of a machine; allowed: data sets without paths")
    inner: Any = data
    depth, parted = 0, False
    while isinstance(inside := getattr(inner, "of", None), Dataset):
        parted = parted or isinstance(inner, Part)
        inner, depth = inside, depth + 1
    if isinstance(inner, Elsewhere):
        inner.sound()
        if inner is not data:
            raise UserError("parts of images that are elsewhere; allowed: all of them")
    elif inner.rows > (most := PARTED if parted else ROWS):
        # Which images a part has is worked out in memory.
        raise UserError(f"a data set of {inner.rows:,} images; allowed: {most:,}")
    if depth > NESTED:
        raise UserError(f"a part of a part, {depth} times over; allowed: {NESTED}")


@contextmanager
def _bounded() -> Iterator[None]:
    """Networks that are built meanwhile by this thread have at most ``PARAMETERS`` tensors: a description may ask for
    more layers than anybody could wait for."""
    mine, count = threading.get_ident(), 0

    def look(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        nonlocal count
        if threading.get_ident() == mine:
            count += 1
            if count > PARAMETERS:
                raise UserError(f"a network of more than {PARAMETERS:,} tensors; allowed: fewer")

    hook = register_module_parameter_registration_hook(look)
    try:
        yield
    finally:
        hook.remove()
