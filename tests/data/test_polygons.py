"""The rasteriser against a slow one that shares nothing with it."""

from fractions import Fraction

import numpy as np

from unweave.data.polygons import fill, pack, unpack


def inside(x: list[int], y: list[int], column: int, row: int) -> bool:
    """Even-odd rule at a pixel's centre, in exact fractions; left and bottom edges in, right and top edges out."""
    px, py, odd = 256 * column + 128, 256 * row + 128, False
    for k in range(len(x)):
        (x0, y0), (x1, y1) = (x[k - 1], y[k - 1]), (x[k], y[k])
        if (y0 < py) != (y1 < py) and px >= x0 + Fraction((py - y0) * (x1 - x0), y1 - y0):
            odd = not odd
    return odd


def test_random_polygons_pixel_for_pixel():
    rng = np.random.default_rng(0)
    # Coarse corners put many centres exactly on edges and corners; five of them make outlines that cross themselves.
    x = rng.integers(0, 9, (12, 5, 2)).astype(np.int32) * 128
    y = rng.integers(0, 9, (12, 5, 2)).astype(np.int32) * 128
    pixels = unpack(fill(x, y))
    assert pixels.sum() > 0
    for c, p, q in np.ndindex(12, 2, 2):
        xs, ys = x[c, :, p].tolist(), y[c, :, q].tolist()
        expected = np.array([[inside(xs, ys, column, row) for column in range(6)] for row in range(6)])
        assert np.array_equal(pixels[c, p, q, :6, :6], expected)
        assert not pixels[c, p, q, 6:].any() and not pixels[c, p, q, :, 6:].any()


def test_a_polygon_up_to_the_last_column():
    x = np.array([0, 0, 64, 64], dtype=np.int32).reshape(1, 4, 1) * 256
    y = np.array([0, 64, 64, 0], dtype=np.int32).reshape(1, 4, 1) * 256
    assert unpack(fill(x, y)).all()


def test_pack_and_unpack_are_inverse():
    pixels = np.random.default_rng(0).integers(0, 2, (3, 64, 64), dtype=np.uint8)
    assert np.array_equal(unpack(pack(pixels)), pixels)
    one = np.zeros((1, 64, 64), dtype=np.uint8)
    one[0, 5, 3] = 1
    assert pack(one)[0, 5] == 1 << 3 and pack(one).sum() == 8
