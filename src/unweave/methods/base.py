"""What a method is: hyperparameters, an objective, and what it needs from the loop."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, ClassVar, NamedTuple, Self

from unweave.data.base import DataSpec
from unweave.names import hint
from unweave.networks import VAE, Body, Conv, Model
from unweave.types import Adam, Batch, Draw, Loss, Rate, Reference, State, UserError


class Preset(NamedTuple):
    """A publication's settings of a method for one data set; used for whatever a person leaves open."""

    fields: Mapping[str, Any] = {}
    """Hyperparameters of the method."""
    latents: int = 10
    steps: int = 300_000
    batch: int = 64
    optimiser: Adam = Adam()
    note: str = ""
    """Where the numbers are from."""


TYPED = frozenset(
    {"data", "steps", "batch", "latents", "lr", "seed", "seeds", "every", "precision", "network", "hidden"}
    | {"likelihood", "device", "data_root", "out", "log", "json"}
)
"""Options of ``unweave train`` beside a method's own: a field of such a name could not be typed."""
STANDARD = Preset(note="Locatello et al. 2019: batch 64, 300,000 steps, Adam 1e-4, 10 latents")


@dataclass(frozen=True)
class Method(ABC):
    """An objective by description: its fields are its hyperparameters, and numbers among them may differ inside a pack.

    A ``loss`` draws no random numbers, keeps no counter, branches on no tensor and on no float field, and changes
    nothing: noise, step and memory come in, the loss and the next memory go out.
    """

    name: ClassVar[str]
    summary: ClassVar[str] = ""
    """One line for lists."""
    references: ClassVar[tuple[Reference, ...]] = ()
    presets: ClassVar[Mapping[str, Preset]] = {}
    """Data set name -> the published settings; ``""`` for every other data set."""
    schedules: ClassVar[tuple[str, ...]] = ()
    """Fields that count steps of a schedule (not rates or pressures)."""
    own_network: ClassVar[bool] = False
    """The network is part of the method and no other can be given: an experiment's is left out of its description."""

    @property
    def views(self) -> str:
        """What ``batch.y`` holds: ``one`` (x itself), ``two`` (a second, independent batch) or ``pair``: for each image
        another one that shares all of its factors but ``changes``, for data with factors, which ``check`` must ask for.
        """
        return "one"

    @property
    def changes(self) -> int:
        """How many factors differ within a ``pair``; 0 for a number drawn for every pair, from 1 to all but one."""
        return 1

    def check(self, data: DataSpec, latents: int) -> None:  # noqa: B027 — most methods have something to check, not all
        """Raises UserError for hyperparameters that cannot be trained; sees Python numbers only."""

    def network(self, data: DataSpec, latents: int, body: Body | None = None) -> Model:
        """What this method trains; the plain VAE on the standard convolutional body unless it says otherwise."""
        return VAE(body or Conv(), data.shape, latents, data.likelihood)

    def noise(self, data: DataSpec, latents: int, rows: int) -> Mapping[str, Draw]:
        """The random tensors that ``loss`` reads from ``batch.noise`` with batches of so many rows."""
        return {"z": Draw((rows, latents))}

    def init(self, data: DataSpec, latents: int) -> State:
        """The memory before the first step."""
        return {}

    def optimisers(self) -> Mapping[str, Adam]:
        """Settings for parameter groups that differ from the experiment's."""
        return {}

    def rates(self, step: int) -> Mapping[str, Rate]:
        """How far each parameter group moves in this step; groups not named move as usual."""
        return {}

    def spans(self, latents: int) -> Mapping[str, int]:
        """Of each schedule in use, by the field that stretches it, the steps until it ends or its last stage begins."""
        lengths = {name: getattr(self, name) for name in self.schedules}
        return {name: length for name, length in lengths.items() if isinstance(length, int)}

    def over(self, fraction: float) -> Self:
        """A copy with the length of every schedule multiplied, for runs that are shorter or longer than published.

        Raises UserError for a fraction that is not above 0, or not finite.
        """
        if not 0 < fraction < math.inf:
            raise UserError(f"{self.name}: over({fraction}); allowed: a finite number above 0")
        return replace(self, **{name: scaled(getattr(self, name), fraction) for name in self.schedules})

    @abstractmethod
    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        """The objective per image, the scalars to record, and the next memory."""


def untypeable(kind: type[Method]) -> str:
    """Why the fields of a method cannot all be options of the command line; empty where they can."""
    for one in fields(kind):
        if one.name in TYPED:
            return (
                f"{kind.__name__}.{one.name} is called like an option that every method takes; allowed: another name, "
                f"none of {', '.join(sorted(TYPED))}"
            )
        if one.default is MISSING and one.default_factory is MISSING:
            return f"{kind.__name__}.{one.name} has no default; allowed: fields that have one"
    return ""


def scaled(length: Any, fraction: float) -> Any:
    """A schedule length (or a tuple of them) multiplied and rounded, at least 1."""
    if isinstance(length, tuple):
        return tuple(scaled(one, fraction) for one in length)
    return max(1, round(length * fraction))


def at_least(method: Method, low: float, *names: str) -> None:
    """Raises UserError unless the named fields (numbers or tuples of them) are finite and at least ``low``."""
    for name in names:
        value = getattr(method, name)
        for one in value if isinstance(value, tuple) else (value,):
            if not isinstance(one, int | float) or not low <= one < math.inf:
                raise UserError(f"{method.name}: {name} = {value!r}; allowed: numbers of {low:g} or more")


def need_company(method: Method, rows: int, least: int = 2) -> None:
    """Raises UserError for batches in which there is too little to permute or compare."""
    if rows < least:
        raise UserError(
            f"{method.name}: batch = {rows}; allowed: {least} or more, since codes are compared between images"
        )


def one_of(method: Method, name: str, allowed: Collection[str]) -> None:
    """Raises UserError unless a string field is one of the allowed words."""
    value = getattr(method, name)
    if value not in allowed:
        raise UserError(f"{method.name}: {name} = {value!r}{hint(value, allowed)} (allowed: {', '.join(allowed)})")
