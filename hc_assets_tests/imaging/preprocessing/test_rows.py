import numpy as np

from hc_assets.imaging.preprocessing.rows import preprocess_files
from hc_assets.imaging.schemas.index import preprocessed_arrays
from hc_assets_tests.imaging.landed_files import landed


def test_arrays_are_rows_of_their_recipes_shape(testdata):
    ct, mr = (landed(testdata(f"{name}_small.dcm")) for name in ("CT", "MR"))
    zero = frozenset([0])
    found = list(preprocess_files([(mr, zero), (ct, zero), (mr, zero)], "b1"))
    assert [made.recipe for made in found] == ["ct", "mr"]
    for name, shape, count in (("ct", (512, 512), 1), ("mr", (256, 256), 2)):
        (rows,) = [made.rows for made in found if made.recipe == name]
        assert rows.schema == preprocessed_arrays(shape)
        rows.validate(full=True)
        pixels = rows["pixels"].to_numpy_ndarray()
        assert pixels.shape == (count, *shape)
        assert [len(affine) for affine in rows["source_to_array"].to_pylist()] == [6] * count


def test_only_the_frames_named_become_arrays(write_dicom):
    path = write_dicom(np.random.default_rng(1).integers(0, 99, (4, 32, 32), dtype=np.uint16))
    (made,) = preprocess_files([(landed(path), frozenset([3, 1]))], "b1")
    assert made.rows["frame"].to_pylist() == [1, 3]


def test_arrays_are_handed_on_before_they_fill_memory(testdata):
    two = 2 * 256 * 256 * 4
    mr = (landed(testdata("MR_small.dcm")), frozenset([0]))
    found = preprocess_files([mr] * 5, "b1", most_bytes=two)
    assert [len(made.rows) for made in found] == [2, 2, 1]


def test_a_frame_that_no_longer_decodes_gives_no_array(testdata):
    broken = landed(testdata("MR_truncated.dcm"))
    assert list(preprocess_files([(broken, frozenset([0]))], "b1")) == []


def test_the_same_frames_give_the_same_rows(testdata):
    def once() -> list[bytes]:
        wanted = [(landed(testdata("CT_small.dcm")), frozenset([0]))]
        return [made.rows.serialize().to_pybytes() for made in preprocess_files(wanted, "b1")]

    assert once() == once()
