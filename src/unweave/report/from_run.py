"""From a run to the story of its report: everything that is read off the model, the data and the run's folder."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unweave.data.elsewhere import innermost, inside
from unweave.engine import Complete
from unweave.engine.experiment import preset_for
from unweave.methods import Method
from unweave.metrics import METRICS, Metric, nmi
from unweave.report.analyses import figures_of
from unweave.report.settings import adam, again, architecture, changes, steered, words
from unweave.report.story import Failure, Information, ScoreRow, Story, Traversal
from unweave.run import Run
from unweave.shared import is_shared
from unweave.types import Codes, Gaussian, Reference, Score

BINS = 20
"""Equal-width bins of a latent in the information matrix, as in MIG."""
PICTURES = 10
"""Images shown with their reconstructions."""
FRAMES = 9
"""Images of a traversal."""
SPAN = 2.0
"""Traversals of a latent that says nothing of the image run from −SPAN to SPAN; of others over what its codes cover."""
STRIPS = 12
"""Most traversals shown."""

FOLDERS = re.compile(r"(?<![^\s(])(?:[A-Za-z]:)?[\\/](?:[^\\/,'\"\n]+[\\/])*(?=[^\s\\/])")
"""The folders before the last name of an absolute path, in a text."""


def tell(run: Run, *, codes: Codes | None = None, seed: int = 0, command: str = "") -> Story:
    """The story of a run, from its model, its data, and the scores and limits that it keeps.

    Args:
        run: a trained model.
        codes: its codes, where they are at hand; 15,000 images are encoded when None.
        seed: which images are shown, and which are encoded.
        command: how to make the run again; the command line of its experiment when empty.

    >>> import unweave
    >>> run = unweave.fit("vae", "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> story = tell(run)
    >>> story.title, len(story.traversals)
    ('vae on triangle', 10)
    """
    codes = run.codes(seed=seed) if codes is None else codes
    experiment, status = run.experiment, _kept(run, "status")
    kl = None if codes.logvar is None else Gaussian(codes.mean, codes.logvar).kl().double().mean(0).numpy()
    originals, reconstructions = _pictures(run, seed)
    failed = None if run.failure is None else Failure(run.failure.step, run.failure.term, kept=run.step)
    metrics = [METRICS[name] for name in METRICS if any(label.startswith(name) for label in run.scores)]
    return Story(
        title=f"{experiment.method.name} on {experiment.data.name}",
        subtitle=f"{experiment.method.summary[:1].upper()}{experiment.method.summary[1:]}.",
        key=experiment.key,
        status=_status(run, status),
        failure=failed,
        summary=_summary(run, status),
        scores=_score_rows(run),
        information=information_of(codes, kl),
        originals=originals,
        reconstructions=reconstructions,
        traversals=_traversals(run, codes, kl),
        curves={name: (run.steps, values) for name, values in run.terms.items() if values},
        figures=figures_of(run, codes, seed),
        stages=list(stages(run)),
        notes=list(_notes(run, codes)),
        references=_references(experiment, metrics),
        command=command or again(experiment),
        environment=_environment(run),
        missing={} if run.scores else {"scores": "This run was not scored; `unweave score` does it."},
    )


def limits_of(
    run: Run, metrics: Sequence[Metric], codes: Codes, *, seed: int = 0, told: Callable[[str], None] = lambda name: None
) -> dict[str, tuple[float, float]]:
    """Floor and ceiling of every metric that compares codes with factors; none for data without factors."""
    return run.limits(
        [m for m in metrics if m.reads == "factors"] if run.data.factors else [], codes, seed=seed, told=told
    )


def stages(run: Run) -> Iterator[str]:
    """One line for each stretch of the training in which every parameter group keeps its rate, if there are several."""
    method, end = run.experiment.method, run.experiment.steps
    starts = [0, *_turns(method, end)]
    for begin, until in pairwise([*starts, end] if len(starts) > 1 else []):
        scales = {name: rate.scale for name, rate in method.rates(begin).items()}
        told = [f"{_names(scales, 1.0)} at full rate"] if _names(scales, 1.0) else []
        told += [
            f"{_names(scales, s)} at {s:g} of the rate" for s in sorted(set(scales.values()) - {0.0, 1.0}, reverse=True)
        ]
        told += [f"{_names(scales, 0.0)} at rest"] if _names(scales, 0.0) else []
        told += [f"{name} = {value:.4g}" for name, value in _constants(run, begin, until)]
        yield f"Steps {begin + 1:,} to {until:,}: {'; '.join(told)}."


def _turns(method: Method, end: int) -> list[int]:
    """The steps at which the rates change: looked for on a grid, then narrowed down between its points."""

    def at(step: int) -> dict[str, float]:
        return {name: rate.scale for name, rate in method.rates(step).items()}

    found = []
    for low, high in pairwise(sorted({*range(0, end, max(1, end // 512)), end - 1})):
        while at(low) != at(high):
            start, stop = low, high
            while stop - start > 1:
                middle = (start + stop) // 2
                start, stop = (middle, stop) if at(middle) == at(low) else (start, middle)
            found.append(stop)
            low = stop
    # Rates that change all the time are a schedule, not stages.
    return found if len(found) <= 32 else []


def _names(scales: Mapping[str, float], scale: float) -> str:
    return ", ".join(name for name, one in scales.items() if one == scale)


def _constants(run: Run, begin: int, until: int) -> Iterator[tuple[str, float]]:
    """Recorded terms that keep one value within a stretch of the training but not throughout it."""
    window = run.steps[0] if run.steps else 0
    inside = [place for place, step in enumerate(run.steps) if begin + window <= step <= until]
    for name, values in run.terms.items():
        here = {round(values[place], 9) for place in inside}
        if len(here) == 1 and len({round(value, 9) for value in values}) > 1:
            yield name, here.pop()


def _status(run: Run, status: Mapping[str, Any]) -> str:
    if run.failure is not None:
        return "failed"
    if run.step >= run.experiment.steps:
        return "finished"
    return "running" if run.folder is not None and run.folder.held() else "stopped"


def _summary(run: Run, status: Mapping[str, Any]) -> dict[str, str]:
    e = run.experiment
    own = ", ".join(f"{one.name} {words(getattr(e.method, one.name))}" for one in fields(e.method))
    source = (run.folder.read("experiment").get("source") if run.folder else None) or run.images.source
    count = sum(parameter.numel() for parameter in run.model.parameters())
    taken = f"{run.step:,}" if run.step == e.steps else f"{run.step:,} of {e.steps:,}"
    summary = {
        "Method": f"{e.method.name}: {own}" if own else e.method.name,
        "Data": f"{e.data.name}, {e.data.rows:,} images of {'×'.join(map(str, e.data.shape))}",
        "Pixels from": source,
        "Latents": str(e.latents),
        "Steps": taken,
        "Seed": str(e.seed),
        "Batch": f"{e.batch} images",
        "Learning rate": f"{adam(e)}, betas {words(e.optimiser.betas)}" if steered(e) else adam(e),
        "Likelihood": e.likelihood,
        "Network": f"{architecture(e)}, {count:,} parameters",
        "Precision": e.precision,
    }
    if status.get("seconds_per_step"):
        summary["Time"] = f"{1000 * status['seconds_per_step']:.3g} ms a step when last measured"
    return summary


def _score_rows(run: Run) -> list[ScoreRow]:
    limits = run.known_limits()
    order = {name: place for place, name in enumerate(METRICS)}
    found = []
    for label, score in sorted(run.scores.items(), key=lambda pair: order.get(_metric(pair[0]), len(order))):
        low, high = limits.get(label, (None, None))
        kind = METRICS.get(_metric(label))
        better = kind.better if kind else "higher"
        bounded = kind is None or kind.reads == "factors"
        row = ScoreRow(label, score.value, score.parts, high, low, better, score.settings, _remark(score))
        found.append(replace(row, meaning=_meaning(kind), bounded=bounded))
    return found


def _metric(label: str) -> str:
    """The metric's name of a label: ``dci`` of ``dci-fast``."""
    return max((name for name in METRICS if label == name or label.startswith(f"{name}-")), key=len, default=label)


def _meaning(kind: type[Metric] | None) -> str:
    """What a metric asks: the first words of its description, without marks of code."""
    words = " ".join((kind.__doc__ or "").partition("\n\n")[0].split()) if kind else ""
    # Without a description a dataclass has its fields there.
    return "" if kind and words.startswith(f"{kind.__name__}(") else words.replace("`", "")


def _remark(score: Score) -> str:
    """What a metric itself says was left out."""
    left = [
        f"{name.replace('_', ' ')}: {words(value)}" for name, value in score.settings.items() if _left_out(name, value)
    ]
    return "; ".join(left)


def _left_out(name: str, value: Any) -> bool:
    return bool(value) and ("constant" in name or "ignored" in name)


def information_of(codes: Codes, kl: np.ndarray | None) -> Information:
    """How much each latent of the codes tells; ``kl`` (D,) is the mean KL of each, or None."""
    known = codes.levels.shape[1] > 0
    how = f"{BINS} equal-width bins a latent, {len(codes.mean):,} images, latent space {codes.space}."
    return Information(nmi(codes, BINS) if known else None, kl, codes.names if known else (), settings=how)


def _pictures(run: Run, seed: int) -> tuple[np.ndarray, np.ndarray]:
    count = min(PICTURES, run.data.rows)
    rows = np.sort(np.random.default_rng(seed).choice(run.data.rows, count, replace=False))
    x, again_ = run.reconstruct(torch.from_numpy(rows))
    return as_bytes(x), as_bytes(again_)


def _traversals(run: Run, codes: Codes, kl: np.ndarray | None) -> list[Traversal]:
    base = codes.mean[middle(codes)].to(next(run.model.parameters()))
    spread = codes.mean.double().var(0).numpy() if kl is None else kl
    blocks = codes.blocks if run.model.correlated else tuple((latent,) for latent in range(len(base)))
    found = []
    for place in np.argsort([-sum(spread[list(block)]) for block in blocks], kind="stable")[:STRIPS].tolist():
        block = list(blocks[place])
        # Latents of a block move together: each of the values is the same for all of them.
        low, high = np.quantile(codes.mean[:, block].double().numpy(), (0.025, 0.975), axis=0).mean(1)
        if high - low < 0.1:
            low, high = -SPAN, SPAN
        values = torch.linspace(float(low), float(high), FRAMES)
        images = as_bytes(run.traverse(block, values, base))
        strongest = max(block, key=lambda latent: spread[latent])
        label = f"Latents {', '.join(map(str, block))} together" if len(block) > 1 else ""
        total = None if kl is None else float(sum(kl[block]))
        found.append(Traversal(strongest, values.tolist(), images, label=label, kl=total))
    return found


def middle(codes: Codes) -> int:
    """The row whose factor levels are nearest to the middle of their ranges; without factors, the most central code."""
    if not codes.levels.shape[1]:
        return int((codes.mean - codes.mean.mean(0)).pow(2).sum(1).argmin())
    sizes = torch.tensor(codes.sizes, dtype=torch.float64)
    away = (codes.levels - (sizes - 1) / 2) / sizes
    return int(away.pow(2).sum(1).argmin())


def as_bytes(images: Tensor) -> np.ndarray:
    """(N, C, H, W) in [0, 1] -> (N, H, W, C) uint8; of images with neither 1 nor 3 channels the first one."""
    shown = images if images.shape[1] in (1, 3) else images[:, :1]
    return (shown.float().clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def _notes(run: Run, codes: Codes) -> Iterator[str]:
    e = run.experiment
    preset = preset_for(type(e.method), e.data)
    different = ", ".join(f"{name} {words(ours)} (published: {words(theirs)})" for name, ours, theirs in changes(e))
    if preset.note:
        yield f"Published settings: {preset.note}. " + (
            f"This run differs: {different}." if different else "All are kept."
        )
    if e.data.factors is not None and not innermost(e.data).loose and e.data.rows < e.data.factors.count:
        yield (
            f"Only {e.data.rows:,} of {e.data.factors.count:,} combinations of factor levels exist in this data set: "
            "its factors are not independent, so a latent that tells one of them tells something of others too."
        )
    if run.known_limits():
        yield (
            "Ceilings are the scores of a code that equals the factors, floors those of random numbers, on the very "
            "images that were scored; those of DCI by its fast estimator."
        )
    if run.model.spaces > 1:
        what = f"scores, information and pictures are those of space {codes.space}"
        yield f"This model has {run.model.spaces} latent spaces; {what}."
    if codes.logvar is not None and _own_prior(run):
        yield (
            "KL of the latents is to N(0, I), as for every method. This model's prior is another one: the recorded "
            "term kl is to that, and a latent that tells nothing can have a KL here."
        )
    if len(codes.mean) < e.data.rows:
        yield f"{len(codes.mean):,} of {e.data.rows:,} images were read for what each latent carries."
    yield "One seed: scores of other seeds with the same settings differ, often by more than methods do."


def _own_prior(run: Run) -> bool:
    """Whether codes of the prior are other numbers than the standard normals that they are made of."""
    some = next(run.model.parameters())
    draws = torch.linspace(-1, 1, 2 * run.model.latents, dtype=some.dtype, device=some.device).view(2, -1)
    with torch.no_grad():
        return not torch.equal(run.model.prior(draws), draws)


def _references(experiment: Complete, metrics: Sequence[type[Metric]]) -> list[Reference]:
    found: dict[str, Reference] = {}
    cited = [experiment.method.references, experiment.data.references, *(metric.references for metric in metrics)]
    for references in cited:
        for reference in references:
            found.setdefault(reference.key, reference)
    return list(found.values())


def mailable(story: Story, run: Run, *more: Path) -> Story:
    """The story without the folders of this machine: the data's, those that are named, and where pixels were from."""
    found = run.data.find(run.root)
    paths = [one for one in (*inside(run.data), found, *more) if isinstance(one, Path)]
    written = {(way, path.name) for path in paths if len(path.parts) > 1 for way in (str(path), path.as_posix())}
    known = dict(written) | {repr(way)[1:-1]: name for way, name in written}

    def told(text: str) -> str:
        for path in sorted(known, key=len, reverse=True):
            text = text.replace(path, known[path])
        return text

    summary = {name: told(value) for name, value in story.summary.items()}
    if "Pixels from" in summary:
        # As written down when it was trained: the files may have been elsewhere, or be several.
        summary["Pixels from"] = FOLDERS.sub("", summary["Pixels from"])
    command = told(story.command)
    if story.command.startswith("unweave "):
        # Word by word: quotes for the shell may stand inside a path.
        words = [told(re.sub(r"(?<!:)//+", "/", word)) for word in shlex.split(story.command)]
        command = shlex.join(words)
    return replace(story, summary=summary, command=command, notes=[told(note) for note in story.notes])


def _kept(run: Run, name: str) -> dict[str, Any]:
    """One of the files that a training leaves in its folder. A shared model has none: what is called so is not read."""
    return {} if run.folder is None or is_shared(run.folder.path) else dict(run.folder.read(name))


def _environment(run: Run) -> dict[str, str]:
    kept = _kept(run, "environment")
    code = {f"code of {name}": text for name, text in dict(kept.get("code", {})).items()}
    flat = {name: value for name, value in kept.items() if name not in ("versions", "code")}
    flat |= code | dict(kept.get("versions", {}))
    return {name: words(value) for name, value in flat.items() if value not in ("", None)}
