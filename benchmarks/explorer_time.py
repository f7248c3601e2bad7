"""From slider to picture: what a person waits for in the explorer.

    python benchmarks/explorer_time.py [--moves 100] [--out results/explorer_time.csv]

For the model that comes with the package and for untrained standard convolutional networks: the decoder alone, a
question over HTTP on a kept connection, and, where there is a browser and Playwright, the page: from the slider's event
until the picture is painted, as the page's own footer tells it. The strips under the sliders are drawn meanwhile.
Milliseconds, medians and ninth deciles of the same moves; the load of the machine is told beside them.
"""

from __future__ import annotations

import argparse
import csv
import http.client
import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path

import numpy as np

import unweave
from unweave.explorer import App, Exhibit, Server, demo
from unweave.report.text import table
from unweave.run import Run
from unweave.store import environment, machine

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]
SLIDE = """async ([value]) => {
  const slider = document.querySelector('.latent .move input');
  slider.value = Number(slider.min) + value * (slider.max - slider.min);
  slider.dispatchEvent(new Event('input', { bubbles: true }));
}"""


def untrained(data: str) -> Run:
    """A standard convolutional VAE after one step."""
    return unweave.fit("vae", data, steps=1, batch=8, network=unweave.Conv(), latents=10)


def timed(what: list[float]) -> tuple[float, float]:
    """Median and ninth decile in milliseconds."""
    return float(np.median(what)), float(np.quantile(what, 0.9))


def decoder(exhibit: Exhibit, codes: np.ndarray) -> list[float]:
    """The model alone."""
    found = []
    for code in codes.tolist():
        start = time.perf_counter()
        exhibit.decode([code], 0)
        found.append(1000 * (time.perf_counter() - start))
    return found


def over_http(server: Server, codes: np.ndarray) -> list[float]:
    """A question and its answer on a kept connection."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
    found = []
    for code in codes.tolist():
        start = time.perf_counter()
        connection.request("POST", "/decode?run=0", json.dumps({"codes": [code]}), {"Content-Type": "application/json"})
        connection.getresponse().read()
        found.append(1000 * (time.perf_counter() - start))
    return found


def in_browser(server: Server, moves: int) -> list[float]:
    """As a person sees it; nothing where there is no browser."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return []
    if path is None:
        return []
    found: list[float] = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=QUIET)
        page = browser.new_page()
        page.goto(server.address)
        page.wait_for_function("() => document.body.dataset.ready === 'yes'")
        page.wait_for_timeout(2000)
        for value in np.random.default_rng(0).random(moves):
            page.evaluate(SLIDE, [float(value)])
            page.wait_for_timeout(40)
        page.wait_for_timeout(500)
        found = [float(one) for one in page.locator("#speed").get_attribute("data-times").split()]
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=100)
    parser.add_argument("--out", type=Path, help="write the table as CSV too")
    args = parser.parse_args()
    runs = {"demo (dense)": demo("cpu"), "standard conv, 1×64×64": untrained("dsprites")}
    runs["standard conv, 3×64×64"] = untrained("shapes3d")
    rows = []
    for name, run in runs.items():
        exhibit = Exhibit(run, images=1000, keeps=False)
        exhibit.summary(0)
        codes = np.random.default_rng(0).standard_normal((args.moves, run.model.latents))
        with Server(App([exhibit])) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            kinds = {"decoder": decoder(exhibit, codes), "http": over_http(server, codes)}
            kinds["page"] = in_browser(server, args.moves)
            server.shutdown()
            thread.join()
        row: dict[str, object] = {"model": name}
        for kind, times in kinds.items():
            row[f"{kind}, median ms"], row[f"{kind}, 9/10 ms"] = timed(times) if times else (None, None)
        rows.append({**row, "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None})
    print(table(rows))
    print(machine())
    if args.out:
        about = {"machine": machine(), "commit": environment()["commit"], "command": " ".join(sys.argv)}
        with args.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*rows[0], *about])
            writer.writeheader()
            writer.writerows({**row, **about} for row in rows)


if __name__ == "__main__":
    main()
