"""The repository's text: documented modules of a readable length, and nothing that belongs to one machine."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "unweave"
LONGEST = 400
HIDDEN = {".git", ".venv", ".pytest_cache", ".ruff_cache", ".mypy_cache", "__pycache__", "runs", "dist"}
PRIVATE = {
    "a path of one machine": re.compile(r"(?<![\w.])/(?:work|root)/|/" + r"tmp/v\b|/" + r"home/\w+/"),
    "a package index": re.compile(r"--(?:extra-)?" + r"index-url|https?://[\w.]*py" + r"pi\.|/" + r"simple/?[\"'\s]"),
    "unfinished work": re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b"),
}


def repository() -> list[Path]:
    """Every file that is in the repository or would be."""
    words = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
        found = [ROOT / name for name in listed]
    except (OSError, subprocess.SubprocessError):
        found = [path for path in ROOT.rglob("*") if not HIDDEN & set(path.relative_to(ROOT).parts)]
    return [path for path in found if path.is_file()]


def test_nothing_belongs_to_one_machine_and_nothing_is_unfinished() -> None:
    wrong = []
    for path in repository():
        content = path.read_bytes()
        if b"\0" in content:
            continue
        for place, line in enumerate(content.decode("utf-8").splitlines(), 1):
            found = [what for what, pattern in PRIVATE.items() if pattern.search(line)]
            wrong += [f"{path.relative_to(ROOT)}:{place}: {what}" for what in found]
    assert wrong == []
    assert len(repository()) > 50


@pytest.mark.parametrize(
    "line, what",
    [
        ("see /" + "work/data", "a path of one machine"),
        ("'/" + "root/x'", "a path of one machine"),
        ("pip install --index" + "-url x", "a package index"),
        ("https://py" + "pi.org/x", "a package index"),
        ("# TO" + "DO: later", "unfinished work"),
    ],
)
def test_such_lines_are_seen(line: str, what: str) -> None:
    assert [name for name, pattern in PRIVATE.items() if pattern.search(line)] == [what]


@pytest.mark.parametrize("line", ["frame/workshop", "the /roots/ of it", "mastodon, todos", "a simple thing"])
def test_ordinary_lines_are_not(line: str) -> None:
    assert not [name for name, pattern in PRIVATE.items() if pattern.search(line)]


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_modules_are_documented_and_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert len(text.splitlines()) < LONGEST, "look twice at a file of 400 lines"
    assert ast.get_docstring(tree), "a module begins with a docstring"
    public = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        if not ast.get_docstring(node)
    ]
    assert not public, f"no docstring: {', '.join(public)}"
