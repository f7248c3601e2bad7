"""The correlated triangle: labels, pictures, noise."""

import hashlib
import math

import numpy as np
import pytest
import torch

from unweave.data import Triangle
from unweave.data.triangle import rotate
from unweave.types import UserError

ROWS = torch.arange(1024)


def author_class(x, y):
    """Orientation 0..32 of a position, straight from the description, with exact borders between classes."""
    theta = math.atan2(y - 16, x - 16) * 180 / math.pi + 180
    return sum(theta >= border - 1e-9 for border in [11.25 * k for k in range(33)]) - 1


@pytest.mark.parametrize("author_labels", [False, True])
def test_levels(author_labels, device):
    triangle = Triangle(author_labels=author_labels)
    images = triangle.open(device=device)
    levels = images.levels(ROWS.to(device)).cpu()
    expected = [[author_class(x, y) % (33 if author_labels else 32), x, y] for x in range(32) for y in range(32)]
    assert levels.tolist() == expected
    assert triangle.factors.sizes == (33 if author_labels else 32, 32, 32)
    assert triangle.rows == images.rows == 1024 < triangle.factors.count
    assert images.levels(torch.tensor([16 * 32 + 16], device=device))[0, 0] == 16  # θ = 180° at the very middle


def test_the_last_class_of_the_authors_is_the_first():
    plain, authors = Triangle().open(), Triangle(author_labels=True).open()
    ours, theirs = plain.levels(ROWS)[:, 0], authors.levels(ROWS)[:, 0]
    assert torch.equal(theirs % 32, ours)
    last = ROWS[theirs == 32]
    assert last.tolist() == [32 * x + 16 for x in range(16)]  # y = 16, x < 16: θ = 360°
    assert torch.equal(plain.batch(ROWS, {}), authors.batch(ROWS, {}))


def test_pictures_are_unique_grey_and_fixed(device):
    pixels = Triangle().open(device=device).batch(ROWS.to(device), {}).cpu()
    assert pixels.shape == (1024, 1, 64, 64) and pixels.dtype == torch.float32
    assert len(pixels.flatten(1).unique(dim=0)) == 1024
    assert pixels.min() == 0 and pixels.max() == 1 and ((pixels > 0) & (pixels < 1)).any()
    digest = hashlib.sha256((pixels * 255).round().to(torch.uint8).numpy().tobytes()).hexdigest()
    assert digest == "78c698a930b2660a8b6c591c7046f4f3910b9fcad4037d8b198303addd6ddd65"


def test_apex_points_to_the_middle():
    images = Triangle().open()
    pixels = images.batch(ROWS, {})[:, 0].double()
    _, x, y = images.levels(ROWS).T
    middle = torch.stack([15.0 + x, 15.0 + y], dim=1)  # of the triangle's box: row, column
    grid = torch.arange(64.0, dtype=torch.float64)
    mass = pixels.sum((1, 2))
    centroid = torch.stack([(pixels.sum(2) @ grid) / mass, (pixels.sum(1) @ grid) / mass], dim=1)
    apex = middle - centroid  # the broad side is heavy, the apex lies opposite
    inward = torch.tensor([31.0, 31.0]) - middle
    away = inward.norm(dim=1) > 0
    cosine = torch.nn.functional.cosine_similarity(apex[away], inward[away], dim=1)
    # An orientation is up to one class of 11.25° behind the exact direction; the rest is the pixel grid.
    assert cosine.min() >= math.cos(math.radians(11.25 + 4)) and cosine.mean() > 0.99


def test_the_drawn_direction_is_within_a_class_of_the_exact_one():
    """The label, 11.25° a class, against the direction of the middle: cos 11.25° > .98 everywhere but in the middle."""
    theta, x, y = Triangle().open().levels(ROWS).double().T
    middle = torch.stack([16 - x, 16 - y], dim=1)
    away = middle.norm(dim=1) > 0
    angle = torch.deg2rad(11.25 * theta)
    drawn = torch.stack([torch.cos(angle), torch.sin(angle)], dim=1)[away]
    cosine = torch.nn.functional.cosine_similarity(drawn, middle[away], dim=1)
    assert cosine.min() >= 0.98


def test_box_of_each_position():
    pixels = Triangle().open().batch(ROWS, {})
    for row in (0, 31, 992, 1023, 528):
        x, y = divmod(row, 32)
        outside = pixels[row, 0].clone()
        outside[10 + x : 21 + x, 10 + y : 21 + y] = 0
        assert not outside.any() and pixels[row].sum() > 30


def test_rotation_by_quarter_turns_is_exact():
    picture = torch.rand(11, 11, generator=torch.Generator().manual_seed(0))
    turned = rotate(picture, torch.tensor([0.0, 90.0, 180.0, 270.0, -90.0]))
    for k, quarter in enumerate([0, 1, 2, 3, 3]):
        assert torch.equal(turned[k], torch.rot90(picture, quarter))  # rot90 turns counter-clockwise


def test_rotation_is_bilinear():
    """Against a direct bilinear interpolation in loops; places differ by at most 1/64 pixel."""
    picture = torch.rand(11, 11, generator=torch.Generator().manual_seed(0)).double()
    framed = np.zeros((33, 33))
    framed[11:22, 11:22] = picture.numpy()
    angle = 37.5
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    expected = np.zeros((11, 11))
    for row in range(11):
        for column in range(11):
            u = cos * (column - 5) - sin * (row - 5) + 16
            v = sin * (column - 5) + cos * (row - 5) + 16
            i, j = math.floor(v), math.floor(u)
            f, g = v - i, u - j
            expected[row, column] = (1 - f) * ((1 - g) * framed[i, j] + g * framed[i, j + 1])
            expected[row, column] += f * ((1 - g) * framed[i + 1, j] + g * framed[i + 1, j + 1])
    got = rotate(picture, torch.tensor([angle]))[0].numpy()
    assert np.abs(got - expected).max() < 2 / 64 + 2 / 1024
    assert np.abs(got - expected).mean() < 0.01


def test_index_knows_which_combinations_exist(device):
    images = Triangle().open(device=device)
    levels = images.levels(ROWS.to(device))
    assert torch.equal(images.index(levels).cpu(), ROWS)
    with pytest.raises(UserError, match=r"no image has {'orientation': 5, 'pos_x': 0, 'pos_y': 0}: only 1024 of 32768"):
        images.index(torch.tensor([[4, 0, 0], [5, 0, 0]], device=device))
    with pytest.raises(UserError, match="leave the factors"):
        images.index(torch.tensor([[32, 0, 0]], device=device))


def test_angle_noise_is_a_function_of_the_draws(device):
    images = Triangle(angle_noise=30.0).open(device=device)
    rows = torch.arange(0, 1024, 8, device=device)
    wanted = images.noise(len(rows))
    assert list(wanted) == ["angle"] and wanted["angle"].shape == (128,) and wanted["angle"].kind == "normal"
    angle = torch.randn(128, generator=torch.Generator().manual_seed(0)).to(device)
    first = images.batch(rows, {"angle": angle})
    assert torch.equal(images.batch(rows, {"angle": angle}), first)
    assert torch.equal(images.batch(rows[5:9], {"angle": angle[5:9]}), first[5:9])  # each row by its own number
    assert not torch.equal(images.batch(rows, {"angle": -angle}), first)
    exact = Triangle().open(device=device)
    assert torch.equal(images.batch(rows, {"angle": 0 * angle}), exact.batch(rows, {}))
    assert torch.equal(images.levels(rows), exact.levels(rows))


def test_angle_noise_is_in_degrees():
    noisy, exact = Triangle(angle_noise=22.5).open(), Triangle().open()
    row = torch.tensor([16 * 32])  # y = 0, x = 16: class 8; one deviation is two classes
    turned = noisy.batch(row, {"angle": torch.tensor([1.0])})[0, 0, 26:37, 10:21]
    like = ROWS[exact.levels(ROWS)[:, 0] == 10][:1]
    x, y = divmod(int(like), 32)
    assert torch.equal(turned, exact.batch(like, {})[0, 0, 10 + x : 21 + x, 10 + y : 21 + y])


def test_bad_noise():
    for value in (-1.0, math.inf, math.nan):
        with pytest.raises(UserError, match="angle_noise"):
            Triangle(angle_noise=value).open()
    with pytest.raises(UserError, match="standard normal"):
        Triangle(angle_noise=1.0).open().batch(ROWS, {})
