"""What a report tells: the plain record of one run, before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unweave.names import hint
from unweave.types import Reference, UserError

STATUSES = ("finished", "running", "stopped", "failed", "untrained")
"""``stopped`` is a run that ended early on request; ``untrained`` is a model with its initial weights."""

PARTS = ("scores", "information", "reconstructions", "traversals", "curves")
"""The parts of a page whose absence can be explained in ``Story.missing``."""


@dataclass(frozen=True)
class ScoreRow:
    """One score beside what this data set allows.

    Args:
        name: the metric, such as ``MIG``.
        value: the score; None where it could not be computed (say why in ``note``).
        parts: its named parts.
        ceiling: the best value that codes can reach on this data set; None if unknown.
        floor: what codes that carry nothing reach; None if unknown.
        better: ``higher`` or ``lower``. With ``lower`` the ceiling is the smaller number.
        settings: every setting that made the number.
        note: one sentence that belongs beside the number.
        meaning: what the metric asks, in one sentence.
        bounded: whether there is a ceiling and a floor to know; without factors there is none.
    """

    name: str
    value: float | None
    parts: Mapping[str, float] = field(default_factory=dict)
    ceiling: float | None = None
    floor: float | None = None
    better: str = "higher"
    settings: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    meaning: str = ""
    bounded: bool = True


@dataclass(frozen=True, eq=False)
class Information:
    """How much each latent tells: in all, and of each factor.

    Args:
        nmi: (D, F) normalised mutual information in [0, 1], NaN where not estimated; None without factors.
        kl: (D,) mean KL(q(z|x) ‖ p(z)) of each latent in nats; None for an encoder without a density.
        factors: F factor names.
        latents: D latent labels; the numbers 0 … D − 1 when empty.
        settings: one line on how the numbers were estimated.
    """

    nmi: np.ndarray | None = None
    kl: np.ndarray | None = None
    factors: Sequence[str] = ()
    latents: Sequence[str] = ()
    settings: str = ""


@dataclass(frozen=True, eq=False)
class Traversal:
    """What the decoder draws while one latent moves and the others stay.

    Args:
        latent: its number, the row of ``Information``.
        values: V values of the latent.
        images: (V, H, W, C) uint8, C 1 or 3.
        label: its name; ``latent`` when empty.
        kl: its mean KL in nats, if known.
    """

    latent: int
    values: Sequence[float]
    images: np.ndarray
    label: str = ""
    kl: float | None = None


@dataclass(frozen=True)
class Figure:
    """One drawing of an analysis.

    Args:
        name: what it shows, as a heading; also the name of its file.
        svg: the drawing, a whole SVG document.
        words: what to see in it, in a sentence or two.
    """

    name: str
    svg: str
    words: str = ""


@dataclass(frozen=True)
class Failure:
    """Where a run stopped being finite.

    Args:
        step: the step of the first number that was not finite.
        term: the term of the loss that it was in.
        message: anything else worth saying, in one sentence.
        kept: step of the last good checkpoint, which the rest of the page describes; None when there is none.
    """

    step: int | None = None
    term: str = ""
    message: str = ""
    kept: int | None = None


@dataclass(frozen=True, eq=False)
class Story:
    """One run, as a page tells it. Every part but the title may be missing; the page then says so.

    Args:
        title: what was trained on what.
        subtitle: one sentence under it.
        key: the experiment's key.
        status: one of ``STATUSES``.
        failure: where a failed run failed.
        summary: what was trained, name -> value (method and hyperparameters, data and where its pixels came from,
            network, likelihood, steps, batch, rate, precision, seed, time, machine). The first six entries are
            repeated under the title: put the short and important ones first.
        scores: the scores.
        information: the latent × factor table.
        originals: (N, H, W, C) uint8, C 1 or 3.
        reconstructions: (N, H, W, C) uint8 of the same images.
        traversals: strips, in any order; the page sorts them by KL.
        curves: term -> (steps, values), both of one length.
        figures: drawings of analyses, in order.
        stages: the stages of the training schedule, in order, one line each.
        notes: what a reader must know to read the numbers rightly, one sentence each.
        references: what to cite.
        command: the command line that makes the run and this page again.
        environment: versions and machine, name -> value.
        missing: part (one of ``PARTS``) -> why it is missing, in one sentence.
    """

    title: str
    subtitle: str = ""
    key: str = ""
    status: str = "finished"
    failure: Failure | None = None
    summary: Mapping[str, str] = field(default_factory=dict)
    scores: Sequence[ScoreRow] = ()
    information: Information | None = None
    originals: np.ndarray | None = None
    reconstructions: np.ndarray | None = None
    traversals: Sequence[Traversal] = ()
    curves: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    figures: Sequence[Figure] = ()
    stages: Sequence[str] = ()
    notes: Sequence[str] = ()
    references: Sequence[Reference] = ()
    command: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raises UserError where parts contradict one another or have the wrong shape."""
        _allowed("Story: status", self.status, STATUSES)
        for part in self.missing:
            _allowed("Story: missing", part, PARTS)
        for row in self.scores:
            _allowed(f"ScoreRow {row.name!r}: better", row.better, ("higher", "lower"))
        if self.information is not None:
            _check_information(self.information)
        shapes = []
        for name, images in (("originals", self.originals), ("reconstructions", self.reconstructions)):
            if images is not None:
                _check_images(f"Story: {name}", images)
                shapes.append(images.shape)
        if len(set(shapes)) > 1:
            raise UserError(f"Story: reconstructions have shape {shapes[1]}; allowed is that of originals, {shapes[0]}")
        for strip in self.traversals:
            _check_images(f"Traversal of latent {strip.latent}", strip.images)
            if len(strip.values) != len(strip.images):
                raise UserError(
                    f"Traversal of latent {strip.latent}: {len(strip.values)} values, {len(strip.images)} images"
                )
        for figure in self.figures:
            if not figure.name or not figure.svg.startswith("<svg"):
                raise UserError(f"Figure {figure.name!r} begins with {figure.svg[:12]!r}; allowed: a name and an SVG")
        for term, (steps, values) in self.curves.items():
            if np.ndim(steps) != 1 or np.shape(steps) != np.shape(values):
                raise UserError(f"Story: curve {term!r} has {np.shape(steps)} steps and {np.shape(values)} values")
            if not np.isfinite(np.asarray(steps, dtype=np.float64)).all():
                raise UserError(f"Story: curve {term!r} has a step that is not finite")


def _allowed(what: str, given: str, allowed: Sequence[str]) -> None:
    if given not in allowed:
        raise UserError(f"{what} is {given!r}{hint(given, allowed)} (allowed: {', '.join(allowed)})")


def _check_images(what: str, images: np.ndarray) -> None:
    if images.ndim != 4 or images.shape[3] not in (1, 3) or images.dtype != np.uint8 or 0 in images.shape:
        given = f"{images.dtype} {tuple(images.shape)}"
        raise UserError(f"{what} are {given}; allowed is uint8 (images, height, width, channels) with 1 or 3 channels")


def _check_information(information: Information) -> None:
    nmi, kl = information.nmi, information.kl
    rows = {len(part) for part in (nmi, kl, information.latents or None) if part is not None}
    if len(rows) > 1:
        raise UserError(f"Information: nmi, kl and latents speak of {sorted(rows)} latents; allowed is one number")
    if kl is not None and kl.ndim != 1:
        raise UserError(f"Information: kl has shape {kl.shape}; allowed is (latents,)")
    if nmi is not None:
        if nmi.ndim != 2 or nmi.shape[1] != len(information.factors):
            raise UserError(f"Information: nmi has shape {nmi.shape} for {len(information.factors)} factor names")
        # NaN compares false and passes; the table shows it as "not estimated".
        if bool(((nmi < -1e-6) | (nmi > 1 + 1e-6)).any()):
            raise UserError(f"Information: nmi runs from {np.nanmin(nmi):g} to {np.nanmax(nmi):g}; allowed is 0 to 1")
