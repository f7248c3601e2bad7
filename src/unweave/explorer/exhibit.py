"""A trained model ready to be played with: codes to images, images to codes, and what is known of each latent."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unweave.data.elsewhere import own_fit
from unweave.engine import encode
from unweave.engine.codes import sampled
from unweave.explorer.summary import Summary, Unit, from_json, information, summarise, to_json, units, unknown
from unweave.explorer.upload import picture_of
from unweave.names import hint
from unweave.report import latents
from unweave.report.curves import curve
from unweave.report.from_run import as_bytes, middle
from unweave.report.markup import join, tag
from unweave.run import Run
from unweave.store import StoreError
from unweave.types import UserError

MOST = 1 << 24
"""Pixels decoded at a time, all images together."""
WHOLE = 1 << 28
"""Pixels decoded for one request."""
CODES = 1024
"""Images decoded for one request."""
FAR = 1e4
"""No latent is moved further than this."""
LONGEST = 60
"""Letters of a name."""
CURVES = 12


class Exhibit:
    """A run on show. Nothing here remembers who asked for what: any number of people may look at once.

    Args:
        run: a trained model.
        images: how many images are encoded to find out what each latent carries.
        keeps: whether names given by hand are kept in the run's folder.

    >>> import unweave
    >>> run = unweave.fit("vae", "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> one = Exhibit(run, images=50)
    >>> one.decode([[0.0] * 10], 0).shape
    (1, 64, 64, 1)
    """

    def __init__(self, run: Run, images: int = 5000, keeps: bool = True) -> None:
        self.run = run
        self.images = images
        self.keeps = keeps and run.folder is not None
        self.trouble = ""
        self._summaries: dict[int, Summary] = {}
        # The model is asked by one person at a time, so that memory stays bounded; naming and opening likewise.
        self._model, self._opening, self._naming = threading.Lock(), threading.RLock(), threading.Lock()

    @property
    def shape(self) -> tuple[int, int, int]:
        """H, W, C of the images that are shown."""
        channels, height, width = self.run.data.shape
        return height, width, channels if channels in (1, 3) else 1

    @cached_property
    def factors(self) -> tuple[str, ...]:
        """Names of the data set's factors; none where it has none, or where it cannot be opened."""
        try:
            found = self.run.data.factors
        except UserError:
            return ()
        return found.names if found else ()

    @cached_property
    def _levels(self) -> Tensor:
        return self.run.images.levels(torch.arange(self.run.images.rows))

    def about(self) -> dict[str, Any]:
        """What the page must know of the run before anything else, as JSON values."""
        e, model = self.run.experiment, self.run.model
        try:
            data = self.run.data
            rows, factors = data.rows if data.present(self.run.root) else 0, data.factors
            known = [] if factors is None else zip(factors.names, factors.sizes, strict=True)
        except UserError as error:
            rows, known, self.trouble = 0, [], str(error)
        betas = getattr(e.method, "betas", ())
        named = model.spaces > 1 and len(betas) == model.spaces
        return {
            "title": f"{e.method.name} on {e.data.name}",
            "method": e.method.name,
            "data": e.data.name,
            "key": e.key,
            "seed": e.seed,
            "step": self.run.step,
            "steps": e.steps,
            "failed": self.run.failure is not None,
            "shape": list(self.shape),
            "latents": model.latents,
            "spaces": [f"space {s}" + (f" (β = {betas[s]:g})" if named else "") for s in range(model.spaces)],
            "rows": rows,
            "factors": [[name, size] for name, size in known],
            "keeps": self.keeps,
        }

    def space(self, space: int) -> dict[str, Any]:
        """A latent space: its units in order, where to start, the names given by hand."""
        summary = self.summary(space)
        return {
            "units": [asdict(unit) | {"label": unit.label} for unit in self.units(space)],
            "low": summary.low,
            "high": summary.high,
            "start": {"z": summary.start, "row": summary.row},
            "names": self.names(),
            "trouble": self.trouble,
        }

    def units(self, space: int) -> list[Unit]:
        """What sliders move, most informative first."""
        return units(self.summary(space), self.run.model.blocks, self.factors)

    def summary(self, space: int) -> Summary:
        """What is known of a latent space: read from the run's folder, or found out and kept there."""
        check_space(self.run, space)
        with self._opening:
            if space not in self._summaries:
                self._summaries[space] = self.kept(space) or self._found(space)
            return self._summaries[space]

    def decode(self, codes: Sequence[Sequence[float]], space: int) -> NDArray[np.uint8]:
        """(N, H, W, C) images of N codes.

        Raises:
            UserError: codes that are none of this model's, or too many.
        """
        check_space(self.run, space)
        height, width, channels = self.shape
        most = max(1, min(CODES, WHOLE // (height * width * channels)))
        if not isinstance(codes, list | tuple) or not 1 <= len(codes) <= most:
            raise UserError(f"codes: allowed are 1 to {most:,} lists of {self.run.model.latents} numbers")
        z = self._codes(codes)
        some = max(1, MOST // (height * width * channels))
        with self._model, torch.inference_mode():
            found = [as_bytes(torch.sigmoid(self.run.model.decode(few, space))) for few in z.split(some)]
        return np.concatenate(found)

    def encode(self, image: NDArray[np.uint8], space: int) -> list[float]:
        """The code of an image (H, W, C) of the model's size."""
        parameter = next(self.run.model.parameters())
        x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].to(parameter) / 255
        return self._encode(x, space)

    def upload(self, data: bytes, space: int) -> tuple[list[float], NDArray[np.uint8]]:
        """The code of a picture file of any size, and the image that was made of it."""
        image = picture_of(data, self.run.data.shape, own_fit(self.run.data))
        return self.encode(image, space), image if image.shape[2] in (1, 3) else image[:, :, :1]

    def row(self, row: int, space: int) -> tuple[list[float], NDArray[np.uint8], list[int]]:
        """The code, the image and the factor levels of an image of the data set."""
        rows = self._rows([row])
        with self._opening:
            x, levels = self.run.view(rows), self.run.images.levels(rows)
        return self._encode(x, space), as_bytes(x)[0], levels[0].tolist()

    def index(self, levels: Sequence[int], moved: int | None = None) -> int:
        """The image of the data set with these factor levels.

        Args:
            levels: one for each factor.
            moved: where no image has just these levels, the nearest one that agrees in this factor is meant.

        Raises:
            UserError: levels that do not exist, or of which there is no image.
        """
        self._open()
        factors = self.run.data.factors
        sizes = factors.sizes if factors else ()
        if len(levels) != len(sizes) or any(not 0 <= one < size for one, size in zip(levels, sizes, strict=False)):
            raise UserError(f"levels {list(levels)}; allowed: one for each factor, below {', '.join(map(str, sizes))}")
        try:
            return int(self.run.images.index(torch.tensor([list(levels)]))[0])
        except UserError:
            if moved is None or not 0 <= moved < len(sizes):
                raise
        away = (self._levels - torch.tensor(list(levels))).abs() / torch.tensor(sizes)
        away[:, moved] *= len(sizes) * max(sizes)
        return int(away.sum(1).argmin())

    def pictures(self, rows: Sequence[int]) -> NDArray[np.uint8]:
        """(N, H, W, C) images of the data set."""
        some = self._rows(rows)
        with self._opening:
            return as_bytes(self.run.view(some))

    def sample(self, seed: int) -> list[float]:
        """A code from the prior: the same for the same seed, on every machine."""
        draws = torch.from_numpy(np.random.default_rng(abs(seed)).standard_normal((1, self.run.model.latents)))
        parameter = next(self.run.model.parameters())
        with self._model, torch.inference_mode():
            return _numbers(self.run.model.prior(draws.to(parameter.dtype).to(parameter.device))[0])

    def tables(self, space: int) -> str:
        """The information matrix and the training curves as HTML."""
        told = information(self.summary(space), self.factors, space)
        names = self.names()
        labels = [f"{j} · {names[str(j)]}" if str(j) in names else str(j) for j in range(self.run.model.latents)]
        told = type(told)(told.nmi, told.kl, told.factors, labels, told.settings)
        absent = tag("p", "Nothing is known of what each latent carries.", class_="none")
        table = latents.matrix(told) if latents.told(told) else absent
        drawn = [curve(name, self.run.steps, values) for name, values in self.run.terms.items() if values][:CURVES]
        curves = tag("div", *drawn, class_="curves") if drawn else tag("p", "No curve was recorded.", class_="none")
        return join(tag("h3", "What each latent carries"), table, tag("h3", "Training"), curves)

    def names(self) -> dict[str, str]:
        """Names given by hand: latents joined by spaces -> name."""
        return self.run.names

    def name(self, unit: Sequence[int], name: str) -> dict[str, str]:
        """Give latents a name, or take it away with an empty one; it is kept in the run's folder, all of it or nothing.

        Raises:
            UserError: latents that the model does not have, a name that is too long, or a folder that keeps none.
        """
        clean = " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())
        if len(clean) > LONGEST:
            raise UserError(f"the name has {len(clean)} letters; allowed: {LONGEST}")
        allowed = [[j] for j in range(self.run.model.latents)] + [list(block) for block in self.run.model.blocks]
        if list(unit) not in allowed or any(type(one) is not int for one in unit):
            raise UserError(
                f"latents {list(unit)}; allowed: one of 0 to {self.run.model.latents - 1}, or a whole block"
            )
        if not self.keeps or self.run.folder is None:
            raise UserError("this run keeps no names: the name holds on this page only")
        with self._naming:
            names = self.names()
            names[" ".join(map(str, unit))] = clean
            names = {key: value for key, value in names.items() if value}
            self.run.folder.write("names", {"names": names})
        return names

    def kept(self, space: int) -> Summary | None:
        """What the folder holds of this very checkpoint; nothing where it was found on fewer images than are asked, and
        more can be had."""
        if self.run.folder is None:
            return None
        try:
            kept = self.run.folder.read("explorer")
            entry = kept["spaces"][str(space)]
            here = self.keeps and self.run.data.present(self.run.root)
            enough = min(self.images, self.run.data.rows) if here else 0
            if kept["step"] != self.run.step or entry["images"] < enough:
                return None
            found = from_json(entry, self.run.model.latents, len(self.factors))
            if found is None or not here:
                return found
            return found if found.row is not None and 0 <= found.row < self.run.data.rows else None
        except (StoreError, UserError, KeyError, TypeError):
            return None

    def _found(self, space: int) -> Summary:
        """The data set, encoded; where it cannot be opened, nothing is known."""
        try:
            self._open()
        except UserError as error:
            self.trouble = str(error)
            return unknown(self.run.model.latents)
        with self._model:
            run = self.run
            codes = encode(run.model, run.data, run.images, count=self.images, seed=0, space=space, distortion=False)
        rows = sampled(run.images.rows, self.images)
        found = replace(summarise(codes), row=int(rows[middle(codes)]))
        self._keep(space, found)
        return found

    def _keep(self, space: int, found: Summary) -> None:
        if self.run.folder is None or not self.keeps:
            return
        with suppress(StoreError):
            kept = self.run.folder.read("explorer")
            spaces = kept.get("spaces") if kept.get("step") == self.run.step else {}
            spaces = spaces if isinstance(spaces, dict) else {}
            self.run.folder.write("explorer", {"step": self.run.step, "spaces": {**spaces, str(space): to_json(found)}})

    def _encode(self, x: Tensor, space: int) -> list[float]:
        check_space(self.run, space)
        with self._model, torch.inference_mode():
            return _numbers(self.run.model.encode(x, space).mean[0])

    def _codes(self, codes: Sequence[Sequence[float]]) -> Tensor:
        count = self.run.model.latents
        try:
            z = np.asarray(codes, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            z = np.zeros(0)
        if z.ndim != 2 or z.shape[1] != count or not np.isfinite(z).all() or np.abs(z).max() > FAR:
            raise UserError(f"codes: allowed are lists of {count} numbers between −{FAR:,.0f} and {FAR:,.0f}")
        parameter = next(self.run.model.parameters())
        return torch.from_numpy(z).to(parameter.dtype).to(parameter.device)

    def _rows(self, rows: Sequence[int]) -> Tensor:
        self._open()
        count = self.run.images.rows
        if not rows or len(rows) > 256 or any(not 0 <= row < count for row in rows):
            raise UserError(f"image {json.dumps(list(rows)[:5])}; allowed: 0 to {count - 1:,}")
        return torch.tensor(list(rows))

    def _open(self) -> None:
        with self._opening:
            self.run.images  # noqa: B018  (opens what is not open yet)


def check_space(run: Run, space: int) -> None:
    """Raises UserError for a latent space that a run's model does not have."""
    if not 0 <= space < run.model.spaces:
        allowed = [str(one) for one in range(run.model.spaces)]
        raise UserError(f"latent space {space}{hint(str(space), allowed)} (allowed: {', '.join(allowed)})")


def _numbers(code: Tensor) -> list[float]:
    return [round(float(value), 4) for value in code.cpu().double().clamp(-FAR, FAR).nan_to_num()]
