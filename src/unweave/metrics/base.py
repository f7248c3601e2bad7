"""What a metric is: a frozen dataclass of settings, called on codes with a seed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from unweave.types import Codes, Reference, Score


@dataclass(frozen=True)
class Metric(ABC):
    """A number read off ``Codes``: the same codes, settings and seed give the same number."""

    name: ClassVar[str]
    references: ClassVar[tuple[Reference, ...]] = ()
    better: ClassVar[str] = "higher"
    """``higher`` or ``lower``: which values are better."""
    errors: ClassVar[tuple[str, ...]] = ()
    """Parts that are better when lower, though the value is better when higher; ``nrmse`` means ``nrmse.NAME`` too."""
    reads: ClassVar[str] = "factors"
    """What the codes must carry beside the means: ``factors`` (levels), ``distortion`` (reconstruction errors), or
    nothing (``codes``)."""
    limits: ClassVar[tuple[float, float]] = (0.0, 1.0)
    """The least and the largest value there can be, whatever the codes and the settings."""
    cost: ClassVar[str] = ""
    """Seconds on two cores for as many images as its definition reads, of 10 latents and five factors, as
    ``benchmarks/metric_time.py`` measures them."""

    @property
    def label(self) -> str:
        """What its score is kept under: the name, and more where a setting makes numbers that must not be mixed."""
        return self.name

    def words(self, *names: str) -> list[str]:
        """One word for each of the fields named that is not at its default: ``bins40``, ``quantile0_5``."""
        usual = {one.name: one.default for one in fields(self)}
        changed = [(name, getattr(self, name)) for name in names if getattr(self, name) != usual[name]]
        return [f"{name.replace('_', '-')}{_word(value)}" for name, value in changed]

    @property
    def posteriors(self) -> bool:
        """Whether, with these settings, the codes must carry log-variances as well."""
        return False

    @abstractmethod
    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        """Score the codes. Raises UserError when they lack what the metric needs (factors, distortion, widths)."""

    def check(self) -> None:
        """Raises UserError for settings that no score can be computed with; asked before anything is trained too."""
        return

    def settings(self, codes: Codes, seed: int) -> dict[str, Any]:
        """Every setting that made a score: the fields, the seed, how many images and latents were read."""
        return {
            **asdict(self),
            "seed": seed,
            "images": len(codes.mean),
            "latents": codes.mean.shape[1],
            "space": codes.space,
        }


def _word(value: Any) -> str:
    """A setting within a label, in which a dot would begin a part's name."""
    if isinstance(value, tuple):
        return "+".join(_word(one) for one in value) or "-none"
    return "-none" if value is None else str(value).replace(".", "_")
