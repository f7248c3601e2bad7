"""Trainings of a method of one's own whose file has changed since."""

import importlib
import os
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import pytest

import unweave
from unweave.engine import Experiment, train
from unweave.engine.written import Rewritten, _differ, _told, written
from unweave.job import Training
from unweave.networks import MLP
from unweave.run import fit
from unweave.store import RunFolder
from unweave.sweep import perform

SOURCE = Path(unweave.__file__).parents[1]
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

PROGRAM = """
from dataclasses import dataclass
from unweave import MLP, Experiment
from unweave.job import Training
from unweave.methods import METHODS, BetaVAE
from unweave.sweep import perform

@dataclass(frozen=True)
class Mine(BetaVAE):
    name = "mine"

METHODS["mine"] = Mine

def run():
    one = Experiment(Mine(), "triangle", steps=2, batch=4, network=MLP((8,)))
    (result,) = perform([Training.of(one, measures=(), count=20)], {out!r}, workers=1, device="cpu")
    print(result.failed or "done")

if __name__ == "__main__":
    run()
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
    # It went on with the new text: the record has both, and a process says it once.
    before, after = (written(one)["rewritten-vae"] for one in (first, changed))
    assert RunFolder(out / first.key).read("environment")["code"] == {"rewritten-vae": f"{before}+{after}"}
    assert notes(lambda: train(changed, out=out)) == []
    third = experiment(method(FILE.format(3)))
    assert len(notes(lambda: train(third, out=out))) == 1
    assert notes(lambda: train(third, out=out, resume=False)) == []
    assert RunFolder(out / first.key).read("environment")["code"] == written(third)


def test_comments_layout_and_descriptions_do_not_count(method):
    plain = written(experiment(method(FILE.format(1))))
    other = FILE.format(1).replace("return 1", '"""As published."""\n    return (\n        1  # nat\n    )')
    assert set(plain) == {"rewritten-vae"} and written(experiment(method(other))) == plain


def test_another_version_of_python_says_nothing(method, tmp_path):
    one = experiment(method(FILE.format(1)))
    list(train(one, out=tmp_path / "runs"))
    folder = RunFolder(tmp_path / "runs" / one.key)
    record = folder.read("environment")
    folder.write("environment", record | {"code": {"rewritten-vae": "other"}, "versions": {"python": "3.9.1"}})
    assert notes(lambda: train(one, out=tmp_path / "runs")) == []
    folder.write("environment", record | {"code": {"rewritten-vae": "other"}})
    assert len(notes(lambda: train(one, out=tmp_path / "runs"))) == 1


def test_a_program_and_its_workers_know_a_method_by_one_text(tmp_path):
    program = tmp_path / "study.py"
    program.write_text(PROGRAM.format(out=str(tmp_path / "runs")))
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    later = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import study; study.run()"
    for words in ([str(program)], [str(program)], ["-c", later]):
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, timeout=300)
        assert done.returncode == 0 and done.stdout == "done\n" and "another text" not in done.stderr, done.stderr


def test_what_one_hash_does_not_tell_is_not_compared():
    assert not _differ(None, "a.b") and not _differ("a", "a.b") and not _differ("a.b", "a")
    assert _differ("c", "a.b") and _differ("a.c", "a.b") and _differ("a.b+a.c", "a.c")


def test_two_texts_of_one_training_stay_noted(method, tmp_path):
    out = tmp_path / "runs"
    list(train(experiment(method(FILE.format(1))), out=out, every=2, stop=lambda: True))
    changed = experiment(method(FILE.format(2)))
    assert len(notes(lambda: train(changed, out=out))) == 1
    _told.clear()  # as in another process
    assert len(notes(lambda: train(changed, out=out))) == 1


def test_models_that_are_not_begun_keep_their_scores(tmp_path):
    many = [Experiment("vae", "triangle", steps=2, batch=4, network=MLP((8,)), seed=seed) for seed in (0, 1)]
    for one in many:
        fit(one, out=tmp_path).score(["mig"], count=50)
    list(train(many, out=tmp_path, resume=False, stop=lambda: True))
    kept = [bool(RunFolder(tmp_path / one.key).read("scores")) for one in many]
    assert sorted(kept) == [False, True]


def test_a_training_begun_afresh_keeps_no_scores(tmp_path):
    one = Experiment("vae", "triangle", steps=2, batch=4, network=MLP((8,)))
    fit(one, out=tmp_path).score(["mig"], count=50)
    folder = RunFolder(tmp_path / one.key)
    assert folder.read("scores")
    list(train(one, out=tmp_path))
    assert folder.read("scores")
    list(train(one, out=tmp_path, resume=False))
    assert not folder.read("scores")


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
