"""Push and pull, through Hugging Face's own library, to a Hub on this machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from unweave import UserError
from unweave.cli import main
from unweave.run import Run, load
from unweave.shared import CARD, CONFIG, FILES, WEIGHTS
from unweave.use import pull, push, save
from use.made import small
from use.standin import TOKEN, Hub, serving

pytest.importorskip("huggingface_hub")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    with serving() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.address)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        # Xet is another protocol, of a service of its own; the stand-in speaks the plain one.
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        yield found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    found = small(out=tmp_path_factory.mktemp("runs"))
    found.score(["mig"], count=50)
    return found


def test_a_model_goes_there_and_back(hub: Hub, run: Run, tmp_path: Path) -> None:
    sent = push(run, "me/tilt", licence="mit")
    assert sent.files == (CONFIG, WEIGHTS, CARD, "scores.json") and sent.address == f"{hub.address}/me/tilt"
    assert sent.commit == hub.branches["me/tilt"]["main"]
    card = hub.files("me/tilt", "main")
    assert card is not None and b"license: mit" in card[1][CARD] and b"unweave pull" in card[1][CARD]
    found = pull("me/tilt", tmp_path / "here")
    assert found == (tmp_path / "here", sent.commit)
    assert {path.name for path in found.folder.iterdir()} == set(sent.files), "nothing else is fetched or left"
    again = load(found.folder)
    assert all(torch.equal(a, b) for a, b in zip(run.model.parameters(), again.model.parameters(), strict=True))
    assert again.scores["mig"].value == run.scores["mig"].value


def test_a_revision_is_pinned(hub: Hub, run: Run, tmp_path: Path) -> None:
    first = push(run, "me/tilt").commit
    second = push(small(latents=2), "me/tilt").commit
    assert load(pull("me/tilt", tmp_path / "new").folder).model.latents == 2
    assert load(pull("me/tilt", tmp_path / "old", revision=first).folder).model.latents == 3
    assert pull("me/tilt", tmp_path / "old", revision=second).commit == second, "a model may be replaced by another"
    assert not (tmp_path / "old" / "scores.json").exists(), "scores of the model before are gone, here and there"
    with pytest.raises(UserError, match=r"me/tilt has no revision 'v2'; allowed: a commit, a tag or a branch"):
        pull("me/tilt", tmp_path / "none", revision="v2")
    assert not (tmp_path / "none").exists()


def test_a_card_on_the_hub_is_left_as_it_is(hub: Hub, run: Run) -> None:
    push(run, "me/tilt")
    hub.commit("me/tilt", {CARD: b"mine"})
    assert CARD not in push(run, "me/tilt").files
    found = hub.files("me/tilt", "main")
    assert found is not None and found[1][CARD] == b"mine"


def test_a_shared_folder_is_sent_as_it_is(hub: Hub, run: Run, tmp_path: Path) -> None:
    folder = save(run, tmp_path / "model").path
    (folder / CARD).write_text("---\nlicense: cc0-1.0\n---\nmine")
    (folder / "secret.txt").write_text("password")
    assert "secret.txt" not in push(folder, "me/tilt", private=True).files
    found = hub.files("me/tilt", "main")
    assert found is not None and found[1][CARD].endswith(b"mine") and "secret.txt" not in found[1]
    assert hub.private == {"me/tilt"}
    (folder / WEIGHTS).write_bytes(b"broken")
    with pytest.raises(UserError, match=r"no safetensors file"):
        push(folder, "me/other")
    assert "me/other" not in hub.repositories


def test_a_shared_model_is_sent_with_the_licence_that_is_named(hub: Hub, run: Run, tmp_path: Path) -> None:
    folder = save(run, tmp_path / "model").path
    with pytest.raises(UserError, match="licence 'My Own'; allowed: an identifier"):
        push(folder, "me/tilt", licence="My Own")
    assert "me/tilt" not in hub.repositories
    push(folder, "me/tilt", licence="apache-2.0")
    found = hub.files("me/tilt", "main")
    assert found is not None and found[1][CARD].splitlines()[1:3] == [b"library_name: unweave", b"license: apache-2.0"]
    assert b"license" not in (folder / CARD).read_bytes()


def test_other_files_of_a_repository_are_never_fetched(hub: Hub, run: Run, tmp_path: Path) -> None:
    push(run, "me/tilt")
    hub.commit("me/tilt", {"pytorch_model.bin": b"\x80\x04", "setup.py": b"import os", "a/config.json": b"{}"})
    found = pull("me/tilt", tmp_path / "here")
    assert {path.name for path in found.folder.iterdir()} <= set(FILES)
    assert not [line for line in hub.asked if "pytorch_model" in line or "setup.py" in line]


def test_what_is_refused_leaves_nothing_behind(hub: Hub, run: Run, tmp_path: Path) -> None:
    push(run, "me/tilt")
    honest = hub.files("me/tilt", "main")
    assert honest is not None
    bad: dict[str, tuple[dict[str, bytes], str]] = {
        "a pickle": ({WEIGHTS: b"\x80\x04\x95"}, "looks like a pickle"),
        "a field": ({CONFIG: honest[1][CONFIG].replace(b'"step"', b'"stop"')}, "unknown field 'stop'"),
        "names": ({"names.json": b'{"names": {"0": 1}}'}, "names.json is damaged"),
    }
    for files, told in bad.values():
        hub.commit("me/tilt", {**honest[1], **files})
        with pytest.raises(UserError, match=told):
            pull("me/tilt", tmp_path / "here")
        assert not (tmp_path / "here").exists()
    hub.create("me/other", {"model.bin": b""})
    with pytest.raises(UserError, match=r"has no config.json and no model.safetensors: it is no shared model"):
        pull("me/other", tmp_path / "here")
    hub.commit("me/tilt", honest[1])
    hub.lie[WEIGHTS] = FILES[WEIGHTS] + 1
    with pytest.raises(UserError, match=r"model.safetensors has 2147483649 bytes; allowed: 2,147,483,648"):
        pull("me/tilt", tmp_path / "here")
    assert not [line for line in hub.asked if line.startswith("GET") and WEIGHTS in line][len(bad) :]


def test_a_file_longer_than_was_told_is_refused(
    hub: Hub, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(run, "me/tilt")
    hub.lie["scores.json"] = 5
    monkeypatch.setattr("unweave.shared.folder.FILES", {**FILES, "scores.json": 10})
    with pytest.raises(UserError, match=r"scores.json has [\d,]+ bytes; allowed: 10"):
        pull("me/tilt", tmp_path / "here")


def test_a_folder_that_holds_something_else_is_left_alone(hub: Hub, run: Run, tmp_path: Path) -> None:
    push(run, "me/tilt")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "thesis.tex").write_text("years")
    asked = len(hub.asked)
    with pytest.raises(UserError, match=r"holds other files"):
        pull("me/tilt", tmp_path / "here")
    assert len(hub.asked) == asked


def test_refusals_are_one_line(hub: Hub, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    push(run, "me/tilt", private=True)
    with pytest.raises(
        UserError, match=r"the Hub has no model me/tlit, or you may not see it; who you are: hf auth login"
    ):
        pull("me/tlit", tmp_path / "x")
    for name in ("tilt", "a/b/c", "../x", "me/..", "me/ti lt", ""):
        with pytest.raises(UserError, match=r"is no name of a model; allowed: user/name"):
            pull(name)
    hub.broken = 500
    with pytest.raises(UserError, match=r"me/tilt: the Hub answers 500"):
        pull("me/tilt", tmp_path / "x")
    hub.broken = 0
    monkeypatch.setenv("HF_TOKEN", "wrong")
    for act in (lambda: push(run, "me/tilt"), lambda: pull("me/tilt", tmp_path / "x")):
        with pytest.raises(UserError) as caught:
            act()
        assert "hf auth login" in str(caught.value) and "\n" not in str(caught.value)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"me/tilt: the Hub cannot be reached"):
        pull("me/tilt", tmp_path / "x")


def test_the_verbs(
    hub: Hub, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run.folder is not None
    assert main(["push", str(run.folder.path), "me/tilt", "--licence", "mit", "--json"]) == 0
    sent = json.loads(capsys.readouterr().out)
    assert main(["pull", "me/tilt", "--revision", sent["commit"]]) == 0
    said = capsys.readouterr().out
    assert f"wrote tilt: beta-vae on triangle, 3 latents, commit {sent['commit']}" in said
    assert "next: unweave explore tilt" in said
    assert main(["push", "tilt", "me/tilt"]) == 0 and "README.md there is left as it is" in capsys.readouterr().out
    for words in (["pull"], ["push", "tilt"], ["pull", "tilt"], ["pull", "me/tlit"], ["push", "nothing", "me/x"]):
        assert main(words) == 2 and capsys.readouterr().err.count("\n") == 1


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"run: pip install huggingface_hub"):
        pull("me/tilt", tmp_path / "x")


def test_the_stand_in_stores_what_it_is_sent(hub: Hub, run: Run) -> None:
    push(run, "me/tilt")
    (kept,) = hub.objects
    assert hashlib.sha256(hub.objects[kept]).hexdigest() == kept


def test_a_runs_folder_is_sent_as_a_model(hub: Hub, tmp_path: Path) -> None:
    run = small(out=tmp_path)
    assert run.folder is not None
    assert push(run.folder.path, "me/own").files == (CONFIG, WEIGHTS, CARD)
    assert load(pull("me/own", tmp_path / "here").folder).step == run.step
