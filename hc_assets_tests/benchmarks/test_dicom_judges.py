"""What the comparison with other DICOM readers finds, and that some damage has nothing new.

Belongs here: differences that are made on purpose, and a few damaged files before pydicom, GDCM
and, where it is installed, DCMTK. The comparison of many is `make judge-dicom`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

ROOT = Path(__file__).resolve().parents[2]
SEED = 7
MUTANTS = 60
LARGEST_SOURCE = 40_000
WHOLE = {"CT_small.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm", "rtplan.dcm"}
PIXELS = np.arange(12, dtype=np.uint16).reshape(3, 4)


@pytest.fixture(scope="module")
def oracle() -> Iterator[SimpleNamespace]:
    """The benchmarks are no part of the package, so they are looked for from the root."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        from benchmarks.oracles.dicom import (
            compare,
            dcmtk,
            disagreements,
            neutral,
            ours,
            sources,
            verdict,
        )

        yield SimpleNamespace(
            compare=compare,
            dcmtk=dcmtk,
            disagreements=disagreements,
            neutral=neutral,
            ours=ours,
            sources=sources,
            verdict=verdict,
        )


@pytest.fixture
def write_dicom(tmp_path: Path) -> Callable[..., Path]:
    """Write an image and give its path."""

    def write(pixels: np.ndarray, name: str, **attributes: str) -> Path:
        dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
        for keyword, value in attributes.items():
            setattr(dataset, keyword, value)
        dataset.Rows, dataset.Columns = pixels.shape
        dataset.PixelData = pixels.tobytes()
        dataset.save_as(tmp_path / name)
        return tmp_path / name

    return write


def verdict_of(oracle, path: Path):
    """Our own words, as if another reader had said them."""
    row, _ = oracle.ours.row_of(path)
    return oracle.verdict.Verdict(
        oracle.ours.dataset_of(row, path.read_bytes()),
        frames=[frame.values for frame in oracle.ours.frames_of(path, 3)],
        can_decode=True,
    )


def found(oracle, path: Path, **verdicts) -> set[tuple[str, str]]:
    return {(each.what, each.where) for each in oracle.compare.differences(path, verdicts)}


def test_what_two_others_read_otherwise_is_found(oracle, write_dicom):
    other = verdict_of(oracle, write_dicom(PIXELS[::-1].copy(), "a.dcm", PatientID="A"))
    path = write_dicom(PIXELS, "b.dcm", PatientID="B", BodyPartExamined="HEAD")
    same = verdict_of(oracle, path)
    assert found(oracle, path, one=same, two=same, three=other) == set()
    assert found(oracle, path, one=same, two=other, three=other) >= {
        ("value", "00100020"),
        ("column", "patient_id"),
        ("extra", "00180015"),
        ("other frame", "0"),
    }


def test_a_reader_that_stopped_says_nothing_of_what_follows(oracle, write_dicom):
    path = write_dicom(PIXELS, "c.dcm", PatientID="C")
    whole = verdict_of(oracle, path)
    first = {tag: whole.dataset[tag] for tag in sorted(whole.dataset)[:3]}
    stopped = oracle.verdict.Verdict(first, is_partial=True)
    assert found(oracle, path, one=stopped, two=stopped) == set()
    ended = oracle.verdict.Verdict(first)
    assert ("extra", "00100020") in found(oracle, path, one=ended, two=ended)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (("DS", "text", ["1.50"]), ("DS", "numbers", [1.5]), True),
        (("??", "bytes", "05000600"), ("US", "numbers", [5.0, 6.0]), True),
        (("??", "bytes", "05000700"), ("US", "numbers", [5.0, 6.0]), False),
        (("LO", "raw", "J\xe9r\xf4me"), ("LO", "text", ["Jérôme"]), True),
        (("LO", "raw", "J\xe9r\xf4ma"), ("LO", "text", ["Jérôme"]), False),
        (("UN", "bytes", "414220"), ("LO", "text", ["AB"]), True),
        (("SQ", "items", [{}]), ("SQ", "items", []), False),
        (("LO", "unknown", None), ("LO", "text", ["AB"]), True),
    ],
)
def test_readers_say_the_same_in_other_forms(oracle, one, other, is_same):
    assert oracle.neutral.say_the_same(one, other) is is_same
    assert oracle.neutral.say_the_same(other, one) is is_same


def small_files() -> list[Path]:
    folder = Path(pydicom.__file__).parent / "data"
    return sorted(path for path in folder.rglob("*.dcm") if path.stat().st_size < LARGEST_SOURCE)


def test_dcmtk_reads_whole_files_as_we_do(oracle, tmp_path):
    if not oracle.dcmtk.is_there():
        pytest.skip("DCMTK is not installed (Debian: apt install dcmtk)")
    paths = [path for path in small_files() if path.name in WHOLE]
    verdicts = oracle.dcmtk.judge(paths, tmp_path, 3)
    assert len(verdicts) == len(WHOLE)
    for path, said in verdicts.items():
        assert (bool(said.dataset), said.is_partial, said.can_decode) == (True, False, True)
        assert found(oracle, path, one=said, two=said) == set(), path.name


def test_of_a_sample_of_damage_nothing_is_wrong_in_silence_and_all_is_explained(oracle, tmp_path):
    sources = oracle.sources.sources(small_files())
    mutants = list(oracle.sources.mutants(sources, SEED, MUTANTS))
    paths = {tmp_path / f"mutant-{mutant.number}.dcm": mutant for mutant in mutants}
    for path, mutant in paths.items():
        path.write_bytes(mutant.data)
    read = 0
    with oracle.compare.Judges(tmp_path) as judges:
        for path, verdicts in judges.judge(list(paths), most=3).items():
            mutant = paths[path]
            name = f"{mutant.source.name}, {mutant.kind} {mutant.number}"
            read += sum(bool(each.dataset) for each in verdicts.values())
            for each in oracle.compare.differences(path, verdicts, most=3):
                assert oracle.disagreements.class_of(mutant.source.name, each), (name, each)
                assert not oracle.disagreements.is_silent_and_wrong(mutant.source.name, each), name
    assert read > MUTANTS
