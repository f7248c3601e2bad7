"""Reading files that lie about themselves, and finding the data root."""

import io
import sys
import zipfile
import zlib

import numpy as np
import pytest

from unweave.data import data_root
from unweave.data.files import Array, blocks, find, sha256
from unweave.types import UserError

ARRAY = Array("a", (10, 3), ("int64",))
GOOD = np.arange(30).reshape(10, 3)


def npy(array):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array)
    return buffer.getvalue()


def zipped(path, data, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr("a.npy", data)
    return path


def read(path, array=ARRAY):
    return np.concatenate(list(blocks(path, array)))


@pytest.mark.parametrize("packed", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("order", ["<i8", ">i8"])
def test_good_npz(tmp_path, packed, order):
    got = read(zipped(tmp_path / "x.npz", npy(GOOD.astype(order)), compression=packed))
    assert np.array_equal(got, GOOD) and got.dtype == np.int64 and got.dtype.isnative


def test_large_arrays_come_in_blocks(tmp_path):
    array = np.arange(40_000_000, dtype=np.uint8).reshape(-1, 1000)
    np.savez(tmp_path / "x.npz", a=array)
    parts = list(blocks(tmp_path / "x.npz", Array("a", array.shape, ("uint8",))))
    assert len(parts) == 3 and np.array_equal(np.concatenate(parts), array)


def test_a_member_that_claims_more_than_the_array_has(tmp_path):
    path = zipped(tmp_path / "x.npz", npy(GOOD) + bytes(50_000_000), compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    with pytest.raises(UserError, match="has 50,000,240 bytes; expected 240"):
        read(path)


def test_a_member_that_unpacks_to_more_than_it_claims(tmp_path):
    """The directory says 368 bytes; 50 MB lie behind. Only what was claimed is unpacked, and its checksum fails."""
    path = zipped(tmp_path / "x.npz", npy(GOOD) + bytes(50_000_000), compression=zipfile.ZIP_DEFLATED)
    size = len(npy(GOOD)) + 50_000_000
    data = path.read_bytes()
    assert data.count(size.to_bytes(4, "little")) == 2
    path.write_bytes(data.replace(size.to_bytes(4, "little"), len(npy(GOOD)).to_bytes(4, "little")))
    with pytest.raises(UserError, match="CRC"):
        read(path)


@pytest.mark.parametrize("extra", [b"", b"123"])
def test_a_member_of_the_wrong_length(tmp_path, extra):
    data = npy(GOOD) + extra if extra else npy(GOOD)[:-8]
    with pytest.raises(UserError, match=r"has 2(32|43) bytes; expected 240"):
        read(zipped(tmp_path / "x.npz", data))


def test_a_changed_byte_is_noticed(tmp_path):
    path = zipped(tmp_path / "x.npz", npy(GOOD))
    data = bytearray(path.read_bytes())
    data[data.index(b"\x93NUMPY") + 200] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(UserError, match="CRC"):
        read(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no array", "magic"),
        (b"\x93NUMPY\x02\x00" + (2**32 - 1).to_bytes(4, "little"), "unknown .npy version"),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"{" * 100, "EOF"),
        (b"\x93NUMPY\x01\x00\x40\x00" + b"__import__('os').getcwd()".ljust(64), "not readable"),
        (b"\x93NUMPY\x01\x00\x40\x00" + b"{'shape': (10L, (".ljust(64), "not readable"),
        (b"\x93NUMPY\x01\x00\x40\x1f" + b"(" * 8000, "not readable"),
        (npy(np.asfortranarray(GOOD)), "column by column"),
        (npy(GOOD.astype([("x", "i8")])), "number type"),
        (npy(GOOD.astype("U20")), "number type"),
    ],
)
def test_bad_headers(tmp_path, data, message):
    with pytest.raises(UserError, match=message) as error:
        read(zipped(tmp_path / "x.npz", data))
    assert "x.npz" in str(error.value) and "\n" not in str(error.value)


def test_a_header_written_by_python_2(tmp_path):
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (10L, 3L), }".ljust(69) + b"\n"
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + GOOD.astype("<i8").tobytes()
    assert np.array_equal(read(zipped(tmp_path / "x.npz", data)), GOOD)


def test_unknown_packing_and_two_of_a_name(tmp_path):
    with pytest.raises(UserError, match="allowed are stored and deflated"):
        read(zipped(tmp_path / "x.npz", npy(GOOD), compression=zipfile.ZIP_BZIP2))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(tmp_path / "y.npz", "w") as archive:
        archive.writestr("a.npy", npy(GOOD))
        archive.writestr("a.npy", npy(GOOD))
    with pytest.raises(UserError, match="2 arrays 'a', expected one"):
        read(tmp_path / "y.npz")


def test_hdf5_links_out_of_the_file_are_not_followed(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["a"] = GOOD
    (tmp_path / "raw").write_bytes(GOOD.tobytes())
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a"] = h5py.ExternalLink("other.h5", "a")
        file["soft"] = h5py.SoftLink("/a")
        file.create_group("group")
        file.create_dataset("raw", (10, 3), "int64", external=[(str(tmp_path / "raw"), 0, 240)])
        layout = h5py.VirtualLayout((10, 3), "int64")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "a", (10, 3))
        file.create_virtual_dataset("virtual", layout)
    for key in ("a", "soft", "group", "raw", "virtual", "group/a", "none"):
        with pytest.raises(UserError, match="stored in"):
            read(tmp_path / "x.h5", ARRAY._replace(key=key))
    assert np.array_equal(read(tmp_path / "other.h5"), GOOD)


def test_hdf5_chunks_and_filters_are_bounded(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("a", (10_000, 10_000), "uint8", chunks=(10_000, 10_000), compression="gzip")
        file.create_dataset("b", data=GOOD, chunks=(2, 3), scaleoffset=0)
        file.create_dataset("c", data=GOOD, chunks=(3, 2), compression="lzf", shuffle=True, fletcher32=True)
    with pytest.raises(UserError, match="chunks of shape"):
        read(tmp_path / "x.h5", Array("a", (10_000, 10_000), ("uint8",)))
    with pytest.raises(UserError, match="HDF5 filters"):
        read(tmp_path / "x.h5", ARRAY._replace(key="b"))
    assert np.array_equal(read(tmp_path / "x.h5", ARRAY._replace(key="c")), GOOD)


@pytest.mark.parametrize("more", [{}, {"shuffle": True}, {"shuffle": True, "fletcher32": True}, {"fletcher32": True}])
def test_hdf5_chunks_that_unpack_to_more_than_they_claim(tmp_path, more):
    """The library would unpack all of it, whatever the chunk's size is said to be."""
    h5py = pytest.importorskip("h5py")
    good = {"data": GOOD, "chunks": (3, 2), "compression": "gzip", **more}
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("a", **good)
        bomb = file.create_dataset("bomb", **good)
        bomb.id.write_direct_chunk((3, 0), zlib.compress(bytes(1 << 24)))
        large = file.create_dataset("large", **good)
        large.id.write_direct_chunk((3, 0), bytes(1 << 20))
        short = file.create_dataset("short", **good)
        short.id.write_direct_chunk((3, 0), zlib.compress(bytes(8)))
        plain = file.create_dataset("plain", **{**good, "fletcher32": False})
        skipped = (1 << plain.id.get_create_plist().get_nfilters()) - 1
        plain.id.write_direct_chunk((0, 0), GOOD[:3, :2].tobytes(), skipped)
    assert np.array_equal(read(tmp_path / "x.h5"), GOOD)
    assert np.array_equal(read(tmp_path / "x.h5", ARRAY._replace(key="plain")), GOOD)
    for key, message in (
        ("bomb", "unpacks to 65,584 or more"),
        ("large", "an unknown number"),
        ("short", "unpacks to 8"),
    ):
        with pytest.raises(UserError, match=rf"'{key}' has a chunk of [\d,]+ bytes that .*{message}.*expected 48"):
            read(tmp_path / "x.h5", ARRAY._replace(key=key))


def test_hdf5_arrays_without_a_shape(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a"] = h5py.Empty("int64")
    with pytest.raises(UserError, match="'a' is empty"):
        read(tmp_path / "x.h5")


def test_hdf5_without_h5py_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match=r"pip install h5py"):
        read(tmp_path / "x.h5")


def test_other_kinds_of_file(tmp_path):
    with pytest.raises(UserError, match=r"allowed are \.npz, \.hdf5 and \.h5"):
        read(tmp_path / "x.pkl")
    with pytest.raises(UserError, match="No such file"):
        read(tmp_path / "x.npz")


def test_data_root(tmp_path, monkeypatch):
    assert data_root() is None
    (tmp_path / "b").mkdir()
    monkeypatch.setenv("UNWEAVE_DATA", str(tmp_path))
    assert data_root() == tmp_path
    assert data_root(tmp_path / "b") == tmp_path / "b"
    with pytest.raises(UserError, match=r"data root: .*no folder"):
        data_root(tmp_path / "c")
    monkeypatch.setenv("UNWEAVE_DATA", str(tmp_path / "c"))
    with pytest.raises(UserError, match=r"UNWEAVE_DATA: .*no folder"):
        data_root()


def test_find_prefers_the_first_name(tmp_path):
    assert find(None, ["x"]) is None
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "x").touch()
    assert find(tmp_path, ["x", "y"]) is None
    assert find(tmp_path, ["x", "y"], "s") == tmp_path / "s" / "x"
    (tmp_path / "y").touch()
    assert find(tmp_path, ["x", "y"], "s") == tmp_path / "s" / "x"
    assert find(tmp_path, ["y", "x"], "s") == tmp_path / "y"


def test_sha256(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
