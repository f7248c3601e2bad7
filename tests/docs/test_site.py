"""The site that `make docs` builds: without a warning, whole in itself, readable by everybody on every screen."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import unweave
from explorer.browser import Page, browser

from .pages import REPOSITORY, name, pages

pytest.importorskip("mkdocs", reason="no MkDocs; pip install 'unweave[docs]'")
pytest.importorskip("mkdocstrings_handlers.python", reason="no mkdocstrings; pip install 'unweave[docs]'")

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
VISITS = [
    ("index.html", DESKTOP, "light"),
    ("index.html", PHONE, "dark"),
    ("concepts.html", DESKTOP, "dark"),
    ("first-hour.html", PHONE, "light"),
    ("metrics/mig.html", DESKTOP, "dark"),
    ("metrics/mig.html", PHONE, "light"),
    ("api/methods.html", DESKTOP, "light"),
    ("api/networks.html", PHONE, "dark"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a warning is a failure."""
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where a server on this machine shows it."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    with browser() as found:
        yield found


def test_every_page_is_in_it_and_in_its_menu(site: Path) -> None:
    for page in pages()[1:]:
        path = Path(name(page)).relative_to("docs").with_suffix(".html")
        assert (site / path).is_file() or (site / path.with_name("index.html")).is_file(), name(page)
    assert not list(site.rglob("*.py"))
    wanted = {one for one in dir(unweave.public) if not one.startswith("_")}
    text = "".join(path.read_text(encoding="utf-8") for path in (site / "api").glob("*.html"))
    missing = wanted - set(re.findall(r'id="unweave\.[\w.]*\.(\w+)"', text))
    assert not missing, f"the API reference lacks {', '.join(sorted(missing))}"
    assert 'id="unweave.engine.plan.plan"' in text and 'id="unweave.engine.plan.SHARE"' not in text


def test_nothing_comes_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        found = re.findall(r"<(?:script|img|iframe)[^>]+src=\"?https?://[^ >]+|<link[^>]+href=\"?https?://[^ >]+", text)
        assert not [one for one in found if 'rel="canonical"' not in one], f"{path.name}: {found[:3]}"
    for path in site.rglob("*.css"):
        assert not re.findall(r"url\([\"']?https?://", path.read_text(encoding="utf-8")), path.name


@pytest.mark.parametrize("page, size, scheme", VISITS, ids=lambda one: one if isinstance(one, str) else one["width"])
def test_everybody_can_read_it(chrome: Any, address: str, page: str, size: dict[str, int], scheme: str) -> None:
    visit = Page(chrome, address, size, scheme)
    visit.page.goto(address + page)
    visit.page.wait_for_load_state("networkidle")
    assert visit.sideways() <= 0, "wider than the screen"
    assert not visit.violations()
    assert not visit.wrong
    visit.close()


def test_it_can_be_searched(chrome: Any, address: str) -> None:
    visit = Page(chrome, address, DESKTOP)
    visit.page.fill("input.md-search__input", "total correlation")
    visit.page.wait_for_selector(".md-search-result__item")
    assert "correlation" in visit.page.inner_text(".md-search-result__list").lower()
    assert not visit.wrong
    visit.close()
