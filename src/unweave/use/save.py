"""A trained model as a folder for other people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from unweave.run import Run
from unweave.shared import CARD, SharedFolder, pack
from unweave.shared.folder import EXTRAS
from unweave.store import StoreError, now
from unweave.types import UserError
from unweave.use.card import card


def save(run: Run, folder: Path | str, *, licence: str | None = None) -> SharedFolder:
    """Write what is needed to use a model, and nothing else: weights, description, scores, names, and a card about it.

    ``unweave.load`` reads the folder on any machine. Optimiser, trace and critics stay behind, and so does every path
    of this machine: a model of one's own pictures keeps their size and number.

    Args:
        run: a trained model.
        folder: new, empty, or that of a shared model, which is replaced; a README.md in it is left as it is.
        licence: an identifier such as ``apache-2.0`` for the card; nothing is said of a licence when None.

    Raises:
        UserError: a folder that holds something else, a licence that is no identifier.
        StoreError: a disk that refuses.

    >>> import tempfile, unweave
    >>> run = unweave.fit("vae", "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> folder = save(run, tempfile.mkdtemp())
    >>> sorted(path.name for path in folder.path.iterdir())
    ['README.md', 'config.json', 'model.safetensors']
    >>> unweave.load(folder.path).step
    2
    """
    target = SharedFolder(folder)
    if run.failure is not None and run.step == 0:
        raise UserError("this run failed before its first checkpoint: there is no model to share")
    documents, tensors = pack(run.experiment, run.model, run.step, run.experiment.key, _extras(run))
    text = card(run, licence)
    target.write(documents, tensors, None if target.has(CARD) else text)
    return target


def _extras(run: Run) -> dict[str, Any]:
    """What the run's folder keeps of this very step: names, scores, limits, ranges of latents."""
    found: dict[str, Any] = {}
    for name in EXTRAS if run.folder is not None else ():
        try:
            kept = run.folder.read(name.removesuffix(".json")) if run.folder is not None else {}
        except StoreError:
            continue
        if kept.get("step", run.step) == run.step:
            found[name] = kept
    if run.folder is None and run.scores:
        entries = {
            name: {"value": score.value, "parts": dict(score.parts), "settings": dict(score.settings), "at": now()}
            for name, score in run.scores.items()
        }
        found["scores.json"] = json.loads(json.dumps({"step": run.step, "scores": entries}, default=str))
    return found
