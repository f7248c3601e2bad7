"""Encoder and decoder as ONNX files, which run without Python and without PyTorch, checked before they are written."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from unweave import __version__
from unweave.explorer.exhibit import check_space
from unweave.networks import Judged, Model
from unweave.networks.bodies import Trunk
from unweave.networks.convolution import Conv2d, ConvTranspose2d
from unweave.run import Run
from unweave.store.files import as_json, write_all
from unweave.types import UserError
from unweave.use.latents import labelled

ENCODER, DECODER, ABOUT = "encoder.onnx", "decoder.onnx", "onnx.json"
OPSET = 18
"""Version of ONNX's operators."""
CLOSE = 1e-4
"""How far an exported model may be from the model, in units of the number itself where that is above 1."""
OUTPUTS = ("z_mean", "z_logvar")
"""Of the encoder; the second only where codes have widths. No operation inside a network is called so."""
SIZES = (1, 2, 5)
"""Batches that are tried."""
OURS: Mapping[type[nn.Module], Any] = {Conv2d: nn.Conv2d, ConvTranspose2d: nn.ConvTranspose2d}
"""Layers of ours and PyTorch's own, which need nothing else."""
NEEDED = ("onnx", "onnxscript", "onnxruntime")


class Exported(NamedTuple):
    """What was written, and how far the outputs were from the model's at most."""

    folder: Path
    files: tuple[str, ...]
    difference: float


class Encoding(nn.Module):
    """Images -> means, and log-variances where there are any."""

    def __init__(self, model: Model, space: int) -> None:
        super().__init__()
        self.model, self.space = model, space

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        q = self.model.encode(image, self.space)
        return (q.mean,) if q.logvar is None else (q.mean, q.logvar)


class Decoding(nn.Module):
    """Codes -> images in [0, 1]."""

    def __init__(self, model: Model, space: int) -> None:
        super().__init__()
        self.model, self.space = model, space

    def forward(self, code: Tensor) -> tuple[Tensor, ...]:
        return (torch.sigmoid(self.model.decode(code, self.space)),)


def export_onnx(run: Run, folder: Path | str, *, space: int = 0) -> Exported:
    """Write ``encoder.onnx``, ``decoder.onnx`` and ``onnx.json``; needs ``pip install unweave[onnx]``.

    Both take batches of any size in float32, whatever the precision of the training: a model trained in bf16 gives
    here what it would in float32. Before anything is written they are run with onnxruntime on batches of several sizes
    and compared with the model, to 1e-4.

    Args:
        run: a trained model.
        folder: where; files of these names are replaced.
        space: the latent space, for models with several.

    Raises:
        UserError: no such extra, a network that cannot be exported, or one whose export gives other numbers.
    """
    _check_installed()
    check_space(run, space)
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise UserError(f"{target} is no folder; allowed: a folder, which is made where it is not")
    who, model = run.experiment.method.name, plain(run.model)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(max(SIZES), *run.data.shape, generator=generator)
    images[0], images[-1] = 0.0, 1.0
    codes = 1.5 * torch.randn(max(SIZES), run.model.latents, generator=generator)
    points = model.encode(images[:1], space).logvar is None
    outputs = OUTPUTS[:1] if points else OUTPUTS
    with torch.no_grad():
        encoder = converted(Encoding(model, space), images, "image", outputs, f"{who}: its encoder")
        decoder = converted(Decoding(model, space), codes, "code", ["image"], f"{who}: its decoder")
        found = {
            "encoder": difference(encoder, Encoding(model, space), images, f"{who}: its encoder"),
            "decoder": difference(decoder, Decoding(model, space), codes, f"{who}: its decoder"),
        }
    for part, value in found.items():
        if not value <= CLOSE:
            raise UserError(
                f"{who}: its {part} as ONNX differs by {value:.2g}; allowed: {CLOSE:g}; nothing was written"
            )
    contents = {ENCODER: encoder, DECODER: decoder, ABOUT: as_json(_about(run, space, outputs, found))}
    write_all({target / name: content for name, content in contents.items()}, flush=[target / ABOUT])
    return Exported(target, tuple(contents), max(found.values()))


def plain(model: Model) -> Model:
    """A copy in float32 on the CPU, of PyTorch's own layers where ours give the same by another way.

    >>> from unweave.networks import VAE, Conv
    >>> type(plain(VAE(Conv(), (1, 64, 64), 2, "bernoulli")).encoder.trunk.layers[0]).__module__
    'torch.nn.modules.conv'
    """
    found = copy.deepcopy(model).cpu().float().eval().requires_grad_(False)
    found.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    for module in found.modules():
        if isinstance(module, Trunk):
            module.bf16 = module.channels_last = False
        if type(module) in OURS:
            module.__class__ = OURS[type(module)]
    return found


def converted(module: nn.Module, example: Tensor, given: str, outputs: Sequence[str], who: str) -> bytes:
    """A module as an ONNX file for batches of any size. Raises UserError for one that cannot be converted."""
    try:
        with _quietly():
            program = torch.onnx.export(
                module.eval(),
                (example[:3],),
                dynamo=True,
                input_names=[given],
                output_names=list(outputs),
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                opset_version=OPSET,
                custom_translation_table=_sorting(),
                verbose=False,
            )
        assert program is not None
        content = _without_traces(program.model_proto).SerializeToString()
    except Exception as error:  # whatever a step of the conversion does not know
        raise _refused(who, error) from None
    return bytes(content)


def _without_traces(model: Any) -> Any:
    """The file's contents without what the exporter notes for programmers: where in which folder each step was made."""
    parts = [model, model.graph, *model.functions, *model.graph.node, *model.graph.value_info]
    parts += [*model.graph.input, *model.graph.output, *model.graph.initializer]
    parts += [node for function in model.functions for node in (*function.node, *function.value_info)]
    for part in parts:
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    return model


def difference(content: bytes, module: nn.Module, inputs: Tensor, who: str) -> float:
    """How far an ONNX file's outputs are from a module's at most, over batches of several sizes; ∞ for NaN.

    Raises:
        UserError: a file that onnxruntime does not take.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {name: inputs[:size].numpy()}) for size in SIZES]
    except Exception as error:  # its errors have no class of their own
        raise _refused(who, error) from None
    worst = 0.0
    for size, answer in zip(SIZES, answers, strict=True):
        for ours, theirs in zip(answer, module(inputs[:size]), strict=True):
            wanted = theirs.double().numpy()
            if ours.shape != wanted.shape:
                return float("inf")
            apart = np.abs(ours.astype(np.float64) - wanted) / np.maximum(1.0, np.abs(wanted))
            worst = max(worst, float(apart.max()) if np.isfinite(apart).all() else float("inf"))
    return worst


def _about(run: Run, space: int, outputs: Sequence[str], found: Mapping[str, float]) -> dict[str, Any]:
    """What a program must know to use the files."""
    e, inner = run.experiment, run.model.model if isinstance(run.model, Judged) else run.model
    own = type(inner).prior is not Model.prior
    image = {"shape": ["batch", *run.data.shape], "type": "float32", "range": [0, 1]}
    code = {"shape": ["batch", run.model.latents], "type": "float32"}
    labels = dict(labelled(run, space))
    names = run.names
    return {
        "written by": f"unweave {__version__}",
        "model": {"method": e.method.name, "data": e.data.name, "key": e.key, "step": run.step, "space": space},
        "encoder": {
            "file": ENCODER,
            "input": {"name": "image", **image},
            "outputs": [{"name": name, **code} for name in outputs],
        },
        "decoder": {"file": DECODER, "input": {"name": "code", **code}, "outputs": [{"name": "image", **image}]},
        "latents": [names.get(str(j)) or labels.get((j,)) or f"z{j}" for j in range(run.model.latents)],
        "prior": "of the model's own, which is not exported" if own else "standard normal",
        "opset": OPSET,
        "differs by at most": dict(found),
    }


def _refused(who: str, error: Exception) -> UserError:
    root: BaseException = error
    while root.__cause__ is not None:
        root = root.__cause__
    lines = [line.strip() for line in str(root).splitlines() if line.strip()] or [""]
    return UserError(f"{who} cannot be exported as ONNX ({type(root).__name__}: {lines[0][:160]})")


def _sorting() -> dict[Any, Any]:
    """What PyTorch's exporter lacks: a stable sort, which ONNX's TopK is, as of equal numbers it takes the first."""
    from onnxscript import opset18 as op

    def sort(values: Any, stable: bool = True, dim: int = -1, descending: bool = False) -> Any:
        axis = dim if dim >= 0 else len(values.shape) + dim
        return op.TopK(values, op.Shape(values, start=axis, end=axis + 1), axis=axis, largest=int(descending))

    return {torch.ops.aten.sort.stable: sort}


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what PyTorch's exporter warns and tells of for its own authors."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        log.setLevel(before)


def _check_installed() -> None:
    from importlib.util import find_spec

    lacking = [name for name in NEEDED if find_spec(name) is None]
    if lacking:
        raise UserError(f"ONNX needs {', '.join(lacking)}; run: pip install {' '.join(lacking)}")
