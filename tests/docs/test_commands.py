"""Every command in the documentation can be typed: unweave's own parsers read it, other programs' files exist."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest

from unweave.cli import train
from unweave.cli.entry import VERBS, main
from unweave.methods import CascadeVAEC
from unweave.sweep.toml import read
from unweave.types import UserError

from .pages import REPOSITORY, blocks, name, pages
from .small import pictures

COMMENT = re.compile(r"\s+#.*$|\s{2,}\S.*$| · .*$")
PLACEHOLDERS = ("VERB", "METHOD", "NAME", "…", "[", "|", "MODEL")
"""What a reader puts something else in place of."""


class Read(Exception):
    """A command was understood."""


def commands(page: Path) -> Iterator[tuple[int, str]]:
    """(line, words) of everything in a block that begins like a command; several on a line may be divided by ``·``."""
    for block in blocks(page):
        if block.language not in ("sh", "", "indented"):
            continue
        lines = block.text.replace("\\\n", " ").splitlines()
        for place, line in enumerate(lines):
            for part in re.split(r" · ", line.strip().removeprefix("$ ")):
                words = COMMENT.sub("", part).strip()
                if re.match(r"(unweave (?!\w+:)|python |make )", words):
                    yield block.line + place, words


ALL = [(name(page), line, words) for page in pages() for line, words in commands(page)]
OURS = [
    one
    for one in ALL
    if one[2].startswith("unweave ")
    and one[0] != "docs/extending.md"
    and not any(mark in one[2] for mark in PLACEHOLDERS)
]
"""Those of docs/extending.md are of a method that it adds: its own test types them."""


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command line stops where a command has been understood."""
    monkeypatch.chdir(tmp_path)
    for verb, (module, _, _) in VERBS.items():
        found = importlib.import_module(f"unweave.cli.{module}")
        function = "read" if verb == "train" else "parse"
        original = getattr(found, function)

        def stop(*given: Any, original: Any = original, **more: Any) -> None:
            original(*given, **more)
            raise Read

        monkeypatch.setattr(found, function, stop)
    # Own images that pages speak of.
    for folder in ("photos", "pictures", "docs/images"):
        Path(folder).parent.mkdir(exist_ok=True)
        pictures(folder, 1)
    numpy.save("images.npy", numpy.zeros((2, 8, 8), "uint8"))
    numpy.savez("archive.npz", images=numpy.zeros((2, 8, 8), "uint8"))
    for file in ("factors.csv", "photos/factors.csv", "train.parquet", "mine.png"):
        Path(file).write_bytes(b"")
    Path("saved").mkdir()
    Path("saved/dataset_info.json").write_text("{}")


@pytest.mark.parametrize("page", sorted({page for page, _, _ in OURS}))
def test_unweave_understands_them(
    page: str, reading: None, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setenv("UNWEAVE_DEBUG", "1")
    for where, line, words in OURS:
        if where == page:
            try:
                assert main(shlex.split(words)[1:]) == 0, f"{page}, line {line}: {words}"
            except Read:
                continue
            except UserError as error:
                pytest.fail(f"{page}, line {line}: {words}: {error}")


def test_both_ways_of_cascade_vae_cs_page_train_the_same_method() -> None:
    """A command begins with the authors' settings for dSprites, ``CascadeVAEC()`` with its defaults."""
    (words,) = (words for page, _, words in OURS if page == "docs/methods/cascade-vae-c.md")
    method, options = train.read(shlex.split(words)[2:])
    assert method == CascadeVAEC(stage_steps=2000) and (options.data, options.steps) == ("dsprites", 25_000)
    page = (REPOSITORY / "docs/methods/cascade-vae-c.md").read_text(encoding="utf-8")
    assert 'unweave.fit(unweave.CascadeVAEC(stage_steps=2000), "dsprites", steps=25_000)' in page


def test_there_are_many() -> None:
    assert len(OURS) > 100
    assert {shlex.split(words)[1] for _, _, words in OURS} >= set(VERBS)


@pytest.mark.parametrize("page", sorted({page for page, _, _ in ALL}))
def test_other_programs_exist(page: str) -> None:
    targets = re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for where, line, words in ALL:
        first, *rest = words.split()
        if where != page or first == "unweave":
            continue
        if first == "make":
            assert rest[0] in targets, f"{page}, line {line}: the Makefile has no {rest[0]}"
        elif rest[0].endswith(".py") and "/" in rest[0]:
            assert (REPOSITORY / rest[0]).is_file(), f"{page}, line {line}: no {rest[0]}"


GRIDS = [(name(page), block) for page in pages() for block in blocks(page, "toml")]


@pytest.mark.parametrize("page, block", GRIDS, ids=[f"{page}:{block.line}" for page, block in GRIDS])
def test_grids_are_read(page: str, block: Any, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text(block.text, encoding="utf-8")
    assert read(tmp_path / "grid.toml").jobs(), f"{page}, line {block.line}: no experiments"
