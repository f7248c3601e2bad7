"""Strips: the PNG in the page holds the very pixels of the run."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from unweave.report.page import IMAGES, page
from unweave.report.pictures import beside, png, scales, strip
from unweave.report.story import Traversal


def decoded(source: str) -> Image.Image:
    prefix = "data:image/png;base64,"
    assert source.startswith(prefix)
    return Image.open(io.BytesIO(base64.b64decode(source.removeprefix(prefix), validate=True)))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_strip_decodes_to_its_pixels(read, channels):
    images = np.random.default_rng(4).integers(0, 256, (5, 7, 9, channels), dtype=np.uint8)
    [img] = read(strip(("five", images))).named("img")
    picture = decoded(img["src"])
    assert picture.mode == ("L" if channels == 1 else "RGB") and picture.size == (45, 7)
    pixels = np.asarray(picture).reshape(7, 45, channels)
    for k in range(5):
        assert (pixels[:, 9 * k : 9 * k + 9] == images[k]).all()
    assert (img["width"], img["height"], img["alt"]) == ("45", "7", "five")


def test_grey_in_three_channels_becomes_one():
    grey = np.random.default_rng(5).integers(0, 256, (4, 4, 1), dtype=np.uint8)
    assert png(np.repeat(grey, 3, axis=2)) == png(grey)


def test_originals_and_reconstructions_are_all_there_in_order(story, read):
    sources = [decoded(img["src"]) for img in read(page(replace(story, traversals=()))).named("img")]
    above, below = np.asarray(sources[0]), np.asarray(sources[1])
    assert (above == beside(story.originals)[..., 0]).all() and (below == beside(story.reconstructions)[..., 0]).all()


def test_many_images_are_cut_and_the_page_says_so(story, read):
    images = np.repeat(story.originals, 5, axis=0)
    seen = read(page(replace(story, originals=images, reconstructions=images, traversals=())))
    assert sum(int(img["width"]) for img in seen.named("img")) == 2 * 16 * IMAGES
    assert f"The first {IMAGES} of 30." in seen.text


def test_traversals_come_by_falling_kl_with_values_under_the_images(story, read):
    images = story.originals[:2]
    strips = (Traversal(2, [0.0, 1.0], images), *story.traversals)
    seen = read(page(replace(story, traversals=strips)))
    places = [seen.text.index(f"Latent {k}") for k in (1, 0, 2)]
    assert places == sorted(places)
    assert "carries most of scale (0.60)" in seen.text and "carries no known factor (at most 0.00)" in seen.text
    assert "KL not known" in seen.text
    alts = [img["alt"] for img in seen.named("img") if img["alt"].startswith("Traversal")]
    assert alts[0] == "Traversal of Latent 1, 3.25 nats, scale: decoded images, latent −2 to 2 in 2 steps"


@pytest.mark.parametrize(("count", "size"), [(7, 64), (8, 64), (11, 64), (10, 28), (12, 8), (9, 200), (1, 2000)])
def test_magnifications_are_whole_and_fit(count, size):
    desk, phone = scales(np.zeros((count, size, size, 1), np.uint8))
    assert desk >= 1 and phone >= 1
    assert desk == 1 or desk * size * count <= 1040
    assert phone == 1 or phone * size <= 128


def test_strips_of_unused_latents_are_folded_away(story, read):
    images = np.zeros((2, 8, 8, 1), np.uint8)
    strips = (Traversal(0, [0.0, 1.0], images, kl=2.0), Traversal(1, [0.0, 1.0], images, kl=0.001))
    folded = page(replace(story, information=None, traversals=strips))
    assert "1 unused latent (KL under 0.01 nats)" in folded
    place = folded.index("1 unused latent")
    assert folded.index(">Latent 0<") < place < folded.index(">Latent 1<", place)
    alone = page(replace(story, information=None, traversals=strips[1:]))
    assert "unused latent" not in alone and "None of them is in use" in alone
