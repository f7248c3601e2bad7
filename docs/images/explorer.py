"""Draws docs/images/explorer.png: the explorer with the model that comes with the package.

python docs/images/explorer.py
"""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from playwright.sync_api import sync_playwright

from unweave.explorer import App, Exhibit, Server, demo

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def main() -> None:
    path = next(filter(None, map(shutil.which, BROWSERS)))
    with Server(App([Exhibit(demo("cpu"), keeps=False)])) as server, sync_playwright() as driver:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1240, "height": 760})
        page.goto(server.address)
        page.wait_for_function("() => document.querySelector('.latents')?.dataset.drawn > 0")
        page.wait_for_timeout(500)
        page.screenshot(path=Path(__file__).with_suffix(".png"))
        browser.close()
        server.shutdown()


if __name__ == "__main__":
    main()
