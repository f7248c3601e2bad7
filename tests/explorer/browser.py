"""A real browser without a window, if there is one on this machine, and axe-core's rules to read pages by."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 780}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PATIENCE = 20_000
"""Milliseconds that a busy machine may take for anything."""


@contextmanager
def browser() -> Iterator[Any]:
    """The browser; the test is skipped where there is none, or no Playwright to drive it."""
    api = pytest.importorskip("playwright.sync_api", reason="no Playwright; pip install 'unweave[dev]'")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser; one of {', '.join(NAMES)} is looked for")
    with api.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=path, args=QUIET)
        yield found
        found.close()


class Page:
    """A page, and everything that went wrong in it: errors of scripts, refusals of the policy, outside requests."""

    def __init__(self, browser: Any, address: str, size: dict[str, int], scheme: str = "light", **more: Any) -> None:
        self.context = browser.new_context(viewport=size, color_scheme=scheme, accept_downloads=True, **more)
        self.wrong: list[str] = []
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", self._said)
        self.page.on("request", self._asked)
        self.home = address
        self.page.goto(address)

    def _said(self, message: Any) -> None:
        # Answers that refuse something are part of the game; the page tells them in words.
        if message.type in ("error", "warning") and "the server responded with a status of 4" not in message.text:
            self.wrong.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.home.split("#")[0], "data:", "blob:")):
            self.wrong.append(f"asked for {request.url}")

    def violations(self) -> list[str]:
        """What axe-core finds against WCAG 2.2, levels A and AA."""
        pytest.importorskip("axe_playwright_python", reason="no axe-core; pip install 'unweave[dev]'")
        code = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
        # Through the debugger, which the page's own policy does not bind.
        self.page.evaluate(code)
        found = self.page.evaluate("rules => axe.run({runOnly: rules})", RULES)
        assert len(found["passes"]) > 5, "axe-core looked at something"
        return [f"{one['id']}: {node['html'][:160]}" for one in found["violations"] for node in one["nodes"]]

    def sideways(self) -> int:
        """Pixels by which the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))

    def close(self) -> None:
        self.context.close()
