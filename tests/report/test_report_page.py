"""The page as a whole: well formed, self-contained, escaped, complete, honest about what is missing."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import fields, replace

import numpy as np
import pytest

from unweave.report.page import page, write
from unweave.report.story import PARTS, Failure, Information, ScoreRow, Story, Traversal
from unweave.types import Reference, UserError

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=y>&\x00\x1b[31m\ud800"


def everywhere(text: str) -> Story:
    """A story with the same text wherever a text is taken."""
    images = np.zeros((1, 4, 4, 3), np.uint8)
    return Story(
        title=text,
        subtitle=text,
        key=text,
        status="failed",
        failure=Failure(3, text, text),
        summary={text: text},
        scores=(ScoreRow(text, 0.5, {text: 0.5}, 1.0, 0.0, settings={text: [text, {text: text}]}, note=text),),
        information=Information(np.array([[0.5]]), np.array([1.0]), (text,), (text,), text),
        traversals=(Traversal(0, [0.0], images, label=text),),
        curves={text: ([1, 2], [1.0, np.nan])},
        stages=(text,),
        notes=(text,),
        references=(Reference(text, text, text, text, 2018, text),),
        command=text,
        environment={text: text},
        missing={"reconstructions": text},
    )


def test_a_full_page_is_well_formed_and_holds_every_part(story, read):
    seen = read(page(story))
    for text in (
        story.title,
        story.key,
        "0.387",
        "ceiling 0.893",
        "floor 0.004",
        "carries most of x",
        "3.25 nats",
        "One seed only.",
    ):
        assert text in seen.text
    for text in (story.command, "torch", "2.13.0", "@article{chen2018,", "UDR compares several seeds.", "log scale"):
        assert text in seen.text
    assert len(seen.named("h1")) == 1
    assert "This report holds no" not in seen.text
    anchors = {a["href"] for a in seen.named("a") if a["href"].startswith("#")}
    assert anchors == {f"#{section['id']}" for section in seen.named("section")}


def test_the_same_story_gives_the_same_bytes(story, tmp_path):
    one, two = write(tmp_path / "a.html", story), write(tmp_path / "b.html", story)
    assert one.read_bytes() == two.read_bytes() == page(story).encode()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "b.html"]


def test_a_failed_write_leaves_the_old_page_and_nothing_else(story, tmp_path, monkeypatch):
    old = write(tmp_path / "a.html", story).read_bytes()

    def full_disk(_: int) -> None:
        raise OSError("no space")

    monkeypatch.setattr("unweave.report.page.os.fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        write(tmp_path / "a.html", replace(story, title="new"))
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.html", old)]


def test_a_missing_folder_is_named(story, tmp_path):
    with pytest.raises(UserError, match=r"no folder .*nowhere"):
        write(tmp_path / "nowhere" / "a.html", story)


@pytest.mark.parametrize("hostile", [False, True])
def test_nothing_is_loaded_from_elsewhere(story, read, hostile):
    text = page(everywhere("https://evil.example/x.js") if hostile else story)
    seen = read(text)
    for name, attributes in seen.tags:
        for key in ("src", "srcset", "href", "poster", "data", "action"):
            value = attributes.get(key)
            if value is None or value.startswith(("#", "data:")):
                continue
            assert (name, key) == ("a", "href") and value.startswith("https://")
        assert not any(key.startswith("on") for key in attributes)
    assert "url(" not in re.sub(r"<script>.*</script>", "", text, flags=re.S) and "@import" not in text


def test_the_browser_is_told_to_run_our_script_only(story, read):
    text = page(story)
    [body] = re.findall(r"<script>(.*?)</script>", text, flags=re.S)
    digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    [policy] = [m["content"] for m in read(text).named("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert f"script-src 'sha256-{digest}'" in policy and policy.startswith("default-src 'none'; img-src data:;")


def test_hostile_text_stays_text(read):
    seen, plain = read(page(everywhere(HOSTILE))), read(page(everywhere("word")))
    assert [name for name, _ in seen.tags] == [name for name, _ in plain.tags]
    assert [sorted(a) for _, a in seen.tags] == [sorted(a) for _, a in plain.tags]
    shown = "<script>alert('x')</script>\"><img src=x onerror=y>&\ufffd\ufffd[31m\ufffd"
    assert seen.text.count(shown) >= 20
    assert seen.text.count(shown) == plain.text.count("word")


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", " https://x", ""])
def test_only_web_addresses_become_links(story, read, url):
    seen = read(page(replace(story, references=(Reference("a", "A", "Title", "V", 2020, url),))))
    assert [a for a in seen.named("a") if not a["href"].startswith("#")] == []
    assert "Title" in seen.text


def test_an_empty_story_says_what_is_missing(read):
    seen = read(page(Story("bare")))
    sentences = ("no scores", "no information per latent", "no reconstructions", "no traversals", "no training curves")
    assert all(f"This report holds {words}." in seen.text for words in sentences)
    assert "configuration was not recorded" in seen.text and "command that made this page was not recorded" in seen.text
    assert not seen.named("img") and not seen.named("table") and not seen.named("figure")


@pytest.mark.parametrize("part", PARTS)
def test_a_reason_replaces_the_general_sentence(part, read):
    assert "because of rain" in read(page(Story("bare", missing={part: "because of rain"}))).text


@pytest.mark.parametrize("name", [f.name for f in fields(Story) if f.name not in ("title", "status", "missing")])
def test_any_one_part_may_be_missing(story, read, name):
    default = next(f for f in fields(Story) if f.name == name)
    empty = default.default_factory() if callable(default.default_factory) else default.default
    read(page(replace(story, **{name: empty})))


def test_a_failed_run_says_where_before_anything_else(story, read):
    seen = read(page(replace(story, status="failed", failure=Failure(12400, "tc", kept=12000))))
    words = "This run failed at step 12,400"
    assert words in seen.text and seen.text.index(words) < seen.text.index("Scores")
    assert "The term tc was no longer a finite number." in seen.text
    assert "last good checkpoint, of step 12,000" in seen.text
    bare = read(page(replace(story, status="failed"))).text
    assert "This run failed" in bare and "step and the term were not recorded" in bare


@pytest.mark.parametrize(
    ("status", "words"),
    [("untrained", "initial random weights"), ("running", "not finished"), ("stopped", "stopped early")],
)
def test_unfinished_models_carry_a_warning(story, read, status, words):
    assert words in read(page(replace(story, status=status))).text
    assert words not in read(page(story)).text


def test_contradictions_are_refused_in_one_line(story):
    images = np.zeros((2, 4, 4, 1), np.uint8)
    wrong = [
        ({"status": "finishd"}, "did you mean 'finished'"),
        ({"missing": {"score": "x"}}, "did you mean 'scores'"),
        ({"originals": images.astype(np.float32)}, "uint8"),
        ({"originals": images, "reconstructions": images[:1]}, "that of originals"),
        ({"traversals": (Traversal(0, [1.0], images),)}, "1 values, 2 images"),
        ({"curves": {"loss": ([1, 2], [1.0])}}, "curve 'loss'"),
        ({"curves": {"loss": ([1, np.nan], [1.0, 2.0])}}, "step that is not finite"),
        ({"scores": (ScoreRow("a", 1.0, better="up"),)}, "higher, lower"),
        ({"information": Information(np.array([[1.2]]), None, ("x",))}, "allowed is 0 to 1"),
        ({"information": Information(np.array([[0.2]]), None, ())}, "0 factor names"),
        ({"information": Information(np.array([[0.2]]), np.ones(2), ("x",))}, "1, 2"),
    ]
    for change, words in wrong:
        with pytest.raises(UserError, match=words) as caught:
            page(replace(story, **change))
        assert "\n" not in str(caught.value)


def test_a_typical_page_is_small(story):
    rng = np.random.default_rng(0)
    noisy = rng.integers(0, 256, (10, 64, 64, 1), dtype=np.uint8)
    steps = np.arange(20000)
    big = replace(
        story,
        originals=noisy,
        reconstructions=noisy,
        traversals=[Traversal(k, range(7), noisy[:7], kl=1.0) for k in range(3)],
        curves={f"term {k}": (steps, rng.normal(size=20000)) for k in range(12)},
    )
    assert len(page(big)) < 500_000
