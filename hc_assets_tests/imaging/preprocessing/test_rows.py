import numpy as np

from hc_assets.imaging.preprocessing import rows
from hc_assets.imaging.preprocessing.rows import FailedArrays, preprocess_files
from hc_assets.imaging.schemas.index import preprocessed_arrays
from hc_assets_tests.imaging.landed_files import landed


def test_arrays_are_rows_of_their_recipes_shape(testdata):
    ct, mr = (landed(testdata(f"{name}_small.dcm")) for name in ("CT", "MR"))
    zero = frozenset([0])
    found = list(preprocess_files([(mr, zero), (ct, zero), (mr, zero)], "b1"))
    assert [made.recipe for made in found] == ["ct", "mr"]
    for name, shape, count in (("ct", (512, 512), 1), ("mr", (256, 256), 2)):
        (batch,) = [made.rows for made in found if made.recipe == name]
        assert batch.schema == preprocessed_arrays(shape)
        batch.validate(full=True)
        pixels = batch["pixels"].to_numpy_ndarray()
        assert pixels.shape == (count, *shape)
        assert [len(affine) for affine in batch["source_to_array"].to_pylist()] == [6] * count


def test_only_the_frames_named_become_arrays(write_dicom):
    path = write_dicom(np.random.default_rng(1).integers(0, 99, (4, 32, 32), dtype=np.uint16))
    (made,) = preprocess_files([(landed(path), frozenset([3, 1]))], "b1")
    assert made.rows["frame"].to_pylist() == [1, 3]


def test_arrays_are_handed_on_before_they_fill_memory(testdata):
    two = 2 * 256 * 256 * 4
    mr = (landed(testdata("MR_small.dcm")), frozenset([0]))
    found = preprocess_files([mr] * 5, "b1", most_bytes=two)
    assert [len(made.rows) for made in found] == [2, 2, 1]


def test_a_frame_that_no_longer_decodes_gives_no_array_but_the_reason(testdata):
    broken = landed(testdata("MR_truncated.dcm"))
    (failed,) = preprocess_files([(broken, frozenset([0]))], "b1")
    assert isinstance(failed, FailedArrays)
    (row,) = failed.rows.to_pylist()
    assert (row["source_file"], row["frame"]) == ("MR_truncated.dcm", 0)
    assert "truncated" in row["reason"]


def test_what_a_recipe_raises_costs_one_frame(testdata, monkeypatch):
    monkeypatch.setattr(rows, "recipe_for", recipe_that_fails_on("MR", rows.recipe_for))
    wanted = [(landed(testdata(f"{name}_small.dcm")), frozenset([0])) for name in ("CT", "MR")]
    made, failed = preprocess_files(wanted, "b1")
    assert made.rows["source_file"].to_pylist() == ["CT_small.dcm"]
    (row,) = failed.rows.to_pylist()
    assert (row["source_file"], row["modality"]) == ("MR_small.dcm", "MR")
    assert row["reason"].startswith("internal error: MemoryError at ")


def recipe_that_fails_on(modality, recipe_for):
    def recipe(of, preprocessing=None):
        if of == modality:
            raise MemoryError
        return recipe_for(of, preprocessing)

    return recipe


def test_a_comparison_that_fails_costs_no_array(testdata, monkeypatch):
    def failing(*_):
        raise ValueError("Doe")

    monkeypatch.setattr(rows, "compared", failing)
    (made,) = preprocess_files([(landed(testdata("CT_small.dcm")), frozenset([0]))], "b1")
    assert made.rows.num_rows == 1
    assert made.comparison is None


def test_the_same_frames_give_the_same_rows(testdata):
    def once() -> list[bytes]:
        wanted = [(landed(testdata("CT_small.dcm")), frozenset([0]))]
        return [made.rows.serialize().to_pybytes() for made in preprocess_files(wanted, "b1")]

    assert once() == once()
