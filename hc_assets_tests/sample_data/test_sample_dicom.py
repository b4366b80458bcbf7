import json
from collections import Counter, defaultdict
from datetime import datetime
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from hc_assets.sample_data.dicom_images import build_instance
from hc_assets.sample_data.patients import make_people
from hc_assets.sample_data.studies import make_studies


@pytest.fixture(scope="module")
def datasets(sample):
    """Every readable DICOM file with its name; the one without preamble is read by force."""
    bare = {flaw.file for flaw in sample.summary.flaws if flaw.id == "no-preamble"}
    unreadable = {flaw.file for flaw in sample.summary.flaws_with("unreadable")}
    found = {}
    for path in sorted((sample.folder / "dicom").rglob("*.dcm")):
        name = str(path.relative_to(sample.folder))
        if name not in unreadable:
            found[name] = pydicom.dcmread(path, force=name in bare)
    return found


def _decodable(sample, datasets):
    lost = {flaw.file for flaw in sample.summary.flaws_with("undecodable")}
    return {
        name: dataset
        for name, dataset in datasets.items()
        if name not in lost and "PixelData" in dataset and dataset.file_meta
    }


def test_series_and_frames_are_as_the_summary_says(sample, datasets):
    series = {each.SeriesInstanceUID: each.Modality for each in datasets.values()}
    assert Counter(series.values()) == sample.summary.series
    frames = Counter()
    lost = {flaw.file for flaw in sample.summary.flaws_with("undecodable")}
    for name, each in datasets.items():
        if name not in lost and "PixelData" in each:
            frames[each.Modality] += int(each.get("NumberOfFrames", 1))
    assert frames == sample.summary.frames


def test_all_that_should_be_decodable_is_within_its_bits(sample, datasets):
    decoded = 0
    for name, dataset in _decodable(sample, datasets).items():
        pixels = dataset.pixel_array
        assert pixels.shape[:1] == (dataset.get("NumberOfFrames", dataset.Rows),), name
        assert pixels.max() < 2**dataset.BitsStored
        assert pixels.min() >= (
            -(2 ** (dataset.BitsStored - 1)) if dataset.PixelRepresentation else 0
        )
        decoded += 1
    assert decoded > 50


def test_compression_loses_nothing(sample):
    seed = sample.summary.seed
    studies = make_studies(seed, make_people(seed, sample.summary.patients))
    syntaxes = set()
    for study in studies:
        for series in study.series:
            syntax = series.kind.transfer_syntax
            if not syntax.is_compressed or syntax in syntaxes:
                continue
            syntaxes.add(syntax)
            compressed = build_instance(seed, study, series, 1)
            again = BytesIO()
            compressed.save_as(again, enforce_file_format=True)
            read = pydicom.dcmread(BytesIO(again.getvalue()))
            assert read.file_meta.TransferSyntaxUID == syntax
            plain = _without_compression(seed, study, series)
            assert np.array_equal(read.pixel_array, plain.pixel_array)
    assert {UID(each).name for each in syntaxes} == {
        "JPEG-LS Lossless Image Compression",
        "RLE Lossless",
    }


def _without_compression(seed, study, series):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pydicom.Dataset, "compress", lambda *_args, **_named: None)
        return build_instance(seed, study, series, 1)


def test_headers_name_the_fhir_patient_and_study(sample, datasets):
    texts = [json.loads(text) for _, _, text in sample.texts() if _is_json(text)]
    patients = {each["id"]: each for each in texts if each["resourceType"] == "Patient"}
    studies = {each["id"]: each for each in texts if each["resourceType"] == "ImagingStudy"}
    files = defaultdict(list)
    for dataset in datasets.values():
        files[dataset.StudyInstanceUID].append(dataset)
    assert len(studies) == len(files) == 10
    for study in studies.values():
        of_study = files[study["identifier"][0]["value"].removeprefix("urn:oid:")]
        named = {
            (series["uid"], instance["uid"], f"urn:oid:{instance['sopClass']['code'][8:]}")
            for series in study["series"]
            for instance in series["instance"]
        }
        assert named == {
            (each.SeriesInstanceUID, each.SOPInstanceUID, f"urn:oid:{each.SOPClassUID}")
            for each in of_study
        }
        assert study["numberOfInstances"] == len(of_study)
        started = datetime.fromisoformat(study["started"])
        for each in of_study:
            assert each.StudyDate + each.StudyTime == f"{started:%Y%m%d%H%M%S}"
            assert each.AccessionNumber == study["identifier"][1]["value"]
            assert study["subject"]["reference"].endswith(each.PatientID)
            patient = patients[each.PatientID]
            assert each.PatientBirthDate == patient["birthDate"].replace("-", "")
            assert each.PatientName.family_name == patient["name"][0]["family"]
            mrn = patient["identifier"][0]["value"]
            assert each.OtherPatientIDsSequence[0].PatientID == mrn


def _is_json(text):
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True


def test_identifiers_are_under_the_uuid_root_and_unique(datasets):
    instances = [each.SOPInstanceUID for each in datasets.values()]
    assert len(set(instances)) == len(instances)
    for each in datasets.values():
        for uid in (each.SOPInstanceUID, each.SeriesInstanceUID, each.StudyInstanceUID):
            assert uid.startswith("2.25.")
            assert UID(uid).is_valid


def test_slices_stand_one_behind_the_other(datasets):
    positions = defaultdict(list)
    for each in datasets.values():
        if "ImagePositionPatient" in each:
            assert [float(value) for value in each.ImageOrientationPatient] == [1, 0, 0, 0, 1, 0]
            positions[each.SeriesInstanceUID].append(
                (each.InstanceNumber, *map(float, each.ImagePositionPatient))
            )
    assert len(positions) == 5
    for stack in positions.values():
        stack.sort()
        assert len({place[1:3] for place in stack}) == 1
        steps = np.diff([place[3] for place in stack])
        assert np.allclose(steps, steps[0])
        assert steps[0] > 0


def test_ct_padding_lies_outside_the_field_of_view_only(datasets):
    padded = [each for each in datasets.values() if "PixelPaddingValue" in each]
    assert len(padded) == 12
    pixels = padded[0].pixel_array
    outside = pixels == padded[0].PixelPaddingValue
    assert outside.mean() == pytest.approx(1 - np.pi / 4, abs=0.005)
    hu = pixels[~outside] * padded[0].RescaleSlope + padded[0].RescaleIntercept
    assert hu.min() >= -1024


def test_monochrome1_is_high_where_there_is_air(datasets):
    films = [
        each for each in datasets.values() if each.get("Rows") == 1024 and each.Modality == "CR"
    ]
    assert [each.PhotometricInterpretation for each in films] == ["MONOCHROME1"]
    pixels = films[0].pixel_array
    assert pixels[512, 2] > pixels[900, 512] + 2000


def test_degraded_images_are_worse_than_their_like(datasets):
    by_description = {each.SeriesDescription: each for each in datasets.values()}

    def noise(dataset):
        pixels = dataset.pixel_array.astype(float)
        return np.median(np.abs(np.diff(pixels, n=2, axis=1)))

    assert noise(by_description["CHEST 1.0 LOW DOSE"]) > 5 * noise(
        by_description["ABDOMEN 5.0 B30"]
    )
    assert noise(by_description["CHEST REPEAT"]) < 0.5 * noise(by_description["CHEST"])


@pytest.mark.parametrize("outcome", ["unreadable", "undecodable", "no_pixels", "indexed"])
def test_flawed_files_fail_as_the_summary_says(sample, outcome):
    flaws = sample.summary.flaws_with(outcome)
    assert flaws
    for flaw in flaws:
        path = sample.folder / flaw.file
        if outcome == "unreadable":
            with pytest.raises(InvalidDicomError):
                pydicom.dcmread(path)
        elif outcome == "undecodable":
            dataset = pydicom.dcmread(path)
            assert dataset.Modality == "CR"
            with pytest.raises(ValueError, match="less than expected"):
                _ = dataset.pixel_array
        elif outcome == "no_pixels":
            dataset = pydicom.dcmread(path)
            assert "PixelData" not in dataset
            assert dataset.ContentSequence[0].TextValue
        else:
            with pytest.raises(InvalidDicomError):
                pydicom.dcmread(path)
            forced = pydicom.dcmread(path, force=True)
            assert forced.Rows == 512
            assert len(forced.PixelData) == 512 * 512 * 2


def test_the_constant_image_is_constant(sample, datasets):
    (flaw,) = [flaw for flaw in sample.summary.flaws if flaw.id == "constant-image"]
    assert np.ptp(datasets[flaw.file].pixel_array) == 0
