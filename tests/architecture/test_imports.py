"""Imports go downhill only, and importing unweave is cheap and changes nothing."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
LAYERS = (
    ("errors",),
    ("types",),
    ("names", "references", "mixture"),
    ("networks", "data"),
    ("methods",),
    ("store",),
    ("engine",),
    ("metrics",),
    ("analysis",),
    ("shared", "kept"),
    ("run", "auto"),
    ("results", "job", "estimator"),
    ("studies",),
    ("sweep", "report", "testing"),
    ("explorer",),
    ("use",),
    ("own",),
    ("cli",),
    ("public",),
    ("__init__", "__main__"),
)
"""From low to high. A part may import what lies lower, and itself."""
HEIGHT = {name: height for height, names in enumerate(LAYERS) for name in names}
HEAVY = ("tyro", "duckdb", "h5py", "matplotlib", "ray", "sklearn", "scipy", "pandas", "PIL", "torchvision", "datasets")
"""What is imported inside the function that needs it."""


def files() -> list[Path]:
    return sorted((SOURCE / "unweave").rglob("*.py"))


def part_of(module: str) -> str:
    """``unweave.engine.step`` -> ``engine``; ``unweave`` itself -> ``__init__``."""
    words = module.split(".")
    return words[1] if len(words) > 1 else "__init__"


def module_of(path: Path) -> str:
    words = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(words[:-1] if words[-1] == "__init__" else words)


def imported(path: Path, text: str | None = None) -> Iterator[tuple[int, str]]:
    """(line, module of unweave) for every import anywhere in a file, those inside functions and relative ones too."""
    module = module_of(path)
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8") if text is None else text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            names = [start]
            if start == "unweave":
                # ``from unweave import run`` may name a part as well as a public name; the version is neither.
                given = [alias.name for alias in node.names if alias.name != "__version__"]
                names = [f"unweave.{name}" if name in HEIGHT else start for name in given]
        else:
            continue
        yield from ((node.lineno, name) for name in names if name.split(".")[0] == "unweave")


def uphill(path: Path, text: str | None = None) -> list[str]:
    own = part_of(module_of(path))
    return [
        f"{path.relative_to(SOURCE)}:{line} imports {name}"
        for line, name in imported(path, text)
        if part_of(name) != own and HEIGHT.get(part_of(name), 0) >= HEIGHT.get(own, 0)
    ]


def test_every_part_has_a_layer() -> None:
    parts = {part_of(module_of(path)) for path in files()}
    assert parts <= set(HEIGHT), f"give these a layer: {sorted(parts - set(HEIGHT))}"
    assert {"types", "engine", "store", "run"} <= parts


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_downhill(path: Path) -> None:
    assert uphill(path) == []


@pytest.mark.parametrize(
    "text",
    [
        "import unweave.engine.train",
        "from unweave.engine import train",
        "from unweave import engine",
        "from unweave import BetaVAE",
        "import unweave",
        "from ..engine import train",
        "from ..run import fit",
        "from .. import engine",
        "def f():\n    from unweave.run import fit",
        "class A:\n    def f(self):\n        import unweave.cli.train as t",
    ],
)
def test_an_uphill_import_is_seen(text: str) -> None:
    assert len(uphill(SOURCE / "unweave" / "store" / "folder.py", text)) == 1
    assert (
        uphill(SOURCE / "unweave" / "store" / "folder.py", "from .files import write\nimport unweave.types\nimport os")
        == []
    )


LOOK = """
import json, os, random, sys, threading, time, warnings
import numpy, torch
def state():
    return {
        "threads": torch.get_num_threads(),
        "dtype": str(torch.get_default_dtype()),
        "device": str(torch.get_default_device()),
        "torch": str(torch.get_rng_state().tolist()),
        "numpy": repr(numpy.random.get_state(legacy=False)),
        "random": repr(random.getstate()),
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul": torch.get_float32_matmul_precision(),
        "benchmark": torch.backends.cudnn.benchmark,
        "print": repr(numpy.get_printoptions()),
        "filters": repr(warnings.filters),
        "environment": repr(sorted(os.environ.items())),
        "folder": os.getcwd(),
        "path": repr(sys.path),
        "running": threading.active_count(),
        "umask": (lambda m: (os.umask(m), m)[1])(os.umask(0)),
        "children": sorted(os.listdir(".")),
        "hook": repr(sys.excepthook) + repr(threading.excepthook),
    }
before = state()
from unweave import *
import unweave
after = state()
changed = [name for name in before if before[name] != after[name]]
print(json.dumps({"changed": changed, "modules": sorted({name.split(".")[0] for name in sys.modules})}))
"""


def test_importing_changes_nothing_and_loads_nothing_heavy(tmp_path: Path) -> None:
    words = [sys.executable, "-W", "error", "-c", LOOK]
    done = subprocess.run(
        words, capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(SOURCE), "PATH": ""}
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["changed"] == []
    assert "unweave" in found["modules"]
    assert not set(HEAVY) & set(found["modules"])
    assert done.stderr == ""


LIGHT = """
import contextlib, io, sys
import unweave
from unweave.cli import main
said = io.StringIO()
with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
    codes = main(["--help"]), main(["--version"]), main(["trian"])
assert codes == (0, 0, 2) and "did you mean 'train'" in said.getvalue()
assert unweave.__version__ in said.getvalue() and not hasattr(unweave, "__wrapped__")
assert "torch" not in sys.modules and "numpy" not in sys.modules
assert "MIG" in dir(unweave) and "torch" in sys.modules
"""


def test_help_and_mistyped_verbs_are_answered_without_torch(tmp_path: Path) -> None:
    words = [sys.executable, "-W", "error", "-c", LIGHT]
    done = subprocess.run(
        words, capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(SOURCE), "PATH": ""}
    )
    assert done.returncode == 0, done.stderr


def test_the_package_hands_out_its_public_names_and_parts_and_nothing_else() -> None:
    import unweave
    import unweave.public

    names = {name for name in vars(unweave.public) if not name.startswith("_")}
    assert {"fit", "MIG", "Experiment", "UserError"} <= names
    assert set(unweave.__all__) == names  # type: ignore[attr-defined]
    for name in names:
        assert getattr(unweave, name) is getattr(unweave.public, name)
    assert unweave.engine.train is unweave.train
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        unweave.nothing  # noqa: B018
