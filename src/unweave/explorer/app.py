"""What the page asks and what it is answered: plain functions of a request, without a server and without a session."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

from unweave.explorer.exhibit import Exhibit
from unweave.explorer.files import gif, sheet
from unweave.explorer.upload import LARGEST
from unweave.report.style import style
from unweave.store import StoreError
from unweave.types import UserError

POLICY = (
    "default-src 'none'; script-src 'self'; style-src-elem 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The browser itself refuses whatever does not come from this server, and any script that is no file of ours."""
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
BODY = LARGEST + 1
"""No request's body is larger, in bytes; one more than an upload may have, so that it is told why it is refused."""
FRAMES = 128
"""Most pictures of an animation or a sheet."""


class Request(NamedTuple):
    """A question: ``GET`` or ``POST``, a path, its parameters, and what was sent along."""

    verb: str
    path: str
    query: Mapping[str, str]
    kind: str = ""
    """Content type of the body."""
    body: bytes = b""


class Reply(NamedTuple):
    """An answer: HTTP status, content type, content, and further headers."""

    status: int
    kind: str
    body: bytes
    headers: Mapping[str, str] = {}


class App:
    """Everything the explorer can be asked, over one or several runs. It keeps nothing but the names given by hand.

    Args:
        exhibits: the runs, in the order in which the page lists them.
    """

    def __init__(self, exhibits: Sequence[Exhibit]) -> None:
        self.exhibits = list(exhibits)
        self.pages = {"/page/report.css": Reply(200, "text/css; charset=utf-8", style().encode())}
        for file in sorted(resources.files("unweave.explorer").joinpath("page").iterdir(), key=lambda one: one.name):
            kind = KINDS.get("." + file.name.rpartition(".")[2])
            if kind:
                path = "/" if file.name == "index.html" else f"/page/{file.name}"
                self.pages[path] = Reply(200, f"{kind}; charset=utf-8", file.read_bytes())
        self.asked: Mapping[tuple[str, str], Callable[[Request], Reply]] = {
            ("GET", "/about"): self._about,
            ("GET", "/space"): self._space,
            ("GET", "/tables"): self._tables,
            ("GET", "/sample"): self._sample,
            ("GET", "/row"): self._row,
            ("GET", "/pictures"): self._pictures,
            ("POST", "/decode"): self._decode,
            ("POST", "/encode"): self._encode,
            ("POST", "/name"): self._name,
            ("POST", "/file"): self._file,
        }

    def answer(self, request: Request) -> Reply:
        """The answer to any request; what cannot be done is answered with one line that says why."""
        if request.verb == "GET" and request.path in self.pages:
            return self.pages[request.path]
        found = self.asked.get((request.verb, request.path))
        if found is None:
            other = any(path == request.path for _, path in self.asked) or request.path in self.pages
            return error(405 if other else 404, f"there is no {request.verb} {request.path[:80]} here")
        try:
            return found(request)
        except StoreError as why:
            return error(500, str(why))
        except UserError as why:
            return error(400, str(why))

    def _about(self, request: Request) -> Reply:
        return reply({"runs": [exhibit.about() for exhibit in self.exhibits]})

    def _space(self, request: Request) -> Reply:
        return reply(self._exhibit(request).space(number(request, "space")))

    def _tables(self, request: Request) -> Reply:
        html = self._exhibit(request).tables(number(request, "space"))
        return Reply(200, "text/html; charset=utf-8", html.encode())

    def _sample(self, request: Request) -> Reply:
        return reply({"z": self._exhibit(request).sample(number(request, "seed"))})

    def _row(self, request: Request) -> Reply:
        exhibit, space = self._exhibit(request), number(request, "space")
        moved = number(request, "moved") if "moved" in request.query else None
        row = exhibit.index(numbers(request, "levels"), moved) if "levels" in request.query else number(request, "row")
        z, image, levels = exhibit.row(row, space)
        return reply({"z": z, "row": row, "levels": levels, "pixels": text(image.tobytes())})

    def _pictures(self, request: Request) -> Reply:
        return pixels(self._exhibit(request).pictures(numbers(request, "rows")).tobytes())

    def _decode(self, request: Request) -> Reply:
        asked = document(request)
        exhibit = self._exhibit(request)
        return pixels(exhibit.decode(asked.get("codes", []), number(request, "space")).tobytes())

    def _encode(self, request: Request) -> Reply:
        exhibit, space = self._exhibit(request), number(request, "space")
        height, width, channels = exhibit.shape
        if request.kind == "application/x-pixels":
            import numpy as np

            if len(request.body) != height * width * channels:
                raise UserError(f"{len(request.body):,} pixels; allowed: {height} × {width} × {channels}")
            image = np.frombuffer(request.body, np.uint8).reshape(height, width, channels)
            whole = exhibit.run.data.shape[0]
            z = exhibit.encode(image if channels == whole else image.repeat(whole, axis=2), space)
        else:
            z, image = exhibit.upload(request.body, space)
        return reply({"z": z, "pixels": text(image.tobytes())})

    def _name(self, request: Request) -> Reply:
        asked = document(request)
        unit, name = asked.get("latents"), asked.get("name")
        if not isinstance(unit, list) or not isinstance(name, str):
            raise UserError("a name needs latents, a list of numbers, and name, a text")
        return reply({"names": self._exhibit(request).name(unit, name)})

    def _file(self, request: Request) -> Reply:
        asked = document(request)
        kind, codes, columns = asked.get("kind"), asked.get("codes"), asked.get("columns", 1)
        if kind not in ("png", "gif") or not isinstance(columns, int):
            raise UserError(
                f"file: kind {str(kind)[:20]!r}, columns {str(columns)[:20]}; allowed: png or gif, a number"
            )
        if isinstance(codes, list) and len(codes) > FRAMES:
            raise UserError(f"file: {len(codes)} pictures; allowed: {FRAMES}")
        images = self._exhibit(request).decode(codes, number(request, "space"))  # type: ignore[arg-type]
        return Reply(200, f"image/{kind}", sheet(images, columns) if kind == "png" else gif(images))

    def _exhibit(self, request: Request) -> Exhibit:
        place = number(request, "run")
        if not 0 <= place < len(self.exhibits):
            raise UserError(f"run {place}; allowed: 0 to {len(self.exhibits) - 1}")
        return self.exhibits[place]


def number(request: Request, name: str) -> int:
    """A whole number among the parameters; 0 when it is not given."""
    return numbers(request, name, "0")[0]


def numbers(request: Request, name: str, default: str = "") -> list[int]:
    """Whole numbers among the parameters, separated by commas."""
    given = request.query.get(name, default)
    try:
        return [int(word) for word in given.split(",")] if len(given) < 4000 else [int("")]
    except ValueError:
        raise UserError(f"{name} = {given[:40]!r}; allowed: whole numbers") from None


def document(request: Request) -> dict[str, Any]:
    """The JSON object that was sent along."""
    try:
        found = json.loads(request.body) if request.kind == "application/json" else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UserError("the request holds no JSON object")
    return found


def reply(values: Any) -> Reply:
    """JSON; numbers that it does not know become null."""
    return Reply(200, "application/json", json.dumps(_finite(values), ensure_ascii=False, allow_nan=False).encode())


def error(status: int, why: str) -> Reply:
    """One line that says why."""
    return Reply(status, "application/json", json.dumps({"error": why}, ensure_ascii=False).encode())


def pixels(data: bytes) -> Reply:
    """Pixels as they are: painting them costs the page nothing."""
    return Reply(200, "application/x-pixels", data)


def text(data: bytes) -> str:
    """Bytes inside JSON."""
    return base64.b64encode(data).decode("ascii")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
