"""An estimator in scikit-learn's manner: ``fit`` on images, ``transform`` to codes and back."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unweave.analysis import negative_elbo
from unweave.auto import BATCH, LR, choose, fitted
from unweave.data import Dataset, InMemory, dataset
from unweave.data.elsewhere import fitting as alike
from unweave.data.elsewhere import own_fit
from unweave.data.in_memory import CHANNELS, as_array, channel_axis
from unweave.engine import encode
from unweave.engine.place import home
from unweave.methods import Method
from unweave.names import known
from unweave.networks import Body, set_precision
from unweave.run import fit
from unweave.types import Codes, UserError

ROWS = 512
"""Codes decoded at a time."""


class Unweaver:
    """Learns a disentangled code of images; an unsupervised transformer as scikit-learn knows them.

    ``fit`` trains one model, ``transform`` gives the mean of q(z|x) of each image, ``inverse_transform`` images of
    codes, ``score`` the evidence lower bound. It clones, works in a ``Pipeline`` and in a search over its parameters.

    Images are an array (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1 or 3, of bytes or of real numbers from 0 to
    1; a tensor; a table (N, pixels) whose rows are images in one line; a data set of unweave; or, as a text or a path,
    a folder of pictures or anything else that ``--data`` takes. All are rounded to bytes.

    Args:
        method: a method or its name. By name, ``beta-vae``, ``devae`` and ``deft`` get pressures that the images ask
            for, others their published settings; a method as an object stays as it is.
        latents: D, the size of a code.
        steps: optimiser steps.
        batch: images a step, at most as many as there are.
        lr: Adam's learning rate.
        network: an architecture (``Conv()``, ``MLP((256,))``); a dense one of two layers when None.
        likelihood: ``bernoulli`` or ``squared``; what the images ask for when None.
        image_shape: (H, W) or (H, W, C) of the images in a table (N, pixels); one line of grey pixels when None.
        pixel_range: what is black and what is white in arrays; ``data``: the lowest and the highest number that ``fit``
            sees. Later numbers beyond the ends are cut off.
        precision: of the training, as for ``Experiment``; codes are computed in float32, or in float64 with that.
        device: ``cpu``, ``cuda`` …; a GPU where there is one when None.
        out: folder for run folders, in which a training that was interrupted goes on; nothing is written when None.
        random_state: a seed, as every estimator takes it: with the same one, the same bits.

    Attributes:
        run_: the trained ``Run``: ``run_.model``, ``run_.experiment``, ``run_.terms``.
        method_: the method with its pressures.
        n_features_in_: numbers in an image.
        image_shape_: (H, W, C).
        pixel_range_: what was black and what was white: 0 and 255 in bytes, 0 and 65,535 in 16 bits.

    Raises:
        UserError: a ``ValueError``, from ``fit`` and not from the constructor: images or settings of another kind.

    >>> images = np.random.default_rng(0).random((40, 8, 8))
    >>> model = Unweaver(latents=3, steps=5).fit(images)
    >>> codes = model.transform(images)
    >>> codes.shape, model.inverse_transform(codes).shape, model.get_feature_names_out().tolist()
    ((40, 3), (40, 8, 8), ['z0', 'z1', 'z2'])
    """

    def __init__(
        self,
        method: Method | str = "devae",
        latents: int = 10,
        *,
        steps: int = 4000,
        batch: int = BATCH,
        lr: float = LR,
        network: Body | None = None,
        likelihood: str | None = None,
        image_shape: tuple[int, ...] | None = None,
        pixel_range: tuple[float, float] | str = (0.0, 1.0),
        precision: str | None = None,
        device: str | None = None,
        out: Path | str | None = None,
        random_state: Any = 0,
    ) -> None:
        self.method = method
        self.latents = latents
        self.steps = steps
        self.batch = batch
        self.lr = lr
        self.network = network
        self.likelihood = likelihood
        self.image_shape = image_shape
        self.pixel_range = pixel_range
        self.precision = precision
        self.device = device
        self.out = out
        self.random_state = random_state

    def fit(self, images: Any, y: Any = None) -> Self:
        """Train on images; ``y`` is not used."""
        data = self._data(images, fitting=True)
        seed = self._seed()
        channels, height, width = data.shape
        chosen = choose(
            data,
            self.method,
            latents=self.latents,
            steps=self.steps,
            network=self.network,
            likelihood=self.likelihood,
            batch=self.batch,
            seed=seed,
        )
        for doubt in data.remarks().get("doubts", ()):
            warnings.warn(doubt)
        experiment = chosen.experiment(
            data, latents=self.latents, steps=self.steps, seed=seed, lr=self.lr, precision=self.precision
        )
        run = fit(experiment, device=self.device, out=self.out)
        if run.failure is not None:
            raise UserError(
                f"Unweaver: {run.failure.term} was no longer finite at step {run.failure.step:,}; "
                f"allowed: a lower lr than {self.lr:g}"
            )
        if run.experiment.precision != "float64":
            # bfloat16 is for training: the codes of an image must not depend on which others it is encoded with.
            set_precision(run.model, "float32")
        self.run_ = run
        self.method_ = chosen.method
        self.image_shape_ = (height, width, channels)
        return self

    def transform(self, images: Any) -> Any:
        """(N, D) means of q(z|x), as an array or as ``set_output`` asks."""
        return self._told(self._codes(images, distortion=False).mean.numpy(), images)

    def fit_transform(self, images: Any, y: Any = None) -> Any:
        """``fit``, then ``transform`` of the same images."""
        return self.fit(images, y).transform(images)

    def inverse_transform(self, codes: Any) -> NDArray[Any]:
        """(N, D) codes -> images, real numbers in the form and the range (``pixel_range_``) of those that ``fit`` was
        given: 0 to 255 for bytes; of a folder or a data set (N, H, W, C) from 0 to 1."""
        self._check_fitted()
        from sklearn.utils.validation import check_array

        parameter = next(self.run_.model.parameters())
        z = torch.from_numpy(np.array(check_array(codes, dtype="numeric"), np.float64)).to(parameter)
        if z.shape[1] != self.run_.experiment.latents:
            raise UserError(f"codes of {z.shape[1]} latents; allowed: {self.run_.experiment.latents}, as trained")
        with torch.no_grad():
            pieces = [torch.sigmoid(self.run_.model.decode(some)) for some in z.split(ROWS)]
        images = torch.cat(pieces).cpu().numpy()
        low, high = self.pixel_range_
        return _as_given(low + (high - low) * images, self._layout)

    def score(self, images: Any, y: Any = None) -> float:
        """The evidence lower bound of images, mean over them; higher is better, and on held-out images it says how well
        the model fits. ``y`` is not used.

            E_q[log p(x|z)] − KL(q(z|x) ‖ p(z)),  one draw of z an image, always the same; p the model's own prior

        In nats for ``bernoulli``; for ``squared`` minus the squared error stands for log p. The pressures are not part
        of it, so models of different pressures can be compared, but not different likelihoods, nor how disentangled
        they are.
        """
        codes = self._codes(images, distortion=True)
        if codes.logvar is None:
            raise UserError(f"score: the codes of {self.run_.experiment.method.name} have no widths, so there is no KL")
        return -negative_elbo(codes, "bce" if self.run_.experiment.likelihood == "bernoulli" else "squared_error")

    def get_feature_names_out(self, input_features: Sequence[str] | None = None) -> NDArray[Any]:
        """The names of the latents, ``z0`` …; ``input_features`` are compared with those that ``fit`` saw."""
        self._check_fitted()
        if input_features is not None:
            given = np.asarray(input_features, dtype=object)
            if hasattr(self, "feature_names_in_") and not np.array_equal(given, self.feature_names_in_):
                raise UserError("input_features is not equal to feature_names_in_")
            if len(given) != self.n_features_in_:
                raise UserError(
                    f"input_features should have length equal to number of features ({self.n_features_in_}), got "
                    f"{len(given)}"
                )
        return np.array([f"z{place}" for place in range(self.run_.experiment.latents)], dtype=object)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name."""
        return {name: getattr(self, name) for name in _parameters(type(self))}

    def set_params(self, **params: Any) -> Self:
        """Change some of them; they are looked at when ``fit`` is called."""
        for name, value in params.items():
            setattr(self, known(name, _parameters(type(self)), "parameter of Unweaver"), value)
        return self

    def set_output(self, *, transform: Literal["default", "pandas"] | None = None) -> Self:
        """What ``transform`` gives: an array (``default``) or a data frame (``pandas``); None changes nothing."""
        if transform is not None:
            # Under the name that ``clone`` copies.
            self._sklearn_output_config = {"transform": known(transform, ("default", "pandas"), "output of transform")}
        return self

    def save(self, folder: Path | str) -> Path:
        """Write the model as a run's folder, which ``unweave.load``, ``unweave explore`` and ``unweave encode`` take.

        Raises:
            StoreError: the disk refuses, or another process writes there.
        """
        self._check_fitted()
        return self.run_.write(folder)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "run_")

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=[]),
            input_tags=InputTags(two_d_array=True, three_d_array=True),
        )

    def __repr__(self) -> str:
        usual = inspect.signature(type(self)).parameters
        changed = [f"{n}={v!r}" for n, v in self.get_params().items() if repr(v) != repr(usual[n].default)]
        return f"{type(self).__name__}({', '.join(changed)})"

    def _codes(self, images: Any, distortion: bool) -> Codes:
        self._check_fitted()
        data = self._data(images, fitting=False)
        height, width, channels = self.image_shape_
        if data.shape != (channels, height, width):
            raise UserError(
                f"images of {'×'.join(map(str, data.shape))} (channels, height, width); allowed: {channels}×{height}×"
                f"{width}, as trained on"
            )
        model = self.run_.model
        opened = data.open(None, home(next(model.parameters()).device))
        return encode(model, data, opened, count=None, distortion=distortion)

    def _data(self, images: Any, fitting: bool) -> Dataset:
        """The images as a data set; ``fitting`` notes what they are like, else they are compared with that."""
        if isinstance(images, str | Path | Dataset):
            data = fitted(dataset(images)) if fitting else self._like(dataset(images))
            if fitting:
                self.n_features_in_, self._layout = math.prod(data.shape), "last"
                self._reads = self.pixel_range_ = (0.0, 1.0)
            return data
        array, layout = self._array(images, fitting)
        scaled = isinstance(self.pixel_range, str)
        if fitting:
            self._layout, self._reads = layout, self._range(array)
            by_kind = self._reads == (0.0, 1.0) and not scaled
            self.pixel_range_ = _ends(str(array.dtype)) if by_kind else self._reads
        if scaled and self._reads == (0.0, 1.0):
            # Numbers of these ends are otherwise read by their kind: bytes from 0 to 255.
            array = array.clamp(0, 1).float() if isinstance(array, Tensor) else np.clip(array, 0, 1).astype(np.float32)
        try:
            return InMemory.of(array, *self._reads)
        except UserError as error:
            hint = "" if isinstance(self.pixel_range, str) else " (pixel_range='data' takes any numbers)"
            raise UserError(f"{error}{hint}") from None

    def _like(self, data: Dataset) -> Dataset:
        """Pictures brought to the size, the channels and the fit of those that were trained on."""
        height, width, channels = self.image_shape_
        return alike(data, (channels, height, width), own_fit(self.run_.experiment.data))

    def _array(self, images: Any, fitting: bool) -> tuple[NDArray[Any] | Tensor, str]:
        """An array of images, and how it was laid out: ``flat``, ``plain``, channels ``last`` or ``first``."""
        from sklearn.utils.validation import check_array, validate_data

        first = isinstance(images, Tensor)
        given = as_array(images) if isinstance(images, Tensor) else images
        axes = getattr(given, "ndim", None) or np.asarray(given).ndim
        if axes > 4:
            raise UserError(f"images with {axes} axes; allowed: (N, H · W · C), (N, H, W) or (N, H, W, C)")
        if axes in (3, 4):
            array = check_array(given, allow_nd=True, dtype="numeric", ensure_2d=False, ensure_min_samples=1 + fitting)
            axis = channel_axis(array.shape, first)
            if fitting:
                self.n_features_in_ = math.prod(array.shape[1:])
                self.__dict__.pop("feature_names_in_", None)
            layout = "plain" if axis is None else "first" if axis == 1 else "last"
            return torch.from_numpy(array) if first else array, layout
        array = validate_data(self, given, reset=fitting, dtype="numeric", ensure_min_samples=1 + fitting)
        shape = self.image_shape or (1, array.shape[1])
        if not isinstance(shape, tuple | list) or not all(isinstance(one, Integral) for one in shape):
            raise UserError(f"image_shape = {self.image_shape!r}; allowed: (H, W) or (H, W, C)")
        if len(shape) not in (2, 3) or math.prod(shape) != array.shape[1]:
            raise UserError(
                f"image_shape = {self.image_shape!r} for rows of {array.shape[1]:,} numbers; allowed: (H, W) or "
                "(H, W, C) whose product they are"
            )
        if len(shape) == 3 and shape[-1] not in CHANNELS:
            raise UserError(
                f"image_shape = {self.image_shape!r}: channels come last and are 1 or 3; allowed: (H, W) or (H, W, C)"
            )
        return array.reshape(len(array), *shape), "flat"

    def _range(self, array: NDArray[Any] | Tensor) -> tuple[float, float]:
        if isinstance(self.pixel_range, str) and self.pixel_range == "data":
            low, high = float(array.min()), float(array.max())
            return low, high if high > low else low + 1.0
        given: Any = self.pixel_range
        try:
            low, high = given
            return float(low), float(high)
        except (TypeError, ValueError):
            raise UserError(f"pixel_range = {self.pixel_range!r}; allowed: two numbers, or 'data'") from None

    def _seed(self) -> int:
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        from sklearn.utils import check_random_state

        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _told(self, codes: NDArray[Any], images: Any) -> Any:
        from sklearn import get_config

        own = getattr(self, "_sklearn_output_config", {}).get("transform")
        form = own or get_config().get("transform_output", "default")
        if form != "pandas":
            return codes
        import pandas

        index = images.index if isinstance(images, pandas.DataFrame) else None
        return pandas.DataFrame(codes, columns=self.get_feature_names_out(), index=index)

    def _check_fitted(self) -> None:
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)


def _parameters(kind: type) -> list[str]:
    return [name for name in inspect.signature(kind).parameters if name != "self"]


def _ends(dtype: str) -> tuple[float, float]:
    """What is black and what is white in arrays of a kind."""
    kind = dtype.removeprefix("torch.")
    return 0.0, 65535.0 if kind == "uint16" else 255.0 if "int" in kind else 1.0


def _as_given(images: NDArray[Any], layout: str) -> NDArray[Any]:
    """(N, C, H, W) in the layout of the images that were given."""
    if layout == "first":
        return images
    last = np.moveaxis(images, 1, -1)
    if layout == "flat":
        return np.ascontiguousarray(last).reshape(len(last), -1)
    return last[..., 0] if layout == "plain" else last
