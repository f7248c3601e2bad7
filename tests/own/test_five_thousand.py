"""Done when: 5,000 pictures, in less than ten minutes on two processors, give a code that tells positions."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_score

from unweave import own
from unweave.run import load

from .pictures import sprites

SOURCE = str(Path(own.__file__).resolve().parents[2])
COUNT = 5000


@pytest.mark.slow
def test_five_thousand_sprites(tmp_path: Path) -> None:
    levels = sprites(tmp_path / "photos", COUNT)
    words = [sys.executable, "-m", "unweave", "fit", str(tmp_path / "photos"), "--out", str(tmp_path / "out"), "--json"]
    environment = {**os.environ, "PYTHONPATH": SOURCE}

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)

    begin = time.monotonic()
    first = start()
    time.sleep(120)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    document = json.loads(start().communicate()[0])
    seconds = time.monotonic() - begin
    with Path(document["codes"]).open(newline="", encoding="utf-8") as text:
        head, *lines = csv.reader(text)
    assert len(lines) == COUNT and head[0] == "path"
    z = np.array([[float(value) for value in line[1:]] for line in lines])
    assert np.allclose(z, load(Path(document["model"])).codes(None).mean, rtol=1e-4, atol=1e-4)
    y = np.array([levels[line[0]] for line in lines])
    order = np.random.default_rng(0).permutation(COUNT)
    names = ("shape", "scale", "orientation", "x", "y")
    told = {n: cross_val_score(LinearRegression(), z[order], y[order, f], cv=5).mean() for f, n in enumerate(names)}
    print(json.dumps({"seconds": round(seconds), "r2": told, **document}, indent=1))
    assert told["x"] > 0.9 and told["y"] > 0.9
    assert "traversal" in Path(document["page"]).read_text(encoding="utf-8").lower()
