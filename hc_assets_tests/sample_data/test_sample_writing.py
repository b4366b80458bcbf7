import hashlib
from collections import Counter
from pathlib import Path

import pytest

from hc_assets.sample_data.write import INVALID_SHARE, write_sample


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_same_seed_gives_the_same_bytes(sample, tmp_path):
    again = write_sample(tmp_path)
    assert _hashes(tmp_path) == _hashes(sample.folder)
    assert again == sample.summary


def test_another_seed_gives_other_patients_and_images(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    write_sample(one, seed=1, patients=1)
    write_sample(other, seed=2, patients=1)
    for name in ("fhir/bundles/bundle-0001.json", "dicom/study-02/series-01/image-0001.dcm"):
        assert (one / name).read_bytes() != (other / name).read_bytes()


def test_second_writing_leaves_equal_files_untouched_and_mends_changed_ones(tmp_path):
    first = write_sample(tmp_path, patients=1)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    changed = tmp_path / "fhir/bundles/bundle-0001.json"
    whole = changed.read_bytes()
    changed.write_bytes(whole[:-1] + b" ")
    second = write_sample(tmp_path, patients=1)
    assert (second.written, second.unchanged) == (1, first.written - 1)
    assert changed.read_bytes() == whole
    del stamps[changed]
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())


def test_files_and_folders_are_their_owners_only(sample):
    modes = Counter(
        (path.is_dir(), path.stat().st_mode & 0o777) for path in sample.folder.rglob("*")
    )
    assert set(modes) == {(True, 0o700), (False, 0o600)}


def test_nothing_is_left_of_a_file_that_could_not_be_finished(tmp_path, monkeypatch):
    def full(_self, _target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_sample(tmp_path, patients=1)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_sample_is_small(sample):
    on_disk = sum(path.stat().st_size for path in sample.folder.rglob("*") if path.is_file())
    assert sample.summary.size == on_disk < 25_000_000


def test_summary_counts_what_the_folder_holds(sample):
    names = [path.relative_to(sample.folder) for path in sample.folder.rglob("*") if path.is_file()]
    assert sum(sample.summary.files.values()) == len(names)
    assert sample.summary.files["dicom"] + sample.summary.files["dicom_unreadable"] == sum(
        name.parts[0] == "dicom" for name in names
    )
    assert sample.summary.files["fhir_ndjson"] == sum(".ndjson" in name.name for name in names)
    assert sample.summary.fhir_entries == sum(1 for _ in sample.texts())


def test_invalid_share_leaves_room_below_the_threshold(sample):
    quarantined = sample.summary.flaws_with("quarantined")
    share = len(quarantined) / sample.summary.fhir_entries
    assert INVALID_SHARE <= share < 0.035


def test_each_flaw_and_oddity_has_a_place_of_its_own(sample):
    places = [
        (found.file, found.position) for found in (*sample.summary.flaws, *sample.summary.oddities)
    ]
    assert len(set(places)) == len(places)
    assert all((sample.folder / name).is_file() for name, _ in places)


@pytest.mark.parametrize("patients", [1, 2, 5])
def test_small_samples_hold_too(tmp_path, patients):
    summary = write_sample(tmp_path, patients=patients)
    assert summary.entries["Patient"] == patients
    assert len(summary.flaws_with("quarantined")) / summary.fhir_entries < 0.06
    assert len(summary.flaws_with("unreadable")) == 3


def test_a_sample_without_patients_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one patient, not 0"):
        write_sample(tmp_path, patients=0)
    assert list(tmp_path.iterdir()) == []
