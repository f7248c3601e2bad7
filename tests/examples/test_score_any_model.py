"""examples/score_any_model.py does what it says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "score_any_model.py"


def test_python_files_and_shell_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = runpy.run_path(str(EXAMPLE))["main"](tmp_path)
    assert found["python"] == found["files"]
    told = capsys.readouterr().out
    assert f"MIG {found['python']:.3f}; noise reaches" in told
    row = next(line for line in told.splitlines() if line.startswith("mig"))
    assert row.split()[1] == f"{found['python']:.3f}"
    assert "sap" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["codes.npz", "factors.npz"]
