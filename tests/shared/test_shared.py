"""A shared model: what is needed to use it and nothing else; and every kind of tampering refused in one line."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import unweave
from unweave import UserError
from unweave.data import DATASETS, Elsewhere, Folder
from unweave.data.elsewhere import portable
from unweave.engine import to_json
from unweave.engine.experiment import Experiment
from unweave.explorer import Exhibit
from unweave.methods import METHODS, BetaVAE, FactorVAE
from unweave.report import tell
from unweave.run import Run, load
from unweave.shared import CARD, CONFIG, FILES, WEIGHTS, SharedFolder, is_shared
from unweave.shared import model as module
from unweave.store import StoreError
from unweave.use import save
from use.made import photographs, small, trained


def same(a: Run, b: Run) -> bool:
    """The same weights, but for critics, and the same answers to rounding (loaded kernels may lie in another order)."""
    x, z, spare = torch.rand(4, *a.data.shape), torch.ones(2, a.model.latents), set(a.model.spare())
    others = dict(b.model.named_parameters())
    weights = all(torch.equal(p, others[name]) for name, p in a.model.named_parameters() if name not in spare)
    (mean, spread), (again, more) = a.model.encode(x), b.model.encode(x)
    pairs = [(mean, again), (a.model.decode(z), b.model.decode(z))]
    pairs += [] if spread is more is None else [(spread, more)]
    return weights and all(torch.allclose(p, q, atol=1e-5) for p, q in pairs)


def test_a_model_comes_back_with_all_that_its_folder_knew(tmp_path: Path) -> None:
    run = small(out=tmp_path / "runs")
    run.score(["mig", "reconstruction"], count=200)
    run.limits([unweave.MIG()], run.codes(200))
    exhibit = Exhibit(run, images=100)
    exhibit.summary(0)
    exhibit.name([1], "tilt")
    folder = save(run, tmp_path / "model", licence="mit")
    assert {path.name for path in folder.path.iterdir()} == set(FILES)
    assert "# beta-vae on triangle" in (folder.path / CARD).read_text(encoding="utf-8")
    limits = run.known_limits()
    shutil.rmtree(tmp_path / "runs")
    again = load(folder.path)
    assert same(run, again) and again.step == 4 and again.experiment == run.experiment and again.terms == {}
    assert again.scores["mig"].value == run.scores["mig"].value and again.known_limits() == limits != {}
    assert again.names == {"1": "tilt"}
    assert Exhibit(again, images=100).kept(0) == exhibit.summary(0)
    assert torch.equal(again.codes(50).mean, run.codes(50).mean)
    assert again.score(["sap"], count=100)["sap"] is not None and is_shared(folder.path)
    assert load(folder.path).scores.keys() == {"mig", "reconstruction", "sap"}
    twice = save(again, tmp_path / "again")
    assert (twice.path / WEIGHTS).read_bytes() == (folder.path / WEIGHTS).read_bytes()


def test_only_what_is_needed_is_kept(tmp_path: Path) -> None:
    run = small(FactorVAE(critic_hidden=64, critic_layers=2), out=tmp_path / "runs")
    folder = save(run, tmp_path / "model")
    kept = load_file(folder.path / WEIGHTS)
    assert kept.keys() == {name for name, _ in run.model.named_parameters() if not name.startswith("critics.")}
    assert same(run, load(folder.path))
    assert run.folder is not None
    whole = sum(path.stat().st_size for path in run.folder.path.iterdir())
    assert sum(path.stat().st_size for path in folder.path.iterdir()) < whole / 2


def test_a_model_of_ones_own_pictures_takes_no_path_along(tmp_path: Path) -> None:
    pictures = photographs(tmp_path / "private")
    run = small(data=Folder(pictures, size=16, fit="pad"))
    folder = save(run, tmp_path / "model")
    text = (folder.path / CONFIG).read_text() + (folder.path / CARD).read_text()
    assert "private" not in text and str(tmp_path) not in text
    shutil.rmtree(pictures)
    again = load(folder.path)
    assert again.data == Elsewhere("folder", 3, 16, 16, 5, "squared", "pad") and same(run, again)
    with pytest.raises(UserError, match=r"images that are not here \(folder, 5 of 3×16×16\); allowed: your own images"):
        again.codes()
    assert Exhibit(again).about()["rows"] == 0
    assert same(run, load(save(again, tmp_path / "third").path))


@pytest.mark.parametrize("name", DATASETS)
def test_every_data_set_is_described_without_its_files(name: str) -> None:
    data = DATASETS[name]()
    assert portable(data) == data
    assert data.spec().rows > 0


@pytest.mark.parametrize("name", METHODS)
def test_every_method_goes_there_and_back(name: str, tmp_path: Path) -> None:
    run = trained(name)
    assert same(run, load(save(run, tmp_path / "model").path))


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match=r"holds other files"):
        save(small(), tmp_path)
    with pytest.raises(UserError, match=r"is no folder"):
        save(small(), tmp_path / "thesis.tex")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_card_that_somebody_wrote_stays_and_old_extras_go(tmp_path: Path) -> None:
    run = small(out=tmp_path / "runs")
    run.score(["mig"], count=50)
    folder = save(run, tmp_path / "model")
    (folder.path / CARD).write_text("mine")
    assert folder.has("scores.json")
    save(small(latents=2), folder.path)
    assert (folder.path / CARD).read_text() == "mine" and not folder.has("scores.json")
    assert load(folder.path).model.latents == 2


@dataclass(frozen=True)
class Own(BetaVAE):
    name: ClassVar[str] = "own-vae"


def test_somebodys_own_method_has_to_be_registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "own-vae", Own)
    run = small(Own())
    folder = save(run, tmp_path / "model")
    assert same(run, load(folder.path))
    monkeypatch.delitem(METHODS, "own-vae")
    with pytest.raises(UserError) as caught:
        load(folder.path)
    told = str(caught.value)
    assert "the method 'own-vae', which is no part of unweave" in told and "unweave.METHODS['own-vae']" in told
    assert "\n" not in told


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = small(out=tmp_path_factory.mktemp("runs"))
    run.score(["mig"], count=50)
    Exhibit(run, images=50).summary(0)
    Exhibit(run, images=50).name([0], "size")
    run.limits([unweave.MIG()], run.codes(50))
    return save(run, tmp_path_factory.mktemp("honest") / "model").path


@pytest.fixture
def model(honest: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(honest, tmp_path / "model"))


def config(change: Callable[[Any], object]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        values = json.loads((folder / CONFIG).read_text())
        change(values)
        (folder / CONFIG).write_text(json.dumps(values))

    return write


def weights(change: Callable[[Any], object], sealed: bool = True) -> Callable[[Path], None]:
    """A change to the tensors, with the checksum that goes with it."""

    def write(folder: Path) -> None:
        import hashlib

        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file(tensors, folder / WEIGHTS)
        digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
        config(lambda values: values.update(sha256=digest) if sealed else None)(folder)

    return write


def extra(name: str, content: Any) -> Callable[[Path], None]:
    return lambda folder: (
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content)) and None
    )


def pickled(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(pickle.dumps({"w": np.zeros(3)}))


def torch_file(folder: Path) -> None:
    torch.save({"w": torch.zeros(3)}, folder / WEIGHTS)


def linked_out(name: str) -> Callable[[Path], None]:
    def link(folder: Path) -> None:
        outside = folder.parent / "outside"
        shutil.move(folder / name, outside)
        (folder / name).symlink_to(outside)

    return link


def pipe(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    os.mkfifo(folder / WEIGHTS)


def circle(folder: Path) -> None:
    (folder / CONFIG).unlink()
    (folder / CONFIG).symlink_to(CONFIG)


def first(tensors: dict[str, torch.Tensor]) -> str:
    return min(tensors)


def described(values: Any, **changes: Any) -> None:
    values["experiment"].update(changes)


def nested(*names: Any) -> dict[str, Any]:
    """A data set in words of a configuration, in wrappers from the outside in."""
    *wrappers, data = names
    for name in reversed(wrappers):
        data = {"name": name, "of": data, "part": "train"}
    return dict(data)


TAMPERED: dict[str, tuple[Callable[[Path], None], str]] = {
    "unknown field": (config(lambda v: v.update(run="rm -rf")), "unknown field 'run'"),
    "unknown field of the experiment": (
        config(lambda v: described(v, code="x")),
        "unknown field of an experiment 'code'",
    ),
    "unknown field of the method": (
        config(lambda v: v["experiment"]["method"].update(betta=1)),
        "unknown field of BetaVAE 'betta'",
    ),
    "another library": (config(lambda v: v.update(library="other")), "no configuration of a model of unweave"),
    "somebody else's config": (extra(CONFIG, {"architectures": ["Bert"]}), "no configuration of a model of unweave"),
    "a newer format": (
        config(lambda v: v.update(format=2)),
        "format 2; this unweave reads up to 1: install a newer one",
    ),
    "format 0": (config(lambda v: v.update(format=0)), "not written by unweave"),
    "a step that is none": (config(lambda v: v.update(step="3")), "step is of another kind"),
    "no step": (config(lambda v: v.pop("step")), "step is not given"),
    "step yes": (config(lambda v: v.update(step=True)), "step is of another kind"),
    "no experiment": (config(lambda v: v.update(experiment=[])), "experiment is of another kind"),
    "a list": (extra(CONFIG, "[]"), "holds a list, not an object"),
    "no JSON": (extra(CONFIG, "{'a'"), "damaged"),
    "NaN in JSON": (extra(CONFIG, '{"library": NaN}'), "holds NaN, which is no number"),
    "deep JSON": (extra(CONFIG, "[" * 100_000), "damaged"),
    "a large config": (extra(CONFIG, " " * (FILES[CONFIG] + 1)), "bytes; allowed"),
    "a large README": (extra("names.json", " " * (FILES["names.json"] + 1)), "bytes; allowed"),
    "missing weights": (lambda folder: (folder / WEIGHTS).unlink(), "no such file"),
    "unknown data": (config(lambda v: described(v, data={"name": "imagenet"})), "unknown data set 'imagenet'"),
    "a folder of this machine": (
        config(lambda v: described(v, data={"name": "folder", "path": "/etc"})),
        "names files of a machine",
    ),
    "a folder inside a split": (
        config(
            lambda v: described(
                v, data={"name": "split", "part": "train", "of": {"name": "folder", "path": "/etc"}, "fraction": 0.5}
            )
        ),
        "names files of a machine",
    ),
    "absurd images": (
        config(
            lambda v: described(
                v, data={"name": "elsewhere", "kind": "x", "channels": 1, "height": 2**30, "width": 4, "images": 9}
            )
        ),
        "allowed: sides of 1",
    ),
    "a name with line breaks": (
        config(
            lambda v: described(
                v, data={"name": "elsewhere", "kind": "a\nb", "channels": 1, "height": 64, "width": 64, "images": 9}
            )
        ),
        "a name that cannot be shown",
    ),
    "a key with line breaks": (config(lambda v: v.update(key="a\nb")), "not written by unweave"),
    "absurdly many images": (
        config(lambda v: described(v, data={"name": "sprites", "positions": 10**6})),
        "a data set of",
    ),
    "absurd latents": (config(lambda v: described(v, latents=10**9)), "latents = 1000000000; allowed: 1 to"),
    "latents of words": (config(lambda v: described(v, latents="many")), "latents = many"),
    "a huge layer": (
        config(lambda v: v["experiment"]["network"].update(hidden=[10**9])),
        "numbers; allowed|no model that can be built",
    ),
    "endless layers": (
        config(lambda v: v["experiment"]["network"].update(hidden=[1] * 9000)),
        "more than 10,000 tensors",
    ),
    "a wide description": (
        config(lambda v: v["experiment"]["network"].update(hidden=[1] * 40_000)),
        "longer than 65,536 letters",
    ),
    "a part of too many images": (
        config(lambda v: v["experiment"].update(data=nested("split", {"name": "sprites", "positions": 2000}))),
        "images; allowed: 4,194,304",
    ),
    "parts of parts": (
        config(lambda v: v["experiment"].update(data=nested(*["split"] * 7, {"name": "triangle"}))),
        "a part of a part, 7 times over; allowed: 6",
    ),
    "a negative layer": (config(lambda v: v["experiment"]["network"].update(hidden=[-3])), "hidden"),
    "another network": (config(lambda v: v["experiment"]["network"].update(hidden=[9])), "this model's is"),
    "another method": (
        config(lambda v: v["experiment"].update(method={"name": "betta-vae"})),
        "did you mean 'beta-vae'",
    ),
    "a pickle": (pickled, "looks like a pickle"),
    "a torch file": (torch_file, "looks like a pickle"),
    "empty weights": (lambda folder: (folder / WEIGHTS).write_bytes(b"") and None, "no safetensors file"),
    "truncated weights": (
        lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-3]) and None,
        "no safetensors file",
    ),
    "other weights": (
        weights(lambda t: t[first(t)].add_(1), sealed=False),
        "is not the file that config.json describes",
    ),
    "a shape": (weights(lambda t: t.update({first(t): torch.zeros(3, 1)})), r"has shape \(3, 1\); this model's is"),
    "a missing tensor": (weights(lambda t: t.pop(first(t))), "lacks "),
    "a tensor too many": (
        weights(lambda t: t.update(backdoor=torch.zeros(1))),
        "holds 'backdoor', which this model does",
    ),
    "NaN": (weights(lambda t: t[first(t)].fill_(float("nan"))), "not finite"),
    "infinity": (weights(lambda t: t[first(t)].view(-1)[:1].fill_(float("inf"))), "not finite"),
    "whole numbers": (weights(lambda t: t.update({first(t): t[first(t)].long()})), "holds F32, I64; allowed: F16"),
    "weights outside": (linked_out(WEIGHTS), "is a link that leaves its folder"),
    "config outside": (linked_out(CONFIG), "is a link that leaves its folder"),
    "names outside": (linked_out("names.json"), "is a link that leaves its folder"),
    "a circle of links": (circle, "cannot read|no such file"),
    "names of another form": (extra("names.json", {"names": {"0": {"$": 1}}}), "names.json is damaged"),
    "endless names": (extra("names.json", {"names": {"0": "x" * 10_000}}), "names.json is damaged"),
    "names with line breaks": (extra("names.json", {"names": {"0": "a\nb"}}), "names.json is damaged"),
    "scores of another form": (
        extra("scores.json", {"step": 4, "scores": {"mig": {"value": "x"}}}),
        "scores.json is damaged",
    ),
    "scores in a list": (extra("scores.json", {"step": 4, "scores": [1]}), "scores.json is damaged"),
    "limits of another form": (extra("ceilings.json", {"mig": {"floor": 1}}), "ceilings.json is damaged"),
    "ranges of another form": (extra("explorer.json", {"step": 4, "spaces": []}), "explorer.json is damaged"),
}
if hasattr(os, "mkfifo"):
    TAMPERED["a pipe"] = (pipe, "is no plain file")


@pytest.mark.parametrize("case", TAMPERED)
def test_tampering_is_refused_in_one_line(case: str, model: Path) -> None:
    tamper, told = TAMPERED[case]
    tamper(model)
    with pytest.raises(StoreError, match=told) as caught:
        load(model)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


def test_an_honest_one_is_not(model: Path) -> None:
    assert load(model).names == {"0": "size"} and load(model).step == 4


def test_a_link_inside_the_folder_is_followed(model: Path) -> None:
    shutil.move(model / WEIGHTS, model / "blob")
    (model / WEIGHTS).symlink_to("blob")
    assert load(model).step == 4


def test_ranges_that_fit_no_model_are_found_out_anew(model: Path) -> None:
    """As a damaged file of a run's own folder: what is not understood is not used."""
    (model / "explorer.json").write_text(json.dumps({"step": 4, "spaces": {"0": {"low": "x", "images": 10**9}}}))
    assert Exhibit(load(model), images=50).summary(0).images == 50


def spoiled(content: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes changed, cut out, doubled or appended."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        place, length = int(rng.integers(0, max(1, len(data)))), int(rng.integers(1, 9))
        kind = rng.integers(0, 4)
        if kind == 0:
            data[place : place + length] = rng.bytes(length)
        elif kind == 1:
            del data[place : place + length]
        elif kind == 2:
            data[place:place] = data[place : place + length]
        elif data:
            data[place % len(data)] ^= 1 << int(rng.integers(0, 8))
    return bytes(data)


def rounds(name: str) -> Iterator[int]:
    yield from range(400 if name == CONFIG else 150)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, "names.json", "scores.json", "ceilings.json", "explorer.json"])
def test_spoiled_files_are_refused_or_read(name: str, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with a file, nothing but a UserError of one line comes of it, and no other numbers."""
    rng = np.random.default_rng(0)
    content = (model / name).read_bytes()
    if name == WEIGHTS:
        # Without the checksum, so that the file itself is read.
        tensors = SharedFolder.tensors
        monkeypatch.setattr(SharedFolder, "tensors", lambda self, checksum=None: tensors(self))
        content = content[: 8 + int.from_bytes(content[:8], "little") + 200]
        rest = (model / name).read_bytes()[len(content) :]
    refused = 0
    for _ in rounds(name):
        changed = spoiled(content, rng)
        (model / name).write_bytes(changed + (rest if name == WEIGHTS else b""))
        try:
            run = load(model)
            Exhibit(run, images=20).kept(0)
        except UserError as error:
            assert "\n" not in str(error), str(error)
            refused += 1
        else:
            assert run.model.latents > 0
    assert refused > 50


def test_weights_that_are_huge_are_not_read(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unweave.shared.folder.FILES", {**FILES, WEIGHTS: 100})
    with pytest.raises(StoreError, match=r"bytes; allowed: 100"):
        load(model)


def test_a_network_of_too_many_numbers_is_not_built(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NUMBERS", 100)
    monkeypatch.setattr(module, "build", None)
    with pytest.raises(StoreError, match=r"numbers; allowed: 100"):
        load(model)


def test_the_key_of_the_run_is_told(tmp_path: Path) -> None:
    run = small()
    values = json.loads((save(run, tmp_path / "model").path / CONFIG).read_text())
    assert values["key"] == run.experiment.key == Experiment(run.experiment.method, "triangle", **_rest(run)).key
    assert values["experiment"] == json.loads(json.dumps(to_json(run.experiment)))


def _rest(run: Run) -> dict[str, Any]:
    names = ("network", "likelihood", "latents", "steps", "batch", "optimiser", "precision", "seed")
    return {name: getattr(run.experiment, name) for name in names}


def test_another_librarys_model_is_left_alone(tmp_path: Path) -> None:
    files = {"config.json": '{"model_type": "bert"}', "model.safetensors": "theirs", "scores.json": "{}"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=r"holds other files"):
        save(small(), tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == files


def test_what_a_training_leaves_is_not_read_in_a_shared_folder(model: Path) -> None:
    (model / "status.json").write_text('{"seconds_per_step": "x"}')
    (model / "environment.json").write_text('{"machine": "a stranger\'s"}')
    story = tell(load(model))
    assert "a stranger's" not in json.dumps(story.environment)


def test_a_folder_that_is_both_is_refused(model: Path) -> None:
    (model / "experiment.json").write_text("{}")
    with pytest.raises(UserError, match=r"holds a run and a shared model"):
        load(model)
