"""A run on show: its numbers are the model's own, its names are kept, and nobody else's questions matter."""

from __future__ import annotations

import dataclasses
import json
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

import unweave
from unweave import MLP, Experiment, fit
from unweave.data.in_memory import InMemory
from unweave.explorer import Exhibit
from unweave.explorer.summary import Summary, frames, summarise, units
from unweave.run import load
from unweave.store import RunFolder, StoreError
from unweave.types import Codes, UserError


def test_decode_is_the_models_own(exhibits: list[Exhibit]) -> None:
    one = exhibits[0]
    codes = np.random.default_rng(0).standard_normal((3, 4))
    for space in (0, 1):
        with torch.no_grad():
            logits = one.run.model.decode(torch.from_numpy(codes), space)
        wanted = (1 / (1 + np.exp(-logits.numpy())) * 255).round().astype(np.uint8)
        assert np.array_equal(one.decode(codes.tolist(), space), wanted.transpose(0, 2, 3, 1))
    assert not np.array_equal(one.decode(codes.tolist(), 0), one.decode(codes.tolist(), 1))


def test_rows_are_encoded_as_in_the_data_set(exhibits: list[Exhibit]) -> None:
    one = exhibits[0]
    z, image, levels = one.row(77, 1)
    with torch.no_grad():
        mean = one.run.model.encode(one.run.view(torch.tensor([77])), 1).mean[0]
    assert np.allclose(z, mean.numpy(), atol=1e-4)
    assert one.index(levels) == 77
    assert np.array_equal(image, one.pictures([77])[0])
    assert np.allclose(one.encode(image, 1), z, atol=2e-2), "the same image, in 256 shades"


def test_a_sample_depends_on_its_number_only(exhibits: list[Exhibit]) -> None:
    first, again = exhibits[0].sample(3), exhibits[0].sample(3)
    assert first == again != exhibits[0].sample(4)
    many = np.array([exhibits[0].sample(seed) for seed in range(400)])
    assert abs(many.mean()) < 0.1 and abs(many.std() - 1) < 0.1


@pytest.mark.parametrize(
    "codes",
    [
        [],
        [[0.0] * 3],
        [[float("nan")] * 4],
        [[1e9] * 4],
        [["a"] * 4],
        None,
        "codes",
        [[0.0] * 4] * 5000,
        [{}],
        [10**400],
    ],
)
def test_codes_that_are_none_are_refused(exhibits: list[Exhibit], codes: object) -> None:
    with pytest.raises(UserError, match="codes"):
        exhibits[0].decode(codes, 0)  # type: ignore[arg-type]


def test_rows_levels_and_spaces_that_are_none_are_refused(exhibits: list[Exhibit]) -> None:
    one = exhibits[0]
    for wrong in ([-1], [1024], [], [0] * 300):
        with pytest.raises(UserError, match="image"):
            one.pictures(wrong)
    for levels in ([0, 0], [32, 0, 0], [0, 0, -1]):
        with pytest.raises(UserError, match="levels"):
            one.index(levels)
    with pytest.raises(UserError, match="latent space 2"):
        one.space(2)


def test_where_no_image_has_these_levels_the_other_factors_give_way(exhibits: list[Exhibit]) -> None:
    one = exhibits[0]
    every = one.run.images.levels(torch.arange(1024)).numpy()
    levels = every[5].copy()
    levels[1] = (levels[1] + 16) % 32
    with pytest.raises(UserError, match="no image"):
        one.index(levels.tolist())
    found = every[one.index(levels.tolist(), 1)]
    assert found[1] == levels[1]
    same = every[every[:, 1] == levels[1]]
    assert np.abs(found - levels).sum() == np.abs(same - levels).sum(1).min()
    assert one.index(every[5].tolist(), 1) == 5


def test_units_are_sorted_by_information_and_named_after_the_factor() -> None:
    summary = Summary(
        kl=[2.0, 0.001, 3.0, 1.0],
        nmi=[[0.1, 0.2], [0.04, 0.9], [0.01, 0.02], [0.9, 0.1]],
        low=[-1.0, -2.0, -3.0, -4.0],
        high=[1.0, 2.0, 3.0, 4.0],
        start=[0.0] * 4,
        row=None,
        images=10,
    )
    found = units(summary, (), ["x", "y"])
    assert [unit.latents for unit in found] == [(3,), (0,), (2,), (1,)]
    assert [unit.factor for unit in found] == ["x", "y", "", "y"]
    assert [unit.alive for unit in found] == [True, True, True, False]
    blocks = units(summary, ((0, 1), (2, 3)), ["x", "y"])
    assert [(unit.latents, unit.factor, unit.kl) for unit in blocks] == [((0, 1), "y", 2.001), ((2, 3), "x", 4.0)]
    assert (blocks[1].low, blocks[1].high) == (-3.5, 3.5)


def test_without_factors_units_are_sorted_by_kl() -> None:
    summary = Summary([1.0, 3.0, 2.0], None, [-1.0] * 3, [1.0] * 3, [0.0] * 3, None, 10)
    assert [unit.latents for unit in units(summary, (), ())] == [(1,), (2,), (0,)]


def test_a_range_holds_nearly_all_codes() -> None:
    mean = torch.from_numpy(np.random.default_rng(0).standard_normal((2000, 2)) * [1.0, 0.001] + [5.0, 0.0])
    summary = summarise(Codes.of(mean, torch.zeros(2000, 1, dtype=torch.long)))
    inside = ((mean[:, 0] > summary.low[0]) & (mean[:, 0] < summary.high[0])).double().mean()
    assert 0.99 < inside <= 1 and summary.high[0] < 10
    assert (summary.low[1], summary.high[1]) == (-2.0, 2.0), "a latent that stays is moved as the report moves it"
    unit = units(summary, (), ("c",))[0]
    steps = np.diff(list(frames(unit, 9)))
    assert np.allclose(steps, (unit.high - unit.low) / 9, atol=1e-3)


def test_what_was_found_out_is_kept_and_read_again(folders: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    first = Exhibit(load(folders[0]), images=200).space(1)
    monkeypatch.setattr("unweave.explorer.exhibit.encode", lambda *_, **__: pytest.fail("encoded again"))
    assert Exhibit(load(folders[0]), images=200).space(1) == first
    assert Exhibit(load(folders[0]), images=100).space(1) == first, "more images than asked for do no harm"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda kept: (kept.update(step=1), kept["spaces"]["0"].update(low=[-9.0] * 4)),
        lambda kept: kept["spaces"]["0"].update(low=[0.0]),
        lambda kept: kept["spaces"]["0"].update(kl="many"),
        lambda kept: kept["spaces"]["0"].update(low=[float("nan")] * 4),
        lambda kept: kept["spaces"]["0"].update(nmi=[["much"] * len(one) for one in kept["spaces"]["0"]["nmi"]]),
        lambda kept: kept["spaces"]["0"].update(row=10**9),
        lambda kept: kept["spaces"]["0"].update(row=-1),
        lambda kept: kept["spaces"]["0"].update(row=None),
        lambda kept: kept["spaces"]["0"].update(low=[10**400] * 4),
        lambda kept: kept["spaces"].update({"0": ["images"]}),
        lambda kept: kept["spaces"]["0"].update(nmi=[[0.0]] * 4),
        lambda kept: kept["spaces"]["0"].update(surprise=1),
        lambda kept: kept["spaces"]["0"].update(images=10),
        lambda kept: kept.update(spaces=[]),
    ],
)
def test_what_is_kept_of_another_checkpoint_or_damaged_is_found_anew(folders: list[Path], spoil: object) -> None:
    whole = Exhibit(load(folders[0]), images=200).summary(0)
    kept = RunFolder(folders[0]).read("explorer")
    spoil(kept)  # type: ignore[operator]
    RunFolder(folders[0]).write("explorer", kept)
    assert Exhibit(load(folders[0]), images=200).summary(0) == whole


def test_names_are_kept_and_taken_away(folders: list[Path], exhibits: list[Exhibit]) -> None:
    assert exhibits[1].name([0, 1], "  where\nit is ") == {"0 1": "where it is"}
    assert exhibits[1].name([2], "size")["2"] == "size"
    assert Exhibit(load(folders[1]), images=200).names() == {"0 1": "where it is", "2": "size"}
    assert "2 · size" in exhibits[1].tables(0)
    assert exhibits[1].name([2], "") == {"0 1": "where it is"}


@pytest.mark.parametrize(
    "unit, name", [([4], "a"), ([0, 2], "a"), ([], "a"), ([0], "a" * 61), (["0"], "a"), ([0.0], "a"), ([False], "a")]
)
def test_names_that_cannot_be_given(exhibits: list[Exhibit], unit: list[int], name: str) -> None:
    with pytest.raises(UserError, match="allowed"):
        exhibits[1].name(unit, name)
    assert exhibits[1].names() == {}


def test_a_damaged_file_of_names_is_no_names(folders: list[Path], exhibits: list[Exhibit]) -> None:
    for text in ("{", "[]", '{"names": 3}', '{"names": {"0": 1}}'):
        (folders[0] / "names.json").write_text(text, encoding="utf-8")
        assert exhibits[0].names() == {}


def test_many_people_name_at_once_and_nothing_is_lost(folders: list[Path], exhibits: list[Exhibit]) -> None:
    def give(latent: int) -> None:
        for turn in range(5):
            exhibits[0].name([latent], f"name {turn}")

    threads = [threading.Thread(target=give, args=(latent,)) for latent in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = json.loads((folders[0] / "names.json").read_text(encoding="utf-8"))["names"]
    assert kept == {str(latent): "name 4" for latent in range(4)}


def test_a_folder_that_cannot_be_written_is_told(exhibits: list[Exhibit], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("cannot write here")

    monkeypatch.setattr("unweave.store.folder.RunFolder.write", refuse)
    assert exhibits[0].summary(0).images == 200, "looking goes on"
    with pytest.raises(StoreError, match="cannot write"):
        exhibits[0].name([0], "a")


def test_a_run_without_a_folder_keeps_no_names() -> None:
    run = unweave.fit("vae", "triangle", steps=1, batch=4, network=unweave.MLP((4,)), latents=2)
    with pytest.raises(UserError, match="this page only"):
        Exhibit(run, images=50).name([0], "a")


def test_without_the_data_there_is_still_the_prior(exhibits: list[Exhibit], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise UserError("no files here")

    monkeypatch.setattr("unweave.data.triangle.Triangle.open", refuse)
    one = exhibits[0]
    space = one.space(0)
    assert "no files here" in space["trouble"]
    assert len(space["units"]) == 4 and all(unit["alive"] for unit in space["units"])
    assert one.decode([one.sample(0)], 0).shape == (1, 64, 64, 1)
    assert "Nothing is known" in one.tables(0)


def test_many_pictures_are_decoded_a_few_at_a_time(exhibits: list[Exhibit], monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.random.default_rng(0).standard_normal((7, 4)).tolist()
    whole = exhibits[0].decode(codes, 0)
    monkeypatch.setattr("unweave.explorer.exhibit.MOST", 2 * 64 * 64)
    assert np.array_equal(exhibits[0].decode(codes, 0), whole)
    monkeypatch.setattr("unweave.explorer.exhibit.WHOLE", 6 * 64 * 64)
    with pytest.raises(UserError, match="allowed are 1 to 6 lists"):
        exhibits[0].decode(codes, 0)


def test_images_that_were_in_memory_are_no_rows_elsewhere() -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 12, 12), np.uint8)
    data = unweave.InMemory.of(images)
    run = unweave.fit("vae", data, steps=2, batch=4, latents=2, network=unweave.MLP((8,)))
    assert Exhibit(run).about()["rows"] == 20
    del data
    run.experiment = dataclasses.replace(run.experiment, data=dataclasses.replace(run.data, digest="gone"))
    run._images = None
    assert Exhibit(run).about()["rows"] == 0


def test_images_without_factors_start_at_one_of_them(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8), np.uint8)
    data = InMemory.of(images)
    run = fit(Experiment("vae", data, network=MLP((8,)), latents=2, steps=2, batch=4))
    for asked in (30, 12):
        exhibit = Exhibit(run, images=asked)
        found = exhibit.summary(0)
        assert found.row is not None
        assert exhibit.row(found.row, 0)[0] == pytest.approx(found.start, abs=1e-3)
