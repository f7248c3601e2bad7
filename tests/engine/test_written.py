"""Trainings of a method of one's own whose file has changed since."""

import importlib
import sys
import textwrap
import warnings

import pytest

from unweave.engine import Experiment, train
from unweave.engine.written import Rewritten, written
from unweave.job import Training
from unweave.networks import MLP
from unweave.store import RunFolder
from unweave.sweep import perform

FILE = """
from dataclasses import dataclass
from unweave.methods import BetaVAE, METHODS

def weight():
    return {0}

@dataclass(frozen=True)
class Mine(BetaVAE):
    name = "rewritten-vae"

METHODS["rewritten-vae"] = Mine
"""


@pytest.fixture
def method(tmp_path, monkeypatch):
    """Loads a text as a file of one's own and gives its class."""
    monkeypatch.syspath_prepend(str(tmp_path))
    from unweave.methods import METHODS

    def load(text):
        (tmp_path / "rewritten_vae.py").write_text(textwrap.dedent(text))
        sys.modules.pop("rewritten_vae", None)
        importlib.invalidate_caches()
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        return importlib.import_module("rewritten_vae").Mine

    yield load
    METHODS.pop("rewritten-vae", None)
    sys.modules.pop("rewritten_vae", None)


def experiment(kind, steps=4):
    return Experiment(kind(), "triangle", steps=steps, batch=4, network=MLP((8,))).complete()


def notes(work):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        list(work())
    return [str(one.message) for one in caught if issubclass(one.category, Rewritten)]


def test_another_text_is_noted_where_a_training_is_picked_up(method, tmp_path):
    out = tmp_path / "runs"
    first = experiment(method(FILE.format(1)))
    assert notes(lambda: train(first, out=out, every=2, stop=lambda: True)) == []
    assert RunFolder(out / first.key).read("environment")["code"] == written(first)
    changed = experiment(method(FILE.format(2)))
    assert changed.key == first.key and written(changed) != written(first)
    (line,) = notes(lambda: train(changed, out=out))
    assert f"{out / first.key} was trained with another text of rewritten-vae" in line and "\n" not in line
    # It went on with the new text, which is what the record now says; what is done is known by its last text.
    assert notes(lambda: train(changed, out=out)) == []
    third = experiment(method(FILE.format(3)))
    assert len(notes(lambda: train(third, out=out))) == 1
    assert notes(lambda: train(third, out=out, resume=False)) == []


def test_comments_and_layout_do_not_count(method):
    plain = written(experiment(method(FILE.format(1))))
    other = FILE.format(1).replace("return 1", "return (\n        1  # as published\n    )")
    assert set(plain) == {"rewritten-vae"} and written(experiment(method(other))) == plain


def test_a_sweep_tells_once_of_all(method, tmp_path):
    def jobs(kind):
        return [Training.of(experiment(kind, steps), measures=(), count=20) for steps in (1, 2, 3)]

    assert notes(lambda: perform(jobs(method(FILE.format(1))), tmp_path / "runs", workers=0)) == []
    (line,) = notes(lambda: perform(jobs(method(FILE.format(2))), tmp_path / "runs", workers=0))
    assert line.startswith(
        f"3 runs in {tmp_path / 'runs'} were trained with another text of rewritten-vae than there is now"
    )


def test_code_of_the_library_is_not_looked_at(tmp_path):
    one = Experiment("vae", "triangle", steps=1, batch=4, network=MLP((8,)))
    assert written(one.complete()) == {}
    list(train(one, out=tmp_path))
    assert "code" not in RunFolder(tmp_path / one.key).read("environment")


def test_a_damaged_record_does_not_stop_a_training(method, tmp_path):
    one = experiment(method(FILE.format(1)))
    list(train(one, out=tmp_path / "runs"))
    for text in ("{", "[]", '{"code": 3}', '{"code": null}'):
        (tmp_path / "runs" / one.key / "environment.json").write_text(text)
        assert notes(lambda: train(one, out=tmp_path / "runs")) == []
