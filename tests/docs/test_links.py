"""Every link leads somewhere, every anchor exists, every picture is described and made by a command that is written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from unweave import DATASETS

from .pages import DOCS, REPOSITORY, anchors, links, name, pages

OTHERS = [REPOSITORY / one for one in ("CONTRIBUTING.md", "CHANGELOG.md")]
ALL = [*pages(), *OTHERS]
IMAGES = sorted(path for path in (DOCS / "images").iterdir() if path.suffix in (".png", ".svg", ".gif", ".jpg"))


@pytest.mark.parametrize("page", ALL, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for link in links(page):
        if re.match(r"https?://", link.target):
            continue
        path, _, anchor = link.target.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.is_file():
            wrong.append(f"{link.target}: no such file")
        elif anchor and anchors(target).count(anchor) != 1:
            wrong.append(f"{link.target}: no such heading, or several (there are {', '.join(anchors(target))})")
        elif DOCS in page.parents and DOCS not in target.parents:
            wrong.append(f"{link.target}: outside docs/, where the site does not reach")
    assert not wrong, f"{name(page)}: " + "; ".join(wrong)


@pytest.mark.parametrize("page", ALL, ids=name)
def test_pictures_say_what_they_show(page: Path) -> None:
    silent = [link.target for link in links(page) if link.picture and len(link.words) < 15]
    assert not silent, f"{name(page)}: say in words what is seen in {', '.join(silent)}"


@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.name)
def test_pictures_are_made_by_a_command_and_shown(image: Path) -> None:
    assert makers(image.name), f"no script in docs/images and no page names the command that makes {image.name}"
    shown = [page for page in pages() for link in links(page) if Path(link.target).name == image.name]
    assert shown, f"no page shows {image.name}"


def makers(image: str) -> list[str]:
    """Where the command that makes a picture is written: a script beside it, or a line of a page."""
    found = []
    for script in sorted((DOCS / "images").glob("*.py")):
        text = script.read_text(encoding="utf-8")
        own = image in text or (script.name == "sheets.py" and image.removesuffix("-factors.png") in DATASETS)
        own = own or f'"{Path(image).stem}' in text
        found += [name(script)] if own and f"python docs/images/{script.name}" in text else []
    for page in pages():
        lines = page.read_text(encoding="utf-8").splitlines()
        found += [name(page) for line in lines if re.search(rf"python [\w/.-]+\.py .*{re.escape(image)}", line)]
    return found


def test_every_page_can_be_reached() -> None:
    """From the README and docs/README.md, by links alone."""
    seen: set[Path] = set()
    todo = [REPOSITORY / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen:
            continue
        seen.add(page)
        targets = [
            (page.parent / link.target.partition("#")[0]).resolve() for link in links(page) if ".md" in link.target
        ]
        todo += [target for target in targets if target.is_file() and REPOSITORY in target.parents]
    missed = [name(page) for page in pages() if page not in seen]
    assert not missed, f"no page links to {', '.join(missed)}"
