"""The estimator: scikit-learn's own checks, every form of images, the same bits for the same seed."""

from __future__ import annotations

import gc
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator

import unweave
from unweave import BetaVAE, DeVAE, InMemory, Unweaver
from unweave.explorer import Exhibit
from unweave.job import Training

TINY = {"latents": 2, "steps": 6, "batch": 8, "network": unweave.MLP((8,))}
NOT_APPLICABLE: dict[str, str] = {}
"""Checks of scikit-learn that images cannot pass, and why: none. They hand over tables of any real numbers, so they are
run with ``pixel_range='data'``, each row an image of one line; in float64, as some ask for codes that agree to 1e-9."""


def checks() -> list[Any]:
    with warnings.catch_warnings():
        # The one thing that is said: it is no BaseEstimator, as importing unweave must not import scikit-learn.
        warnings.filterwarnings("ignore", ".*does not inherit from", UserWarning)
        model = Unweaver(**TINY, pixel_range="data", precision="float64")
        return list(estimator_checks_generator(model, expected_failed_checks=NOT_APPLICABLE, mark="xfail"))


def name(check: Any) -> str | None:
    return (
        check.func.func.__name__
        if hasattr(check, "func") and hasattr(check.func, "func")
        else getattr(getattr(check, "func", None), "__name__", None)
    )


@pytest.mark.parametrize("model, check", checks(), ids=name)
def test_what_scikit_learn_asks_of_every_estimator(model: Unweaver, check: Callable[[Unweaver], object]) -> None:
    check(model)


def test_it_checks_much() -> None:
    assert len(checks()) > 40


@pytest.fixture
def images() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (30, 12, 10), dtype=np.uint8)


def codes(given: Any, **more: Any) -> NDArray[Any]:
    found = Unweaver(**{**TINY, **more}).fit_transform(given)
    assert isinstance(found, np.ndarray)
    return found


def test_forms_of_the_same_images_give_the_same_bits(images: NDArray[np.uint8], tmp_path: Path) -> None:
    wanted = codes(images)
    assert wanted.shape == (30, 2) and wanted.dtype == np.float32
    forms = [
        images[..., None],
        images[:, None],
        images / 255,
        (images / 255).astype(np.float32),
        images.astype(int),
        torch.from_numpy(images),
        torch.from_numpy(images)[:, None] / 255,
        InMemory.of(images),
        images.tolist(),
    ]
    for form in forms:
        assert np.array_equal(codes(form), wanted)
    assert np.array_equal(codes(images.reshape(30, -1), image_shape=(12, 10)), wanted)
    np.save(tmp_path / "x.npy", images)
    assert np.array_equal(codes(str(tmp_path / "x.npy")), wanted)


def test_colours_and_a_folder(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
    for place, one in enumerate(pixels):
        Image.fromarray(one).save(tmp_path / f"{place:02}.png")
    model = Unweaver(**TINY).fit(tmp_path)
    assert model.image_shape_ == (16, 16, 3)
    assert np.array_equal(model.transform(tmp_path), model.transform(pixels))
    back = model.inverse_transform(model.transform(pixels[:4]))
    assert back.shape == (4, 16, 16, 3)
    first = Unweaver(**TINY).fit(np.moveaxis(pixels, -1, 1))
    assert first.inverse_transform(first.transform(pixels[:4])).shape == (4, 3, 16, 16)
    # Pictures of another size and mode are brought to those that were trained on.
    other = tmp_path / "other"
    other.mkdir()
    Image.new("L", (40, 30)).save(other / "grey.png")
    assert model.transform(other).shape == (1, 2)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(images: NDArray[np.uint8]) -> None:
    assert np.array_equal(codes(images, random_state=7), codes(images, random_state=7))
    assert not np.array_equal(codes(images, random_state=7), codes(images, random_state=8))
    state = np.random.RandomState(3)
    first = codes(images, random_state=state)
    assert not np.array_equal(first, codes(images, random_state=state))
    assert np.array_equal(first, codes(images, random_state=np.random.RandomState(3)))


def test_codes_do_not_depend_on_what_else_is_encoded(images: NDArray[np.uint8]) -> None:
    model = Unweaver(**TINY, precision="bf16").fit(images)
    alone = np.concatenate([model.transform(images[row : row + 1]) for row in range(5)])
    assert np.allclose(alone, model.transform(images)[:5], rtol=0, atol=1e-5)


def test_it_is_not_fitted_before_it_is(images: NDArray[np.uint8]) -> None:
    model = Unweaver(**TINY)
    for ask in (model.transform, model.score, model.inverse_transform):
        with pytest.raises(NotFittedError):
            ask(images)
    with pytest.raises(NotFittedError):
        model.get_feature_names_out()
    with pytest.raises(NotFittedError):
        model.save("nowhere")


def test_params_clone_and_repr() -> None:
    model = Unweaver(BetaVAE(beta=2.0), latents=3, network=unweave.MLP((8,)))
    again = clone(model)
    assert again is not model and again.get_params() == model.get_params()
    assert again.set_params(latents=4).latents == 4
    assert repr(Unweaver(latents=3, steps=5)) == "Unweaver(latents=3, steps=5)"
    with pytest.raises(ValueError, match="did you mean 'latents'"):
        model.set_params(latent=3)


def test_it_works_in_a_pipeline_and_in_a_search(images: NDArray[np.uint8]) -> None:
    y = images.mean((1, 2))
    pipe = make_pipeline(Unweaver(**TINY), Ridge()).fit(images, y)
    assert pipe.predict(images).shape == (30,)
    assert pipe[:-1].get_feature_names_out().tolist() == ["z0", "z1"]
    assert "Unweaver" in repr(pipe)
    search = GridSearchCV(Unweaver(**TINY), {"method": [BetaVAE(1.0), DeVAE()], "latents": [1, 2]}, cv=2)
    search.fit(images)
    assert len(search.cv_results_["params"]) == 4 and np.isfinite(search.best_score_)


def test_pandas_comes_out_where_it_is_asked_for(images: NDArray[np.uint8]) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(images.reshape(30, -1), index=range(100, 130))
    table.columns = [f"pixel {place}" for place in range(120)]
    pipe = make_pipeline(Unweaver(**TINY, image_shape=(12, 10))).set_output(transform="pandas")
    found = clone(pipe).fit(table).transform(table)
    assert found.columns.tolist() == ["z0", "z1"] and found.index[0] == 100
    with pytest.raises(ValueError, match="allowed: default, pandas"):
        Unweaver().set_output(transform="feathers")  # type: ignore[arg-type]


def test_longer_training_scores_higher_on_images_that_were_held_out() -> None:
    triangle = unweave.Triangle()
    train, test = unweave.Split(triangle), unweave.Split(triangle, "test")
    scores = [
        Unweaver(BetaVAE(1.0), latents=4, steps=steps, network=unweave.MLP((64,))).fit(train).score(test)
        for steps in (1, 200)
    ]
    assert scores[0] < scores[1] < 0


def test_pressures_are_those_that_the_images_ask_for() -> None:
    found = {}
    for method in ("devae", "deft", "beta-vae"):
        model = Unweaver(method, latents=4, steps=4, network=unweave.MLP((8,))).fit("triangle")
        found[method] = model.method_
    assert found["devae"] != DeVAE() and found["devae"].betas[0] == 1.0
    assert found["deft"].stage_steps * len(found["deft"].betas) <= 4
    falling = found["beta-vae"]
    assert (falling.schedule, falling.anneal_steps) == ("exp", 4) and falling.beta > falling.end > 1
    same = Unweaver(BetaVAE(), steps=2, network=unweave.MLP((8,))).fit("triangle")
    assert same.method_ == BetaVAE()


def test_ranges_of_pixels(images: NDArray[np.uint8]) -> None:
    real = 300.0 * images - 5000
    model = Unweaver(**TINY, pixel_range="data").fit(real)
    assert model.pixel_range_ == (real.min(), real.max())
    assert np.array_equal(model.transform(real), model.transform(real))
    back = model.inverse_transform(model.transform(real))
    assert real.min() <= back.min() and back.max() <= real.max() and back.max() > 300
    assert np.array_equal(codes(real, pixel_range=(-5000, 300 * 255 - 5000)), codes(images))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int64, np.float32])
def test_zeros_and_ones_are_black_and_white_where_the_numbers_decide(images: NDArray[np.uint8], kind: Any) -> None:
    masks = (images > images.mean()).astype(kind)
    model = Unweaver(**TINY, pixel_range="data").fit(masks)
    assert model.pixel_range_ == (0.0, 1.0) and model.run_.images.batch(torch.arange(9), {}).unique().tolist() == [0, 1]
    assert model.inverse_transform(model.transform(masks)).max() <= 1
    assert np.array_equal(model.transform(masks), model.transform(masks * 3)), "what is beyond the ends is cut off"


def test_pictures_of_a_folder_are_read_by_a_model_of_arrays(tmp_path: Path) -> None:
    squares = np.random.default_rng(0).integers(0, 256, (9, 12, 12), dtype=np.uint8)
    model = Unweaver(**TINY).fit(squares)
    for place, image in enumerate(squares[:3]):
        Image.fromarray(image).save(tmp_path / f"{place}.png")
    assert model.transform(tmp_path).shape == (3, model.transform(squares).shape[1])
    assert "memory" in Training.of(model.run_.experiment).kind


def test_images_that_are_nearly_black_are_noted(images: NDArray[np.uint8]) -> None:
    with pytest.warns(UserWarning, match="brightest pixel of 30 images is 1 of 255.*stretched"):
        Unweaver(**TINY).fit((images > images.mean()).astype(np.uint8)[:30])


def test_it_is_saved_as_a_run(images: NDArray[np.uint8], tmp_path: Path) -> None:
    model = Unweaver(**TINY, precision="float32").fit(images)
    run = unweave.load(model.save(tmp_path / "model"))
    x = torch.from_numpy(images)[:, None] / 255
    assert np.array_equal(run.model.encode(x).mean.detach().numpy(), model.transform(images))
    assert run.terms["total"] == pytest.approx(model.run_.terms["total"], rel=1e-6)
    del model, run
    gc.collect()
    # In another program the images are gone: the model can be played with all the same.
    alone = unweave.load(tmp_path / "model")
    with pytest.raises(unweave.UserError, match="were in the memory of the program"):
        alone.codes(10)
    shown = Exhibit(alone)
    assert "were in the memory of the program" in shown.space(0)["trouble"]
    assert shown.decode([[0.0, 0.0]], 0).shape == (1, 12, 10, 1)


def test_a_pickle_has_the_model_and_not_the_images(images: NDArray[np.uint8]) -> None:
    many = np.tile(images, (50, 1, 1))
    model = Unweaver(**TINY).fit(many)
    content = pickle.dumps(model)
    assert len(content) < many.nbytes
    assert np.array_equal(pickle.loads(content).transform(images), model.transform(images))


def test_a_training_goes_on_in_a_folder(images: NDArray[np.uint8], tmp_path: Path) -> None:
    first = Unweaver(**TINY, out=tmp_path).fit(images)
    stamp = [path.stat().st_mtime_ns for path in tmp_path.glob("*/checkpoint.safetensors")]
    again = Unweaver(**TINY, out=tmp_path).fit(images)
    assert stamp == [path.stat().st_mtime_ns for path in tmp_path.glob("*/checkpoint.safetensors")]
    assert np.array_equal(first.transform(images), again.transform(images))


@pytest.mark.parametrize(
    "change, given, says",
    [
        ({}, np.zeros((4, 5, 5, 2)), "allowed: \\(N, H, W\\)"),
        ({}, np.full((4, 8, 8), 7.5), "pixel_range='data' takes any numbers"),
        ({}, np.full((4, 8, 8), np.nan), "NaN"),
        ({}, np.zeros((1, 8, 8)), "1 sample"),
        ({}, np.zeros((9, 8, 8)), "all 9 images are the same"),
        ({}, "no/such/folder", "no such folder"),
        ({"image_shape": 64}, np.random.default_rng(0).random((5, 64)), "image_shape = 64; allowed: "),
        ({}, np.random.default_rng(0).random((5, 1, 2, 2, 2)), "images with 5 axes; allowed: "),
        ({"image_shape": (3, 3)}, np.random.default_rng(0).random((5, 8)), "whose product they are"),
        ({"image_shape": (3, 4, 4)}, np.random.default_rng(0).random((5, 48)), "channels come last and are 1 or 3"),
        ({"pixel_range": 3}, np.random.default_rng(0).random((5, 8)), "two numbers, or 'data'"),
        ({"pixel_range": (1, 0)}, np.random.default_rng(0).random((5, 8)), "a lower end below the upper one"),
        ({"method": "devea"}, np.random.default_rng(0).random((5, 8)), "did you mean 'devae'"),
        ({"latents": 0}, np.random.default_rng(0).random((5, 8)), "latents = 0"),
        ({"likelihood": "gauss"}, np.random.default_rng(0).random((5, 8)), "likelihood"),
        ({"random_state": -1}, np.random.default_rng(0).random((5, 8)), "seed = -1"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(change: dict[str, Any], given: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Unweaver(**{**TINY, **change}).fit(given)


def test_other_images_than_those_trained_on_are_refused(images: NDArray[np.uint8]) -> None:
    model = Unweaver(**TINY).fit(images)
    with pytest.raises(unweave.UserError, match="1×12×10, as trained on"):
        model.transform(images[:, :8])
    with pytest.raises(unweave.UserError, match="codes of 3 latents; allowed: 2"):
        model.inverse_transform(np.zeros((4, 3)))


def test_images_come_back_in_the_range_they_were_given_in(images: NDArray[np.uint8]) -> None:
    for given, white in ((images, 255), (images.astype(np.uint16) * 257, 65535), (images / 255, 1.0)):
        model = Unweaver(**TINY).fit(given)
        back = model.inverse_transform(model.transform(given))
        assert model.pixel_range_ == (0.0, white)
        assert abs(back.mean() - given.mean()) < white / 4 and 0 <= back.min() <= back.max() <= white
    model = Unweaver(**TINY).fit(images)
    assert np.array_equal(model.transform(images / 255), model.transform(images)), "each by its own kind"


def test_what_was_known_of_another_model_is_forgotten(images: NDArray[np.uint8], tmp_path: Path) -> None:
    first = unweave.load(Unweaver(**TINY).fit(images).save(tmp_path / "model"))
    assert first.folder is not None
    first.folder.write("names", {"names": {"0": "smile"}})
    first.folder.write("scores", {"step": first.step, "scores": {}})
    Unweaver(**TINY).fit(images).save(tmp_path / "model")
    assert unweave.load(tmp_path / "model").names == {"0": "smile"}, "the same model keeps its names"
    Unweaver(**TINY, random_state=1).fit(images).save(tmp_path / "model")
    assert unweave.load(tmp_path / "model").names == {} and not first.folder.read("scores")


def test_a_folder_is_transformed_as_it_was_trained_on(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for place in range(6):
        Image.fromarray(rng.integers(0, 256, (16, 40), np.uint8)).save(tmp_path / f"{place}.png")
    model = Unweaver(**TINY).fit(f"{tmp_path}:fit=pad")
    assert np.array_equal(model.transform(tmp_path), model.transform(f"{tmp_path}:fit=pad"))


def test_ranges_and_kinds_that_numpy_has_no_word_for(images: NDArray[np.uint8]) -> None:
    range_ = np.array([0.0, 255.0])
    assert np.array_equal(codes(images.astype(float), pixel_range=range_), codes(images))
    assert codes(torch.from_numpy(images / 255).bfloat16()).shape == (len(images), 2)
