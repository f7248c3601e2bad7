"""What a run's folder keeps of its scores and their limits, and how each was asked for; a run as a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unweave.engine.experiment import Complete, to_json
from unweave.engine.step import Failure
from unweave.engine.written import surroundings
from unweave.metrics import Metric
from unweave.store import Checkpoint, RunFolder, StoreError, now
from unweave.types import Score, UserError

Trace = Mapping[str, Sequence[float]]


def asked(metric: Metric, count: int | None, seed: int) -> dict[str, Any]:
    """All that a score depends on besides the model, as JSON values: settings, images, seed."""
    settings = {name: value for name, value in asdict(metric).items() if name != "n_jobs"}
    return _jsonable({"settings": settings, "images": count, "seed": seed})


def asked_limits(metric: Metric, count: int, seed: int, step: int, space: int) -> dict[str, Any]:
    """All that limits depend on; where posteriors are read, those of noise are as wide as the model's."""
    how = asked(metric, count, seed)
    return how | {"step": step, "space": space} if metric.posteriors else how


def apart(metrics: Sequence[Metric]) -> None:
    """Raises UserError where two metrics' scores would be kept under one label."""
    seen: dict[str, Metric] = {}
    for one in metrics:
        if one.label in seen:
            raise UserError(f"{seen[one.label]!r} and {one!r} are both kept as {one.label!r}; allowed: one of them")
        seen[one.label] = one


def keep_score(folder: RunFolder, step: int, label: str, score: Score, how: Mapping[str, Any], read: int) -> None:
    """Add a score, how it was asked for and the number of images encoded for it to a run's folder; those of an earlier
    step are dropped."""
    with folder.changing("scores"):
        before = folder.read("scores")
        kept = before.get("scores", {}) if before.get("step") == step else {}
        entry = {"value": score.value, "parts": dict(score.parts), "settings": _jsonable(score.settings)}
        kept[label] = entry | {"at": now(), "asked": how, "read": read}
        folder.write("scores", {"step": step, "scores": kept})


def kept_scores(folder: RunFolder, step: int) -> dict[str, Score]:
    """The scores that a folder keeps of this step."""
    try:
        kept = folder.read("scores")
        found = {name: Score(s["value"], s["parts"], s["settings"]) for name, s in kept.get("scores", {}).items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder.path}: scores.json is damaged ({type(error).__name__}: {error})") from None
    return found if kept.get("step") == step else {}


def kept_limits(folder: RunFolder, step: int) -> dict[str, tuple[float, float]]:
    """Floor and ceiling of the scores kept of this step, where they were made in the same way: label -> both."""
    scored = folder.read("scores")
    scores = scored.get("scores", {}) if scored.get("step") == step else {}
    return {
        label: (entry["floor"], entry["ceiling"])
        for label, entry in folder.read("ceilings").items()
        if label in scores and _belong(entry["asked"], scores[label], step)
    }


def _belong(limits: Mapping[str, Any], score: Mapping[str, Any], step: int) -> bool:
    """Whether limits that were asked for so are those of a kept score, which is of space 0."""
    how = score.get("asked")
    if how is None:
        return True
    here = {"step": step, "space": 0}
    wanted = {**how, "images": score.get("read", how["images"])}
    plain = {name: value for name, value in limits.items() if name not in here}
    return wanted == plain and all(limits.get(name, value) == value for name, value in here.items())


def _jsonable(settings: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(dict(settings), default=str))


def write_run(
    experiment: Complete,
    step: int,
    weights: Mapping[str, Tensor],
    trace: Trace,
    path: Path,
    failure: Failure | None = None,
) -> None:
    """A trained model as a run's folder, without what only its training would need. What the folder held about another
    model, its scores and the names of its latents, is removed.

    Args:
        experiment: what was trained.
        step: how far.
        weights: name -> parameter.
        trace: ``step`` and every recorded term.
        path: the folder.
        failure: where it stopped, if it did.

    Raises:
        StoreError: the disk refuses, or another process writes there.
    """
    state: dict[str, Any] = {"state": "done" if step >= experiment.steps else "stopped", "step": step}
    if failure is not None:
        state = {"state": "failed", "step": failure.step, "term": failure.term, "checkpoint": step}
    folder = RunFolder(path)
    tensors = {f"model/{name}": value.detach().cpu().clone() for name, value in weights.items()}
    with folder.lock():
        try:
            before = folder.load()
        except StoreError:  # what is damaged is replaced
            before = None
        if before is None or before.key != experiment.key or not _alike(before, tensors):
            folder.forget()
        folder.put(
            trace=trace,
            checkpoint=Checkpoint(step, tensors, tuple(name for name in trace if name != "step"), experiment.key),
            experiment={"key": experiment.key, "source": "", **to_json(experiment)},
            environment=surroundings(experiment),
            status={**state, "steps": experiment.steps, "at": now()},
        )


def _alike(before: Checkpoint, weights: Mapping[str, Tensor]) -> bool:
    kept = {name: value for name, value in before.tensors.items() if name.startswith("model/")}
    return kept.keys() == weights.keys() and all(torch.equal(kept[name], weights[name]) for name in weights)
