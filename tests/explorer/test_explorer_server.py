"""The explorer over HTTP on this machine, and its answers without one."""

from __future__ import annotations

import base64
import http.client
import io
import json
import socket
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unweave.explorer import App, Exhibit, Request, Server
from unweave.explorer.app import BODY, FRAMES
from unweave.explorer.files import gif, sheet
from unweave.types import UserError


def ask(app: App, verb: str, path: str, body: Any = None, kind: str = "application/json", **query: Any) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return app.answer(
        Request(verb, path, {k: str(v) for k, v in query.items()}, kind, data if body is not None else b"")
    )


def read(app: App, verb: str, path: str, body: Any = None, **more: Any) -> Any:
    found = ask(app, verb, path, body, **more)
    assert found.status == 200, found.body
    return json.loads(found.body)


def test_the_page_and_everything_it_needs_is_there(app: App) -> None:
    page = app.answer(Request("GET", "/", {}))
    assert page.kind.startswith("text/html")
    text = page.body.decode()
    for name in ("explorer.js", "dom.js", "server.js", "panel.js", "latents.js", "choices.js", "swap.js", "address.js"):
        assert app.answer(Request("GET", f"/page/{name}", {})).status == 200
    assert "http:" not in text and "https:" not in text, "nothing is loaded from elsewhere"
    for path in ("/page/explorer.css", "/page/report.css"):
        assert path in text and app.answer(Request("GET", path, {})).kind.startswith("text/css")


@pytest.mark.parametrize("path", ["/page/../exhibit.py", "/page/", "/etc/passwd", "/page/demo", "//", ""])
def test_nothing_else_is_given_out(app: App, path: str) -> None:
    assert app.answer(Request("GET", path, {})).status == 404
    assert app.answer(Request("POST", "/about", {})).status == 405


def test_about_tells_runs_spaces_and_factors(app: App) -> None:
    first, second = read(app, "GET", "/about")["runs"]
    assert first["spaces"] == ["space 0 (β = 1)", "space 1 (β = 4)"]
    assert second["spaces"] == ["space 0"]
    assert first["shape"] == [64, 64, 1] and first["rows"] == 1024
    assert [name for name, _ in first["factors"]] == ["orientation", "pos_x", "pos_y"]


def test_blocks_are_units(app: App) -> None:
    units = read(app, "GET", "/space", run=1)["units"]
    assert sorted(unit["latents"] for unit in units) == [[0, 1], [2, 3]]
    assert {unit["label"] for unit in units} == {"latents 0, 1", "latents 2, 3"}


def test_decode_gives_the_pixels_themselves(app: App, exhibits: list[Exhibit]) -> None:
    codes = [[0.5, 0.0, -1.0, 2.0], [0.0] * 4]
    found = ask(app, "POST", "/decode", {"codes": codes}, run=0, space=1)
    assert found.kind == "application/x-pixels"
    assert found.body == exhibits[0].decode(codes, 1).tobytes()


def test_rows_levels_pictures_and_samples(app: App) -> None:
    row = read(app, "GET", "/row", run=0, space=0, row=500)
    again = read(app, "GET", "/row", run=0, space=0, levels=",".join(map(str, row["levels"])))
    assert again == row
    pixels = base64.b64decode(row["pixels"])
    assert ask(app, "GET", "/pictures", run=0, rows="500,501").body[: 64 * 64] == pixels
    encoded = read(app, "POST", "/encode", pixels, kind="application/x-pixels", run=0, space=0)
    assert np.allclose(encoded["z"], row["z"], atol=2e-2)
    assert read(app, "GET", "/sample", run=0, seed=1) == read(app, "GET", "/sample", run=0, seed=1)


def test_an_uploaded_picture_is_encoded_as_the_model_sees_it(app: App, exhibits: list[Exhibit]) -> None:
    out = io.BytesIO()
    Image.fromarray(exhibits[0].pictures([9])[0, ..., 0]).save(out, "PNG")
    found = read(app, "POST", "/encode", out.getvalue(), kind="image/png", run=0, space=1)
    assert np.allclose(found["z"], exhibits[0].row(9, 1)[0], atol=2e-2)
    assert base64.b64decode(found["pixels"]) == exhibits[0].pictures([9])[0].tobytes()
    refused = ask(app, "POST", "/encode", b"no picture", kind="image/png", run=0)
    assert refused.status == 400 and "no picture" in json.loads(refused.body)["error"]


def test_files_to_take_away(app: App) -> None:
    codes = np.linspace(-2, 2, 5)[:, None].repeat(4, 1).tolist()
    still = Image.open(io.BytesIO(ask(app, "POST", "/file", {"kind": "png", "codes": codes, "columns": 3}).body))
    assert still.format == "PNG" and still.size == (3 * 192, 2 * 192)
    moving = Image.open(io.BytesIO(ask(app, "POST", "/file", {"kind": "gif", "codes": codes}).body))
    assert moving.format == "GIF" and moving.size == (192, 192)
    assert getattr(moving, "n_frames", 1) <= 8


def test_an_animation_runs_there_and_back() -> None:
    images = (np.arange(5, dtype=np.uint8) * 50)[:, None, None, None].repeat(4, 1).repeat(4, 2).repeat(3, 3)
    film: Any = Image.open(io.BytesIO(gif(images)))
    shades = []
    for place in range(film.n_frames):
        film.seek(place)
        shades.append(int(np.asarray(film.convert("L"))[0, 0]))
    assert shades == [0, 50, 100, 150, 200, 150, 100, 50]
    assert film.info["loop"] == 0 and film.size == (192, 192)


def test_a_sheet_is_filled_row_by_row() -> None:
    images = np.arange(3, dtype=np.uint8)[:, None, None, None].repeat(2, 1).repeat(2, 2) * 40
    whole = np.asarray(Image.open(io.BytesIO(sheet(images, 2))))
    half = whole.shape[0] // 2
    assert [int(whole[y, x]) for y in (0, half) for x in (0, half)] == [0, 40, 80, 255]


@pytest.mark.parametrize(
    "verb, path, body, query",
    [
        ("GET", "/space", None, {"run": 2}),
        ("GET", "/space", None, {"run": "x"}),
        ("GET", "/space", None, {"run": 0, "space": 2}),
        ("GET", "/row", None, {"row": 99999}),
        ("GET", "/row", None, {"levels": "1,2"}),
        ("GET", "/pictures", None, {"rows": ""}),
        ("GET", "/pictures", None, {"rows": "1," * 5000}),
        ("POST", "/decode", {"codes": [[1.0]]}, {}),
        ("POST", "/decode", {"codes": None}, {}),
        ("POST", "/decode", [1], {}),
        ("POST", "/decode", b"{" * 100_000, {}),
        ("POST", "/name", {"latents": "0", "name": "a"}, {}),
        ("POST", "/name", {"latents": [0], "name": 5}, {}),
        ("POST", "/file", {"kind": "exe", "codes": [[0.0] * 4]}, {}),
        ("POST", "/file", {"kind": "png", "codes": [[0.0] * 4], "columns": "x"}, {}),
        ("POST", "/file", {"kind": "gif", "codes": [[0.0] * 4] * (FRAMES + 1)}, {}),
        ("POST", "/encode", b"123", {"kind": "application/x-pixels"}),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    app: App, verb: str, path: str, body: Any, query: dict[str, Any]
) -> None:
    kind = query.pop("kind", "application/json")
    found = ask(app, verb, path, body, kind=kind, **query)
    assert found.status == 400
    text = json.loads(found.body)["error"]
    assert text and "\n" not in text and len(text) < 400


class Visitor:
    """One connection that is kept, as a browser's."""

    def __init__(self, server: Server) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)

    def ask(self, verb: str, path: str, body: bytes | None = None, **headers: str) -> http.client.HTTPResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(verb, path, body, named)
        return self.connection.getresponse()

    def decode(self, codes: list[list[float]]) -> bytes:
        found = self.ask(
            "POST", "/decode?run=0", json.dumps({"codes": codes}).encode(), Content_Type="application/json"
        )
        assert found.status == 200
        return found.read()

    def close(self) -> None:
        self.connection.close()


def test_over_http_with_what_protects_the_page(server: Server) -> None:
    visitor = Visitor(server)
    found = visitor.ask("GET", "/")
    page = found.read()
    assert found.status == 200 and page.startswith(b"<!doctype html>")
    policy = found.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self';" in policy and "frame-ancestors 'none'" in policy
    assert found.headers["X-Content-Type-Options"] == "nosniff"
    assert "Python" not in found.headers["Server"]
    assert visitor.ask("GET", "/nothing").read().startswith(b'{"error"')
    visitor.close()


def test_two_visitors_do_not_disturb_each_other(server: Server, exhibits: list[Exhibit]) -> None:
    one, other = Visitor(server), Visitor(server)
    mine, theirs = [[1.0, 0.0, 0.0, 0.0]], [[-1.0, 2.0, 0.0, 0.0]]
    for _ in range(3):
        assert one.decode(mine) == exhibits[0].decode(mine, 0).tobytes()
        assert other.decode(theirs) == exhibits[0].decode(theirs, 0).tobytes()
    one.close()
    other.close()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "127.0.0.1.evil.example", "[", "8.8.8.8"])
def test_a_name_that_was_made_to_point_here_is_refused(server: Server, host: str) -> None:
    visitor = Visitor(server)
    found = visitor.ask("GET", "/about", Host=host)
    assert found.status == 421 and b"title" not in found.read()
    visitor.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_this_machines_own_names_are_welcome(server: Server, host: str) -> None:
    assert server.welcomes(f"{host}:{server.server_port}") and server.welcomes(host)


def test_a_server_told_to_let_others_in_answers_to_addresses(app: App) -> None:
    with Server(app, "0.0.0.0") as wide:
        assert wide.welcomes("192.168.1.5:80") and wide.welcomes(socket.gethostname().lower())
        assert not wide.welcomes("evil.example")
        assert wide.address.startswith("http://127.0.0.1:")


def test_another_sites_page_may_not_ask(server: Server, exhibits: list[Exhibit]) -> None:
    visitor = Visitor(server)
    body = b'{"latents": [0], "name": "x"}'
    found = visitor.ask("POST", "/name?run=0", body, Origin="http://evil.example", Content_Type="application/json")
    assert found.status == 403
    found.read()
    found = visitor.ask("POST", "/name?run=0", body, Origin="http://[", Content_Type="application/json")
    assert found.status == 403
    found.read()
    assert exhibits[0].names() == {}
    own = f"http://127.0.0.1:{server.server_port}"
    found = visitor.ask("POST", "/name?run=0", body, Origin=own, Content_Type="application/json")
    assert found.status == 200 and json.loads(found.read()) == {"names": {"0": "x"}}
    plain = visitor.ask("POST", "/name?run=0", body, Content_Type="text/plain")
    assert plain.status == 400, "what a form of another site may send is not read"
    plain.read()
    visitor.close()


def test_more_than_is_allowed_is_not_read(server: Server) -> None:
    visitor = Visitor(server)
    visitor.connection.putrequest("POST", "/encode")
    visitor.connection.putheader("Content-Length", str(BODY + 1))
    visitor.connection.endheaders()
    found = visitor.connection.getresponse()
    assert found.status == 413 and b"16 MiB" in found.read()
    visitor.close()
    for length in ("-1", "x", ""):
        raw = socket.create_connection(("127.0.0.1", server.server_port), timeout=20)
        raw.sendall(f"POST /encode HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n".encode())
        assert raw.recv(200).startswith(b"HTTP/1.1 411")
        raw.close()


def test_whatever_a_model_makes_of_odd_codes_the_next_question_is_answered(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = Visitor(server)
    with monkeypatch.context() as patch:
        patch.setattr("unweave.explorer.Exhibit.sample", lambda *_: [][0])
        found = visitor.ask("GET", "/sample?run=0&seed=1")
        assert found.status == 500 and json.loads(found.read()) == {"error": "this could not be computed (IndexError)"}
    assert visitor.ask("GET", "/sample?run=0&seed=1").status == 200
    visitor.close()


def test_a_port_that_is_taken_is_told(server: Server, app: App) -> None:
    for port in (server.server_port, 99999):
        with pytest.raises(UserError, match=f"port {port}"):
            Server(app, "127.0.0.1", port)


def test_a_question_that_brings_something_along_is_the_last_of_its_connection(server: Server) -> None:
    visitor = Visitor(server)
    found = visitor.ask("GET", "/about", b"GET /about HTTP/1.1\r\n\r\n")
    assert found.status == 200 and found.getheader("Connection") == "close"
    visitor.close()


def test_a_length_of_thousands_of_digits_is_answered(server: Server) -> None:
    visitor = Visitor(server)
    visitor.connection.putrequest("POST", "/decode?run=0")
    visitor.connection.putheader("Content-Length", "9" * 5000)
    visitor.connection.endheaders()
    assert visitor.connection.getresponse().status == 400
    visitor.close()
