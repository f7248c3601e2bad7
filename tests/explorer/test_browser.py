"""The explorer in a real browser, as a new user: every control, on a desktop and on a phone, with the keyboard."""

from __future__ import annotations

import io
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import unweave
from unweave.explorer import App, Exhibit, Server, static_page
from unweave.report import tell
from unweave.report.page import page as report_page
from unweave.run import load
from unweave.store import RunFolder

from .browser import DESKTOP, PHONE, Page, browser
from .test_explorer_upload import BROKEN, file, halves

SCREEN = "document.querySelectorAll('.drawn canvas')[{0}].toDataURL()"
READY = "() => document.body.dataset.ready === 'yes'"
each_size = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    with browser() as found:
        yield found


class Visit(Page):
    """Somebody who looks at the explorer."""

    def __init__(self, chrome: Any, server: Server, size: dict[str, int], rest: str = "", **more: Any) -> None:
        super().__init__(chrome, server.address + rest, size, **more)
        self.page.wait_for_function(READY)

    def screen(self, place: int = 0) -> str:
        """The large picture."""
        return str(self.page.evaluate(SCREEN.format(place)))

    def changes(self, what: Any, place: int = 0) -> str:
        """Do something after which the large picture is another one, and return that."""
        before = self.screen(place)
        what()
        self.page.wait_for_function(f"before => {SCREEN.format(place)} !== before", arg=before)
        return self.screen(place)

    def wait(self, condition: str) -> None:
        """Wait until a condition holds; as a function, since the page's own policy lets no text be run."""
        self.page.wait_for_function(f"() => {condition}")

    def until(self, place: int, picture: str) -> None:
        """Wait for a large picture that was seen before."""
        self.page.wait_for_function(f"wanted => {SCREEN.format(place)} === wanted", arg=picture)

    def said(self, words: str) -> None:
        """Wait for words where troubles are told."""
        self.page.locator(".trouble", has_text=words).first.wait_for()

    def press(self, name: str, place: int = 0) -> None:
        self.page.get_by_role("button", name=name, exact=True).nth(place).click()

    def slide(self, place: int, value: float) -> None:
        self.page.locator(".latent .move input[type=range]").nth(place).evaluate(
            "(slider, v) => { slider.value = v; slider.dispatchEvent(new Event('input', { bubbles: true })); }", value
        )

    def taken(self, what: Any) -> bytes:
        """The file that is saved when something is done."""
        with self.page.expect_download() as found:
            what()
        return Path(found.value.path()).read_bytes()

    def good(self) -> None:
        assert self.wrong == []
        self.close()


@each_size
def test_sliders_strips_names_and_address(
    chrome: Any, server: Server, folders: list[Path], size: dict[str, int]
) -> None:
    visit = Visit(chrome, server, size)
    page = visit.page
    assert visit.sideways() <= 0, "nothing sticks out"
    begin = visit.screen()
    first = page.locator(".latent .move input[type=range]").first
    first.focus()
    moved = visit.changes(lambda: page.keyboard.press("End"))
    assert first.evaluate("s => s.value === s.max")
    assert "moved by hand" in page.locator(".origin").inner_text()
    again = visit.changes(lambda: page.keyboard.press("Home"))
    assert again != moved
    visit.changes(lambda: page.keyboard.press("Delete"))
    visit.until(0, begin)
    visit.wait("document.querySelector('.latents').dataset.drawn > 0")
    strip = page.locator(".strip-canvas").first
    assert strip.evaluate("c => new Set(c.getContext('2d').getImageData(0, 0, c.width, c.height).data).size") > 2
    visit.changes(lambda: strip.click(position={"x": 5, "y": 5}))
    output = page.locator(".latent > output").first.inner_text()
    assert output.startswith("−")
    visit.changes(lambda: visit.press(page.locator(".tools button").nth(2).get_attribute("aria-label")))
    visit.until(0, begin)
    visit.wait("location.hash.includes('z=')")
    name = page.locator("input.name").first
    label = name.get_attribute("aria-label")
    name.fill("left to right")
    name.press("Enter")
    visit.wait("document.querySelector('.move input').getAttribute('aria-label').startsWith('left to right')")
    unit = label.removeprefix("Name of latent ")
    visit.wait("document.querySelector('#swap select').textContent.includes('left to right')")
    assert RunFolder(folders[0]).read("names") == {"names": {unit: "left to right"}}
    address = page.url
    moved = visit.changes(lambda: visit.slide(1, 1.5))
    page.wait_for_function("before => location.href !== before", arg=address)
    page.reload()
    page.wait_for_function(READY)
    visit.until(0, moved)
    assert page.locator("input.name").first.input_value() == "left to right"
    assert page.locator("#speed").inner_text() == ""
    visit.changes(lambda: visit.slide(2, 0.5))
    visit.wait("/\\d+ ms/.test(document.getElementById('speed').textContent)")
    visit.good()


def test_sorting_hiding_strips_and_unused_latents(chrome: Any, server: Server) -> None:
    visit = Visit(chrome, server, DESKTOP)
    page = visit.page
    numbers = "() => [...document.querySelectorAll('.latents > div .facts-line')].map(n => n.textContent.split(' ')[1])"
    page.get_by_label("Sort by").select_option("number")
    sorted_ = page.evaluate(numbers)
    assert sorted_ == sorted(sorted_)
    for order in ("KL", "factor", "information"):
        page.get_by_label("Sort by").select_option(order)
    page.get_by_label("Strips").uncheck()
    assert not page.locator(".strip-canvas").first.is_visible()
    page.get_by_label("Strips").check()
    assert page.locator(".strip-canvas").first.is_visible()
    dead = page.locator(".dead")
    if dead.is_visible():
        dead.locator("summary").click()
        assert dead.locator("input[type=range]").first.is_visible()
    visit.good()


@each_size
def test_where_to_start_from(chrome: Any, server: Server, size: dict[str, int]) -> None:
    visit = Visit(chrome, server, size)
    page = visit.page
    begin = visit.screen()
    visit.changes(lambda: visit.press("New sample"))
    assert "prior" in page.locator(".origin").inner_text()
    assert not page.locator(".original").is_visible()
    visit.changes(lambda: visit.press("Random image"))
    assert page.locator(".original").is_visible()
    page.get_by_text("Choose an image").click()
    thumbs = page.locator(".gallery .thumb")
    thumbs.nth(11).wait_for()
    row = thumbs.nth(3).get_attribute("aria-label").split()[-1]
    visit.changes(lambda: thumbs.nth(3).click())
    assert page.get_by_role("spinbutton", name="Number").input_value() == row
    labels = "() => [...document.querySelectorAll('.gallery .thumb')].map(n => n.getAttribute('aria-label')).join()"
    before = page.evaluate(labels)
    visit.press("Others")
    page.wait_for_function(f"before => ({labels})() !== before", arg=before)
    number = page.get_by_role("spinbutton", name="Number")
    number.fill("5")
    visit.changes(lambda: number.press("Enter"))
    number.fill("5000")
    number.press("Enter")
    visit.said("allowed: 0 to 1,023")
    shown = visit.screen()
    number.fill("")
    number.press("Enter")
    page.wait_for_timeout(300)
    assert visit.screen() == shown, "no number is not number 0"
    slider = page.get_by_label("Factor pos_x")
    slider.focus()
    visit.changes(lambda: page.keyboard.press("End"))
    assert "32 of 32" in page.locator(".factor", has=slider).inner_text()
    start = visit.screen()
    visit.changes(lambda: visit.slide(0, 1.9))
    visit.press("Reset")
    visit.until(0, start)
    assert start != begin
    visit.good()


def test_uploads_good_and_broken(chrome: Any, server: Server, exhibits: list[Exhibit], tmp_path: Path) -> None:
    visit = Visit(chrome, server, PHONE)
    page = visit.page

    def hand_in(data: bytes, name: str, place: int = 0) -> None:
        (tmp_path / name).write_bytes(data)
        page.locator("input[type=file]").nth(place).set_input_files(tmp_path / name)

    picture = Image.fromarray(exhibits[0].pictures([3])[0, ..., 0])
    visit.changes(lambda: hand_in(file(picture), "mine.png"))
    assert page.locator(".origin").inner_text() == "Your picture mine.png"
    kept = visit.screen()
    for name in ("not an image", "huge in pixels", "huge in bytes", "truncated PNG", "animated GIF", "CMYK"):
        data, words = BROKEN[name]
        hand_in(data, "broken.png")
        visit.said(words)
        assert visit.screen() == kept, "the picture stays"
    visit.changes(lambda: hand_in(file(halves(64, 64)), "halves.png"))
    assert page.locator(".trouble").first.inner_text() == ""
    hand_in(b"nothing", "broken.png", 1)
    visit.said("no picture that can be read")
    visit.good()


def test_snapshots_and_files_to_take_away(chrome: Any, server: Server) -> None:
    visit = Visit(chrome, server, DESKTOP)
    page = visit.page
    visit.press("Snapshot")
    begin = visit.screen()
    page.get_by_role("button", name="Return to snapshot 1").wait_for()
    visit.changes(lambda: visit.press("New sample"))
    visit.press("Return to snapshot 1")
    visit.until(0, begin)
    visit.press("Remove snapshot 1")
    assert page.locator(".shot").count() == 0
    still = Image.open(io.BytesIO(visit.taken(lambda: visit.press("Save PNG"))))
    assert (still.format, still.size) == ("PNG", (192, 192))
    sheet = Image.open(io.BytesIO(visit.taken(lambda: visit.press("Save all strips"))))
    assert sheet.size[0] == 9 * 192
    tools = page.locator(".tools").first.locator("button")
    assert Image.open(io.BytesIO(visit.taken(tools.nth(0).click))).size == (9 * 192, 192)
    moving: Any = Image.open(io.BytesIO(visit.taken(tools.nth(1).click)))
    assert moving.format == "GIF"
    visit.good()


def test_spaces_blocks_and_two_runs_side_by_side(chrome: Any, server: Server) -> None:
    visit = Visit(chrome, server, DESKTOP)
    page = visit.page
    visit.changes(lambda: page.get_by_label("Latent space").select_option("1"))
    page.locator("#tables", has_text="space 1").wait_for()
    visit.press("Compare side by side")
    visit.wait("document.querySelectorAll('.drawn canvas').length === 2 && !document.querySelector('[aria-busy]')")
    visit.wait("document.querySelectorAll('.tables-of-run h2').length === 2")
    right = page.locator(".panel").nth(1)
    assert right.get_by_label("Run").input_value() == "1"
    block = right.locator(".latent").first
    block.locator(".inside summary").click()
    block.locator(".move input").focus()
    left = visit.screen(0)
    visit.changes(lambda: page.keyboard.press("End"), 1)
    inner = block.locator(".inside input[type=range]")
    # A block moves along its diagonal: both to one value, as far as the slider of each goes.
    values, limits = ([inner.nth(k).evaluate(f"s => Number(s.{what})") for k in (0, 1)] for what in ("value", "max"))
    top = block.locator(".move input").evaluate("s => Number(s.max)")
    assert all(abs(value - min(top, limit)) < 0.05 for value, limit in zip(values, limits, strict=True))
    inner.nth(1).focus()
    visit.changes(lambda: page.keyboard.press("Home"), 1)
    assert inner.nth(1).evaluate("s => s.value === s.min")
    assert inner.nth(0).evaluate("s => Number(s.value)") == values[0], "each latent of a block moves alone, too"
    assert visit.screen(0) == left, "the other run stays where it is"
    both = visit.screen(1)
    visit.changes(lambda: visit.press("Random image", 0), 0)
    page.wait_for_function(f"before => {SCREEN.format(1)} !== before", arg=both)
    words = [page.locator(".origin").nth(k).inner_text() for k in (0, 1)]
    assert words[0] == words[1] and words[0].startswith("Image")
    page.get_by_label("Start both from the same image").uncheck()
    alone = visit.screen(1)
    visit.changes(lambda: visit.press("New sample", 0), 0)
    assert visit.screen(1) == alone
    visit.wait("location.hash.includes('run2=1')")
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_function(READY)
    visit.until(1, alone)
    right.get_by_label("Run").select_option("0")
    visit.wait("document.querySelectorAll('.panel')[1].getAttribute('aria-label').startsWith('devae')")
    visit.press("Compare side by side")
    assert page.locator(".panel").count() == 1
    visit.wrong = [one for one in visit.wrong if "about:blank" not in one]
    visit.good()


def test_runs_on_other_data_beside_each_other(chrome: Any, exhibits: list[Exhibit]) -> None:
    own = unweave.InMemory.of(np.random.default_rng(0).integers(0, 256, (20, 64, 64), np.uint8))
    other = unweave.fit("vae", own, steps=2, batch=4, latents=3, network=unweave.MLP((8,)))
    with Server(App([exhibits[0], Exhibit(other, images=20)])) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        visit = Visit(chrome, server, DESKTOP)
        page = visit.page
        visit.press("Compare side by side")
        visit.wait("document.querySelectorAll('.drawn canvas').length === 2 && !document.querySelector('[aria-busy]')")
        right = page.locator(".panel").nth(1)
        assert right.get_by_label("Run").input_value() == "1"
        visit.changes(lambda: visit.press("Random image", 0), 1)
        assert right.locator(".origin").inner_text().endswith("of the data set of the other run")
        assert right.locator(".trouble").inner_text() == ""
        visit.press("Compare side by side")
        page.get_by_label("Run").select_option("1")
        visit.wait("document.querySelector('.panel').getAttribute('aria-label').startsWith('vae')")
        visit.wait("document.querySelector('.origin').innerText.includes('other run')")
        visit.wait("!location.hash.includes('row=')")
        visit.good()
        server.shutdown()
        thread.join()


@each_size
def test_one_latent_exchanged_between_two_images(chrome: Any, server: Server, size: dict[str, int]) -> None:
    visit = Visit(chrome, server, size)
    page = visit.page
    pictures = "() => [...document.querySelectorAll('#swap canvas')].map(c => c.toDataURL())"
    visit.wait(f"new Set(({pictures})()).size === 4")
    before = page.evaluate(pictures)
    page.get_by_label("Latent to exchange").select_option(index=1)
    page.wait_for_function(f"before => ({pictures})()[2] !== before[2]", arg=before)
    changed = page.evaluate(pictures)
    assert changed[:2] == before[:2], "the two images stay"
    visit.press("B: use a random image")
    page.wait_for_function(f"before => ({pictures})()[1] !== before[1]", arg=changed)
    visit.changes(lambda: visit.press("New sample"))
    visit.press("A: use the large picture")
    visit.wait(f"({pictures})()[0] === {SCREEN.format(0)}")
    wanted = page.evaluate(pictures)[2]
    sheet = Image.open(io.BytesIO(visit.taken(lambda: visit.press("Save the exchange as PNG"))))
    assert sheet.size == (2 * 192, 2 * 192)
    visit.changes(lambda: visit.press("Go on with A after the exchange"))
    visit.until(0, wanted)
    visit.changes(lambda: visit.press("Go on with B after the exchange"))
    visit.good()


def test_a_second_visitor_does_not_disturb_the_first(chrome: Any, server: Server) -> None:
    one, other = Visit(chrome, server, DESKTOP), Visit(chrome, server, PHONE)
    mine = one.changes(lambda: one.slide(0, 1.7))
    theirs = other.changes(lambda: other.press("New sample"))
    assert one.screen() == mine and other.screen() == theirs
    mine = one.changes(lambda: one.slide(1, -1.2))
    assert other.screen() == theirs
    # The address follows a quarter of a second later.
    one.wait(f"location.href !== {other.page.url!r}")
    one.good()
    other.good()


def test_when_the_server_is_gone_the_page_says_so(chrome: Any, server: Server) -> None:
    visit = Visit(chrome, server, DESKTOP)
    visit.page.route("**/sample**", lambda route: route.abort())
    visit.press("New sample")
    visit.said("does not answer")
    visit.close()


def test_a_wrong_address_is_no_harm(chrome: Any, server: Server) -> None:
    visit = Visit(chrome, server, DESKTOP, "#run=9&space=7&z=1,2&row=99999999")
    assert visit.page.locator(".latent").count() >= 4
    visit.changes(lambda: visit.slide(0, 1.0))
    visit.good()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@each_size
def test_accessibility(chrome: Any, server: Server, size: dict[str, int], scheme: str) -> None:
    visit = Visit(chrome, server, size, scheme=scheme)
    page = visit.page
    visit.press("Compare side by side")
    visit.wait("document.querySelectorAll('.tables-of-run h2').length === 2")
    for summary in page.locator("details:visible > summary").all():
        summary.click()
    visit.press("Snapshot")
    page.get_by_role("button", name="Return to snapshot 1").wait_for()
    page.locator(".gallery .thumb").nth(11).wait_for()
    page.locator("input[type=file]").first.set_input_files({"name": "x", "mimeType": "image/png", "buffer": b"x"})
    visit.said("no picture")
    assert visit.violations() == []
    assert visit.sideways() <= 0
    visit.good()


@pytest.fixture(scope="module")
def written(_trained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The page that can be mailed, and the report, of one run."""
    out = tmp_path_factory.mktemp("pages")
    run = load(shutil.copytree(_trained / "spaces-run", out / "run"), device="cpu")
    codes = run.codes(100)
    pages = static_page(run, codes=codes, images=200), report_page(tell(run, codes=codes))
    for name, text in zip(("explorer.html", "report.html"), pages, strict=True):
        (out / name).write_text(text, encoding="utf-8")
    return out / "explorer.html", out / "report.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@each_size
def test_pages_that_are_written(chrome: Any, written: tuple[Path, Path], size: dict[str, int], scheme: str) -> None:
    visit = Page(chrome, written[0].as_uri(), size, scheme)
    page = visit.page
    screen = "document.querySelector('.scrub canvas').toDataURL()"
    page.wait_for_function(f"() => {screen}.length > 200")
    begin = page.evaluate(screen)
    slider = page.locator(".slider input").first
    slider.focus()
    page.keyboard.press("Home")
    page.wait_for_function(f"before => {screen} !== before", arg=begin)
    low = page.evaluate(screen)
    page.keyboard.press("End")
    page.wait_for_function(f"before => {screen} !== before", arg=low)
    assert slider.get_attribute("aria-valuetext") == page.locator(".slider output").first.inner_text()
    at = page.locator(".slider input").nth(1)
    at.focus()
    page.keyboard.press("Home")
    assert slider.input_value() == slider.get_attribute("data-starts").split()[0], "one latent at a time"
    page.locator(".starts label").nth(1).click()
    page.wait_for_function(f"before => {screen} !== before", arg=begin)
    assert visit.violations() == []
    assert visit.sideways() <= 0
    assert visit.wrong == []
    visit.close()
    report = Page(chrome, written[1].as_uri(), size, scheme)
    assert report.violations() == []
    assert report.sideways() <= 0
    assert report.wrong == []
    report.close()
