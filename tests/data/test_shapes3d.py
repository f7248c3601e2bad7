"""Drawn Shapes3D against real pictures and against the long way of drawing it; reading the published file."""

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image

from unweave.data import Shapes3D, shapes3d
from unweave.data.cache import Piece
from unweave.data.scene import hexagons, lanczos, maps, room, solids
from unweave.testing import check_dataset
from unweave.types import UserError

SMALL = (2, 2, 1, 2, 2, 3)
"""Levels of a small set in the published layout."""


def levels_of(pixels):
    return (pixels * 255).round().to(torch.uint8)


@pytest.mark.parametrize(("split", "count", "most"), [("fit", 25, 0.68), ("held", 25, 0.71), ("other", 29, 0.78)])
def test_real_images(shared_data, split, count, most, device):
    """Mean absolute error, of 255, without the outermost ring, which is not reliable in the real frames."""
    path = shared_data / "3dshapes-real" / "3dshapes_real79.npz"
    if not path.is_file():
        pytest.skip(f"no real frames at {path}")
    with np.load(path, allow_pickle=False) as file:
        chosen = file["split"] == split
        real, levels = file["images"][chosen], torch.from_numpy(file["labels"][chosen])
    assert len(real) == count
    images = Shapes3D().open(device=device)
    drawn = images.batch(images.index(levels).to(device), {}).cpu().permute(0, 2, 3, 1).numpy() * 255
    apart = np.abs(drawn - real)[:, 1:-1, 1:-1]
    assert apart.mean() < most
    assert apart.mean((1, 2, 3)).max() < 1.3


@pytest.mark.parametrize(
    ("row", "digest"),
    [
        (0, "98fb75221bc270c43809c330106c5024df925a2f89b20347dcb0bb79575e4bd7"),
        (123_266, "eceefa5906a49cd12d80572ceebe2e3541adad45c732caa978de7f9d4d6583a4"),
        (240_000, "748dcccc3a7bb5feabe3c5fbc677621e0f57af8a318757a72893153cbf41a4ee"),
        (300_161, "428a08eba0d227c6c0d4bbef5c6e43687544ff32bf1662897a519ebef6436b6b"),
        (479_999, "d6a04d0383e59498756bf39699ea082975dc8f545e030ec0bfab6f10428b2f78"),
    ],
)
def test_pictures_never_change_silently(row, digest, device):
    pixels = Shapes3D().open(device=device).batch(torch.tensor([row], device=device), {})
    assert hashlib.sha256(levels_of(pixels).cpu().numpy().tobytes()).hexdigest() == digest


def test_rows_follow_the_published_order(device):
    images = Shapes3D().open(device=device)
    assert images.factors.names == ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
    assert images.rows == Shapes3D().rows == images.factors.count == 480_000
    rows = torch.tensor([0, 1, 15, 60, 480, 4_800, 48_000, 479_999], device=device)
    levels = images.levels(rows)
    assert levels.tolist()[:7] == [[0] * 6, *np.eye(6, dtype=int)[::-1].tolist()]
    assert levels.tolist()[7] == [9, 9, 9, 7, 3, 14]
    assert torch.equal(images.index(levels), rows)
    assert images.noise(4) == {} and Shapes3D().likelihood == "squared"


def test_contract():
    check_dataset(Shapes3D())


@pytest.mark.parametrize("row", [-1, 480_000])
def test_rows_outside(row):
    with pytest.raises(IndexError, match="allowed are 0 to 479999"):
        Shapes3D().open().batch(torch.tensor([0, row]), {})
    with pytest.raises(IndexError):
        maps.maps().compose(torch.tensor([row]))


def test_maps_are_drawn_when_needed_and_shared():
    held = maps.Maps()
    assert not held.complete and bool(held.missing.all())
    held.compose(torch.tensor([7, 7 + 480, 9]))
    assert (~held.missing).nonzero().flatten().tolist() == [7, 9]
    assert Shapes3D().open().maps is Shapes3D().open().maps
    assert Shapes3D().open().source == "drawn: a re-rendering fitted to published images"


# What each factor does.


def footprint(here):
    """Pixels whose value depends on any of the samples."""
    reach = np.abs(lanczos.weights()) > 0
    return reach @ here.reshape(192, 192).astype(int) @ reach.T > 0


@pytest.mark.parametrize("base", [[1, 4, 7, 0, 0, 2], [3, 0, 5, 4, 1, 7], [2, 9, 6, 7, 3, 13]])
def test_a_hue_colours_its_surface_only(base):
    images = Shapes3D().open()
    base = torch.tensor(base)
    seen = maps.Samples(int(images.index(base[None])) % maps.GEOMETRIES)
    surfaces = {"floor_hue": seen.of(room.FLOOR), "wall_hue": seen.of(room.WALL), "object_hue": seen.object}
    for name, here in surfaces.items():
        pixels = images.batch(images.index(images.factors.traverse(base, name)), {})
        changed = (pixels != pixels[:1]).any(0).any(0).numpy()
        assert changed.sum() > 100 and not (changed & ~footprint(here)).any()
        inner = ~footprint(~here)
        middle = pixels[:, :, inner].mean(2)
        strongest = [{c for c in range(3) if maps.HUES[k][c] == 5} for k in range(10)]
        assert all(int(m.argmax()) in strongest[k] for k, m in enumerate(middle))


def test_a_pure_hue_is_clipped_where_light_is_strong():
    """The bright wall at hue 0.1, (1, 0.6, 0), shows about (255, 160, 0): clipped in red only."""
    images = Shapes3D().open()
    pixels = levels_of(images.batch(images.index(torch.tensor([[0, 1, 0, 0, 2, 7]])), {}))[0]
    bright = pixels[:, 21:30, :30].flatten(1).double()
    assert bright[0].median() == 255 and 150 < bright[1].median() < 170 and bright[2].max() == 0
    assert pixels[:, 2, 5].tolist() == [153, 226, 249]  # the sky


@pytest.mark.parametrize("shape", range(4))
def test_scale_grows_the_object_from_the_floor(shape):
    tall = ((0.3757, 0), (0.4019, 0), (0, 0.4546), (0.3503, 0.3465))[shape]
    down = np.array([[0.0, 1e-9, -1.0]])
    for scale in range(8):
        height = 2 * sum(tall) * (0.75 + scale / 14)
        assert solids.enter(shape, scale, np.array([0.0, 0.0, 5.0]), down) == pytest.approx(5 - height)
        assert solids.enter(shape, scale, np.array([0.0, 0.0, -5.0]), -down) == pytest.approx(5)
    assert np.isinf(solids.enter(shape, 7, np.array([0.0, 0.0, 5.0]), -down))  # behind
    assert np.isinf(solids.enter(shape, 7, np.array([0.7, 0.0, 5.0]), down))  # beside
    seen = [maps.Samples(scale * 60 + shape * 15 + 7).object.sum() for scale in (0, 3, 7)]
    assert seen[0] < seen[1] < seen[2]


def test_shapes():
    """Width and depth of the four at a third of their height, seen from in front and from above."""
    for shape, radius in enumerate((0.3757, 0.4007, 0.4546, 0.3465)):
        corner = np.array([0.9 * radius, 0.9 * radius, 5.0])
        met = np.isfinite(solids.enter(shape, 3, corner, np.array([[0.0, 1e-9, -1.0]])))
        assert met[0] == (shape == solids.CUBE)
    high = np.array([[0.0, -5.0, 0.1]])
    ahead = np.array([[0.0, 1.0, 0.0]])
    entry = [5 - float(solids.enter(shape, 3, high, ahead)[0]) for shape in range(4)]
    assert entry[0] > 0.3 and entry[1] > 0.3 and entry[2] < 0.3 and entry[3] < 0.3  # round below


def test_orientation_turns_the_camera():
    """From the left of the axis (0) the right wall is seen, from the right (14) the left one."""
    first, middle, last = (room.room(k) for k in (0, 7, 14))
    assert np.isclose(room.view(0).axis[0], -room.view(14).axis[0]) and room.view(0).eye[0] < 0
    for seen, right, left in ((first, True, False), (middle, False, False), (last, False, True)):
        assert (np.nanmax(seen.points[:, 0]) > 3.608) == right and (np.nanmin(seen.points[:, 0]) < -3.604) == left
    ends = np.degrees(np.arctan2(room.view(14).eye[0], -room.view(14).eye[1]))
    assert ends == pytest.approx(30.3)
    assert np.nanmin(first.points[:, 2]) == pytest.approx(0, abs=1e-12) and np.nanmax(first.points[:, 2]) <= room.TOP


def test_light_on_the_front_of_a_cube():
    """Read off published images: 242 at 4.3 degrees, 238 at 12.9, 222 at 30."""
    point = np.array([[0.1, -0.3757 * solids.SCALES[3], 0.3]])
    for orientation, level in ((8, 242), (10, 238), (14, 222)):
        bright, white = solids.light(solids.CUBE, 3, point, room.view(orientation).axis)
        assert 255 * bright[0] == pytest.approx(level, abs=1) and white[0] == 0


def test_light_is_interpolated_between_vertices():
    """At a vertex of the mesh the light is that of the point; between two it is their mean."""
    axis = room.view(3).axis
    turn = 2 * np.pi / 28

    def at(steps):
        points = 0.4007 * solids.SCALES[5] * np.stack([np.cos(steps * turn), np.sin(steps * turn)], axis=1)
        return solids.light(solids.CYLINDER, 5, np.column_stack([points, np.full(len(points), 0.3)]), axis)

    for light in at(np.array([9.0, 9.5, 10.0])), at(np.array([-7.0, -6.5, -6.0])):
        for values in light:
            assert values[1] == pytest.approx((values[0] + values[2]) / 2, rel=1e-6)
    assert at(np.array([14.0]))[1] > 0 and at(np.array([0.0]))[1] == 0  # gloss on the lamp's side, the left


def test_shadow_on_the_floor():
    """The lamp stands left of the object: the shadow lies at its right, and nothing but the lamp's light is missing."""
    seen, empty = maps.Samples(7 * 60 + 7), room.room(7)
    shaded = seen.of(room.FLOOR) & (seen.brightness < empty.steady + empty.lamp)
    assert shaded.sum() > 100 and empty.points[shaded, 0].mean() > 0.3
    assert np.array_equal(seen.brightness[shaded], empty.steady[shaded])
    assert np.abs(empty.points[shaded, :2]).max() < maps.REACH - 0.05


def test_texture():
    middle = np.array([3.0, 4.0, 1.0]), np.array([2.5, 3.0, 4.5])
    assert hexagons.brightness(*middle) == pytest.approx([0.994, 0.994, 0.994 * 0.944])
    assert hexagons.brightness(np.array([3.0]), np.array([3.0])) == pytest.approx(0.994 * 0.935)  # between two
    assert hexagons.brightness(np.array([12.5]), np.array([-6.2])) == hexagons.brightness(
        np.array([2.5]), np.array([1.8])
    )
    tiles = hexagons.halvings()
    assert [len(tile) for tile in tiles] == [256, 128, 64, 32, 16, 8, 4, 2, 1]
    assert tiles[0].mean() == pytest.approx(tiles[-1][0, 0])
    assert tiles[-1][0, 0] == pytest.approx(0.9771, abs=0.004)  # the plain brightness that fits walls best


# From samples to pixels.


def by_pillow(samples):
    picture = Image.fromarray(samples.astype(np.uint8)).resize((64, 64), Image.Resampling.LANCZOS)
    return np.asarray(picture).astype(float)


@pytest.mark.parametrize("seed", range(3))
def test_filter_is_pillows(seed):
    """Rounded and clipped after each pass, as Pillow does, the weights give its result exactly."""
    samples = np.random.default_rng(seed).integers(0, 256, (192, 192))
    across = np.clip(np.floor(samples @ lanczos.weights().T / 2**22 + 0.5), 0, 255)
    both = np.clip(np.floor(lanczos.weights() @ across / 2**22 + 0.5), 0, 255)
    assert np.array_equal(both, by_pillow(samples))


def test_an_edge_as_published():
    edge = np.repeat([249.0, 0.0], (97, 95)) * np.ones((192, 1))
    expected = [249, 249, 245, 255, 83, 0, 4, 0]
    assert by_pillow(edge)[32, 28:36].tolist() == expected
    assert lanczos.reduce(edge)[32, 28:36].round().clip(0, 255).tolist() == expected
    assert lanczos.reduce(edge.T)[28:36, 32].round().clip(0, 255).tolist() == expected


def test_sums_fit_and_are_exact():
    largest = np.abs(lanczos.weights()).sum(1).max() / 2**22
    assert largest**2 * 255 * maps.UNIT + maps.UNIT / 2 < 2**15
    samples = np.random.default_rng(0).integers(0, 256, (192, 192)).astype(float)
    exact = lanczos.weights().astype(int) @ np.round(samples @ lanczos.weights().T / 2**12).astype(int)
    assert np.array_equal(lanczos.reduce(samples) * 2**32, exact)


@pytest.mark.parametrize("levels", [[1, 4, 7, 0, 0, 2], [3, 0, 5, 4, 1, 7], [8, 1, 2, 6, 2, 11], [2, 9, 6, 7, 3, 13]])
def test_maps_add_up_to_the_picture(levels):
    """Beside the long way: colour every sample, then Pillow's filter, which rounds and clips between its passes."""
    images = Shapes3D().open()
    row = images.index(torch.tensor([levels]))
    seen = maps.Samples(int(row) % maps.GEOMETRIES)
    floor, wall, thing = (np.array(maps.HUES[k]) / 5 for k in levels[:3])
    expected = []
    for channel in range(3):
        samples = np.full(192 * 192, float(maps.SKY_COLOUR[channel]))
        for surface, hue in ((room.FLOOR, floor), (room.WALL, wall)):
            here = seen.of(surface)
            samples[here] = np.round(255 * np.minimum(hue[channel] * seen.brightness[here], 1))
        samples[seen.object] = np.round(255 * np.minimum(thing[channel] * seen.bright + seen.white, 1))
        expected.append(by_pillow(samples.reshape(192, 192)))
    apart = np.abs(levels_of(images.batch(row, {}))[0].numpy() - np.stack(expected))
    assert apart.mean() < 0.12 and np.mean(apart > 1) < 0.01


# The published file.


@pytest.fixture
def small():
    count = int(np.prod(SMALL))
    levels = np.stack(np.unravel_index(np.arange(count), SMALL), axis=1)
    known = [[0, 0.1], [0, 0.1], [0], [0.75, 1.25], [0, 1], [-30, 0, 30]]
    labels = np.stack([np.array(known[k], dtype=float)[levels[:, k]] for k in range(6)], axis=1)
    return {"images": np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8), "labels": labels}


@pytest.fixture
def write(tmp_path):
    h5py = pytest.importorskip("h5py")

    def writer(arrays, name="3dshapes.h5"):
        with h5py.File(tmp_path / name, "w") as file:
            for key, array in arrays.items():
                file.create_dataset(key, data=array, compression="gzip")
        return tmp_path / name

    return writer


def test_published_labels():
    values = shapes3d.values()
    assert [len(column) for column in values] == list(maps.SIZES)
    assert values[0] == pytest.approx(np.arange(10) / 10) and values[4].tolist() == [0, 1, 2, 3]
    assert values[3][[0, 7]].tolist() == [0.75, 1.25] and values[5][[0, 7, 14]].tolist() == [-30, 0, 30]


def read(path):
    return np.concatenate([piece.images for piece in shapes3d.pieces(path, SMALL)])


def test_published_layout_is_read(write, small, monkeypatch, device, tmp_path):
    path = write(small)
    assert np.array_equal(read(path), small["images"])
    for start in (1, 47):
        rest = list(shapes3d.pieces(path, SMALL, start))
        assert np.array_equal(np.concatenate([piece.images for piece in rest]), small["images"][start:])
        assert rest[-1].done == len(small["images"])
    monkeypatch.setattr(shapes3d, "SIZES", SMALL)
    monkeypatch.setenv("UNWEAVE_CACHE", str(tmp_path / "cache"))
    assert Shapes3D().prepare(path.parent) == next((tmp_path / "cache").glob("shapes3d-????????????????"))
    assert Shapes3D().prepare() is None
    images = Shapes3D().open(path.parent, device)
    assert images.source == str(path) and Shapes3D().find(path.parent) == path
    pixels = images.batch(torch.tensor([3, 0, 3], device=device), {})
    assert pixels.shape == (3, 3, 64, 64) and pixels.dtype == torch.float32 and pixels.is_contiguous()
    assert np.array_equal(levels_of(pixels).cpu().permute(0, 2, 3, 1).numpy(), small["images"][[3, 0, 3]])
    assert images.levels(torch.tensor([19])).tolist() == [[0, 1, 0, 1, 0, 1]]
    assert Shapes3D().open(path.parent, device).table is images.table  # read once
    assert Shapes3D().open(device=device).source.startswith("drawn")


def replaced(key, change):
    def alter(arrays):
        array = arrays[key].copy()
        return {**arrays, key: change(array)}

    return alter


def put(position, value):
    def change(array):
        array[position] = value
        return array

    return change


BAD = {
    "no images": (lambda a: {"labels": a["labels"]}, "no array 'images' stored in the file; it holds 'labels'"),
    "no labels": (lambda a: {"images": a["images"]}, "no array 'labels'"),
    "channels first": (
        replaced("images", lambda x: x.transpose(0, 3, 1, 2)),
        r"shape \(48, 3, 64, 64\); expected \(48, 64, 64, 3\)",
    ),
    "rows": (replaced("images", lambda x: x[1:]), r"shape \(47, 64, 64, 3\)"),
    "floats": (replaced("images", lambda x: x / np.float32(255)), "number type float32; expected uint8"),
    "classes": (replaced("labels", lambda x: x.astype(int)), "number type int64; expected float64 or float32"),
    "order": (replaced("labels", lambda x: x[::-1]), "published order of images at row 0"),
    "one label": (replaced("labels", put((17, 5), 3.0)), "published order of images at row 17"),
    "nan": (replaced("labels", put((30, 0), np.nan)), "published order of images at row 30"),
}


@pytest.mark.parametrize("kind", BAD)
def test_another_content_is_refused(write, small, kind):
    change, message = BAD[kind]
    path = write(change(small))
    with pytest.raises(UserError, match=message) as error:
        read(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("part", [0, 10, 0.3, 0.9])
def test_a_truncated_file_is_refused(write, small, part):
    path = write(small)
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data)) if isinstance(part, float) else part])
    with pytest.raises(UserError, match=r"truncated|damaged") as error:
        Shapes3D().open(path.parent)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_small_file_is_not_the_published_one(write, small):
    with pytest.raises(UserError, match=r"shape \(48, 6\); expected \(480000, 6\)"):
        Shapes3D().open(write(small).parent)


def test_check_compares_a_file_with_the_drawn_set(tmp_path, monkeypatch):
    """On the first 15 images, as if they were all."""
    monkeypatch.setattr(Shapes3D, "rows", property(lambda self: 15))
    with pytest.raises(UserError, match="drawn images have sha256") as error:
        Shapes3D().check()
    monkeypatch.setattr(shapes3d, "DRAWN_SHA256", str(error.value).split("sha256 ")[1].split(";")[0])
    lines = Shapes3D().check()
    assert "as expected" in lines[0] and "no published file found" in lines[2]
    drawn = levels_of(Shapes3D().open().batch(torch.arange(15), {})).permute(0, 2, 3, 1).numpy()
    path = tmp_path / "3dshapes.h5"
    for shift, expected in ((1, "1.00 of 255 from the drawn ones on average"), (9, None)):
        path.write_bytes(b"x" * shift)
        other = Piece(drawn ^ np.uint8(shift), 15)
        monkeypatch.setattr(shapes3d, "pieces", lambda path, sizes, start, other=other: [other])
        if expected is None:
            with pytest.raises(UserError, match="another data set"):
                Shapes3D().check(tmp_path)
        else:
            lines = Shapes3D().check(tmp_path)
            assert expected in lines[2] and "not that of the published file" in lines[3]


@pytest.mark.slow
def test_check_of_the_whole_drawn_set():
    assert "480,000 images" in Shapes3D().check()[0]


def test_the_published_file_where_it_is_at_hand(shared_data):
    if Shapes3D().find(shared_data) is None:
        pytest.skip(f"no published Shapes3D file under {shared_data}")
    assert "as published" in Shapes3D().check(shared_data)[-1]
