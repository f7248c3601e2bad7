"""The model card: what a shared model is, what it was trained on, how good it is, how to use it, and what it is not."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator

from unweave import __version__
from unweave.data import Elsewhere
from unweave.data.elsewhere import portable
from unweave.report.numbers import fixed
from unweave.report.settings import adam, architecture, words
from unweave.run import Run
from unweave.types import UserError
from unweave.use.latents import title

LICENCE = re.compile(r"^[a-z0-9][a-z0-9.+-]{0,63}$")
MARKS = re.compile(r"[\\`*~&<>|\[\]]")
"""Signs that mean something in Markdown or HTML."""
LISTED = 40
"""Most latents that are listed."""


def card(run: Run, licence: str | None = None, *, name: str = "MODEL") -> str:
    """README.md as the Hugging Face Hub reads it: YAML between two lines of dashes, then Markdown.

    Args:
        run: a trained model.
        licence: an identifier such as ``apache-2.0``; nothing is said of a licence when None.
        name: what the examples call the model's folder.

    Raises:
        UserError: a licence that is no identifier.

    >>> import unweave
    >>> run = unweave.fit("vae", "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> card(run, "mit").splitlines()[:3]
    ['---', 'library_name: unweave', 'license: mit']
    """
    check_licence(licence)
    e = run.experiment
    data = portable(e.data)
    kind = data.kind if isinstance(data, Elsewhere) else data.name
    parts = [
        _front(run, licence, kind),
        f"# {e.method.name} on {escaped(kind)}",
        f"{_sentence(e.method.summary)} An encoder from images to {e.latents} latents and a decoder back, trained "
        f"with unweave {__version__}.",
        "## Use it",
        _usage(run, name),
        "## What it was trained on",
        "\n".join(_trained(run, kind)),
        "## How",
        "\n".join(_how(run)),
    ]
    named = list(_latents(run))
    if named:
        parts += ["## Its latents", "\n".join(named)]
    parts += ["## Scores", _scores(run), "## Limits", "\n".join(_limits(run, kind))]
    cited = [one.bibtex() for one in e.method.references]
    if cited:
        parts += ["## Cite", "```bibtex\n" + "\n\n".join(cited) + "\n```"]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Text in which Markdown finds no HTML, link, picture, code or column of a table: names may be anybody's.

    >>> escaped("<b> a|b").count("\\\\")
    3
    """
    return MARKS.sub(r"\\\g<0>", " ".join(text.split()))


def check_licence(licence: str | None) -> None:
    """Raises UserError for a licence that is no identifier."""
    if licence is not None and not LICENCE.match(licence):
        raise UserError(
            f"licence {licence!r}; allowed: an identifier in small letters, such as apache-2.0 or cc-by-4.0"
        )


def licensed(text: str, licence: str) -> str:
    """A card with this licence in its front matter, whatever it said before.

    Raises:
        UserError: a licence that is no identifier, or a card without front matter.

    >>> licensed("---\\nlibrary_name: unweave\\nlicense: mit\\n---\\n# A model", "apache-2.0").splitlines()[:3]
    ['---', 'library_name: unweave', 'license: apache-2.0']
    """
    check_licence(licence)
    lines = text.splitlines()
    if lines[:1] != ["---"] or "---" not in lines[1:]:
        raise UserError("the card has no front matter, where a licence would be; allowed: cards as unweave writes them")
    end = lines.index("---", 1)
    front = [line for line in lines[1:end] if not line.startswith("license:")]
    return "\n".join(["---", *front[:1], f"license: {licence}", *front[1:], *lines[end:], ""])


def _front(run: Run, licence: str | None, kind: str) -> str:
    e = run.experiment
    tags = dict.fromkeys(["unweave", "disentanglement", "representation-learning", "vae", e.method.name, kind])
    lines = ["---", "library_name: unweave", *([f"license: {licence}"] if licence else []), "tags:"]
    lines += [f"- {json.dumps(tag)}" for tag in tags]
    if run.scores:
        lines += ["model-index:", f"- name: {json.dumps(f'{e.method.name} on {kind}')}", "  results:", "  - task:"]
        lines += ["      type: representation-learning", "    dataset:", f"      name: {json.dumps(kind)}"]
        lines += [f"      type: {json.dumps(kind)}", "    metrics:"]
        for label, score in run.scores.items():
            if not math.isfinite(score.value):
                continue
            lines += [f"    - type: {json.dumps(label)}", f"      value: {score.value:.6g}"]
    return "\n".join([*lines, "---"])


def _usage(run: Run, name: str) -> str:
    return f"""```sh
pip install .                                       # in a copy of unweave's source: no package index has it
unweave pull USER/{name}                            # from the Hugging Face Hub, into the folder {name}
unweave encode {name} FOLDER_OF_PICTURES --out codes.csv
unweave edit {name} PICTURE.png --set z0=1.5 --out edited.png
unweave explore {name}
```

```python
import unweave

run = unweave.load("{name}")
found = unweave.encode(run, "FOLDER_OF_PICTURES")   # found.names, found.codes.mean: (N, {run.model.latents})
images = unweave.decode(run, found.codes.mean)      # (N, H, W, C) bytes
```

The weights are in `model.safetensors`, everything else in `config.json`; nothing in this folder is ever executed."""


def _trained(run: Run, kind: str) -> Iterator[str]:
    data = run.data
    size = "×".join(map(str, data.shape))
    yield f"- Data: {escaped(kind)}, {data.rows:,} images of {size} (channels × height × width)"
    if data.factors:
        told = ", ".join(
            f"{escaped(name)} ({size})" for name, size in zip(data.factors.names, data.factors.sizes, strict=True)
        )
        yield f"- Factors: {told}"
    if data.licence:
        yield f"- Terms of the data: {data.licence}"
    if data.references:
        yield f"- Published by: {', '.join(one.short for one in data.references)}"


def _how(run: Run) -> Iterator[str]:
    e = run.experiment
    own = ", ".join(f"{name} {words(value)}" for name, value in vars(e.method).items())
    taken = f"{run.step:,}" if run.step == e.steps else f"{run.step:,} of {e.steps:,}"
    count = sum(parameter.numel() for parameter in run.model.parameters())
    yield f"- Method: {e.method.name}{f' ({own})' if own else ''}"
    yield f"- Network: {architecture(e)}, {count:,} parameters in training, likelihood {e.likelihood}"
    yield f"- Training: {taken} steps of {e.batch} images, {adam(e)}, {e.precision}, seed {e.seed}"
    if run.failure is not None:
        yield f"- It failed at step {run.failure.step:,} ({run.failure.term}); this is its last good checkpoint"


def _latents(run: Run) -> Iterator[str]:
    """Those that have a name."""
    for latent in range(min(run.model.latents, LISTED)):
        named = title(run, latent)
        if "(" in named:
            yield f"- {escaped(named)}"


def _scores(run: Run) -> str:
    if not run.scores:
        return "It was not scored; `unweave score` does it."
    limits = run.known_limits()
    lines = ["| metric | value | noise reaches | a perfect code reaches |", "|---|---|---|---|"]
    for label, score in run.scores.items():
        low, high = limits.get(label, (None, None))
        lines.append(f"| {escaped(label)} | {fixed(score.value)} | {fixed(low)} | {fixed(high)} |")
    return "\n".join(lines)


def _limits(run: Run, kind: str) -> Iterator[str]:
    size = "×".join(map(str, run.data.shape))
    yield (
        f"- It reads images of {size} and knows only such as it was trained on ({escaped(kind)}); codes of others mean "
        "little."
    )
    yield (
        "- A latent that goes with a factor does so on this data. Nothing is said of causes, nor of data where other "
        "things go together."
    )
    yield "- What it draws is smoother than a photograph: a variational autoencoder averages what it cannot tell apart."
    if run.scores:
        yield "- Scores are of images like those of the training, and of one seed; other seeds differ."


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
