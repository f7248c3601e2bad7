"""What MkDocs is told beside mkdocs.yml: a menu that finds its entries, and the pages that are made and not written.

``make docs`` builds the site. The names of the API pages are those of ``unweave/public.py``, so that whatever becomes
public is documented.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
LINK = re.compile(r"\]\(([\w-]+\.md)\)")
PIPE = re.compile(r"`[^`\n]*\\\|[^`\n]*`")
GROUPS = {
    "run": (
        "Training",
        "Train a model, bring one back, and say how long it will take.",
        ("run", "estimator", "engine"),
    ),
    "use": ("Using a model", "Codes of pictures, pictures of codes, and models for others.", ("use",)),
    "methods": ("Methods", "What is optimised. Each has a page of its own under *Methods*.", ("methods",)),
    "metrics": ("Metrics", "Scores of `Codes`. Each has a page of its own under *Metrics*.", ("metrics",)),
    "data": ("Data sets", "Where images come from. Each has a page of its own under *Data sets*.", ("data",)),
    "networks": ("Networks", "Encoders and decoders that can be asked for by name.", ("networks",)),
    "types": ("Shared types", "What flows between data, methods, training and metrics.", ("types",)),
    "studies": ("Studies", "A paper's table or figure as something to run.", ("studies",)),
}
"""Page -> title, first sentence, and the parts of unweave whose public names it holds; without any there is no page."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put pages in the place of ``folder/*`` and ``*`` in the menu."""
    named = set(re.findall(r"[\w/-]+\.md", str(config.nav)))
    config.nav = _filled(config.nav, named)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made: the API's, and the changelog."""
    for path, text in made().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Take the backslash from ``\\|`` in code in tables, which Git hosts want and Python-Markdown shows."""
    return PIPE.sub(lambda found: found[0].replace("\\|", "|"), markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Let every table scroll by itself, by keyboard too."""
    return html.replace("<table>", '<div class="wide" tabindex="0"><table>').replace("</table>", "</table></div>")


def made() -> dict[str, str]:
    """Path -> text of every page that is made."""
    pages = {"changelog.md": (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8").replace("](docs/", "](")}
    public = public_names()
    places = {name: defined(f"unweave.{part}", name) for part, names in public.items() for name in names}
    lines = ["# API reference", "", "Every public name, as `unweave.NAME`.", "", "| page | names |", "|---|---|"]
    for page, (title, what, parts) in GROUPS.items():
        names = [name for part in parts for name in public.pop(part, [])]
        if not names:
            continue
        entries = "\n\n".join(f"::: {places[name]}" for name in names)
        pages[f"api/{page}.md"] = f"# {title}\n\n{what}\n\n{entries}\n"
        links = ", ".join(f"[{name}]({page}.md#{places[name]})" for name in names)
        lines.append(f"| [{title}]({page}.md) | {links} |")
    if public:
        raise ValueError(f"docs/site/hooks.py: GROUPS has no place for the public names of {', '.join(public)}")
    pages["api/README.md"] = "\n".join(lines) + "\n"
    return pages


def defined(module: str, name: str) -> str:
    """Where a name that a module hands on is defined: ``unweave.engine.plan.plan``, not the module of this name."""
    path = (REPOSITORY / "src").joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("unweave."):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return defined(node.module, alias.name)
    return f"{module}.{name}"


def public_names() -> dict[str, list[str]]:
    """Part of unweave -> its public names, read off ``public.py``."""
    tree = ast.parse((REPOSITORY / "src" / "unweave" / "public.py").read_text(encoding="utf-8"))
    found: dict[str, list[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found.setdefault(node.module.split(".")[1], []).extend(alias.name for alias in node.names)
    return {part: sorted(names, key=str.lower) for part, names in found.items()}


def listed(folder: str) -> list[str]:
    """The pages of a folder: its README first, then in the order in which that names them, then by name."""
    if folder == "api":
        return [
            "api/README.md",
            *(f"api/{name}.md" for name, (_, _, parts) in GROUPS.items() if {*parts} & {*public_names()}),
        ]
    there = sorted(path.name for path in (DOCS / folder).glob("*.md"))
    first = DOCS / folder / "README.md"
    named = LINK.findall(first.read_text(encoding="utf-8")) if first.is_file() else []
    return [f"{folder}/{name}" for name in dict.fromkeys(["README.md", *named, *there]) if name in there]


def _filled(entry: Any, named: set[str]) -> Any:
    if isinstance(entry, dict):
        return {title: _filled(inner, named) for title, inner in entry.items()}
    if isinstance(entry, list):
        return [one for inner in entry for one in _flat(_filled(inner, named))]
    if entry == "*":
        return sorted(path.name for path in DOCS.glob("*.md") if path.name not in named)
    return listed(entry.removesuffix("/*")) if entry.endswith("/*") else entry


def _flat(entry: Any) -> list[Any]:
    return entry if isinstance(entry, list) else [entry]
