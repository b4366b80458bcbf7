from importlib.resources import files

import msgspec
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.uid import (
    CTImageStorage,
    EncapsulatedPDFStorage,
    KeyObjectSelectionDocumentStorage,
    MediaStorageDirectoryStorage,
    ParametricMapStorage,
    RTDoseStorage,
    RTStructureSetStorage,
    TwelveLeadECGWaveformStorage,
)

from hc_assets.imaging.headers.read import read_header
from hc_assets.imaging.headers.required_attributes import (
    IODS,
    MODULES,
    lacking_attributes,
    required_attributes,
)

# Of other kinds of content items than the CONTAINER that is the root
BELOW_THE_ROOT = {
    *("ConceptCodeSequence", "GraphicData", "GraphicType", "ReferencedFrameOfReferenceUID"),
    *("ReferencedSOPSequence", "TabulatedValuesSequence", "TemporalRangeType"),
}
# Converted images lack what those that they were made of lack
UNTOLD_OF_CONVERTED = {
    *("ContentQualification", "ImageType", "PixelPresentation", "PresentationLUTShape"),
    *("VolumeBasedCalculationTechnique", "VolumetricProperties"),
}


@pytest.fixture(scope="module")
def standard():
    """The tables of PS3.3, as another project has extracted them."""
    folder = files("highdicom") / "_standard"
    names = ("sop_class_iod_map", "iod_module_map", "module_attribute_map")
    return [msgspec.json.decode((folder / f"{name}.json").read_bytes()) for name in names]


def type_1(standard, sop_class: str, usages: str) -> set[str]:
    iods, modules, attributes = standard
    return {
        attribute["keyword"]
        for module in modules[iods[sop_class]]
        if module["usage"] in usages
        for attribute in attributes.get(module["key"], [])
        if attribute["type"] == "1" and not attribute["path"]
    }


@pytest.mark.parametrize("sop_class", IODS, ids=lambda uid: uid.name)
def test_a_class_needs_what_the_standard_says(standard, sop_class):
    ours = set(required_attributes(str(sop_class), has_pixels=False))
    mandatory = type_1(standard, sop_class, "M")
    # Pixels of a parametric map are one of three conditional modules, which agree in these
    allowed = mandatory | ({"Rows", "Columns"} if sop_class == ParametricMapStorage else set())
    assert ours <= allowed
    is_converted = "Legacy" in sop_class.name
    assert mandatory - ours <= (UNTOLD_OF_CONVERTED if is_converted else BELOW_THE_ROOT)


def test_no_module_is_there_for_nothing():
    used = {module for modules in IODS.values() for module in modules}
    assert used == set(MODULES)


def missing(name: str) -> tuple[str, list[str]]:
    row = read_header(get_testdata_file(name))
    lacking = lacking_attributes(
        row["dicom_json"], row["warnings"], row["sop_class_uid"], has_pixels=row["has_pixels"]
    )
    return row["sop_class_uid"], lacking


@pytest.mark.parametrize(
    ("name", "sop_class", "lacking"),
    [
        ("CT_small.dcm", CTImageStorage, []),
        ("rtdose.dcm", RTDoseStorage, []),
        ("rtstruct.dcm", RTStructureSetStorage, []),
        ("waveform_ecg.dcm", TwelveLeadECGWaveformStorage, []),
        ("DICOMDIR", MediaStorageDirectoryStorage, []),
    ],
)
def test_real_objects_have_what_they_need(name, sop_class, lacking):
    assert missing(name) == (sop_class, lacking)


def json_with_values(sop_class: str) -> dict[str, dict]:
    """DICOM JSON in which each attribute that a class needs has some value."""
    keywords = required_attributes(str(sop_class), has_pixels=False)
    return {f"{tag_for_keyword(keyword):08X}": {"vr": "CS", "Value": ["1"]} for keyword in keywords}


def lacking_of(sop_class: str, json: dict[str, dict], *, has_pixels: bool = False) -> list[str]:
    text = msgspec.json.encode(json).decode()
    return lacking_attributes(text, [], str(sop_class), has_pixels=has_pixels)


@pytest.mark.parametrize("sop_class", IODS, ids=lambda uid: uid.name)
def test_each_attribute_is_missed_alone(sop_class):
    whole = json_with_values(sop_class)
    assert lacking_of(sop_class, whole) == []
    for tag in whole:
        rest = {other: whole[other] for other in whole if other != tag}
        assert lacking_of(sop_class, rest) == [keyword_for_tag(tag)]


def test_an_empty_value_is_none():
    document = json_with_values(KeyObjectSelectionDocumentStorage)
    document["00080023"] = {"vr": "DA"}
    document["0040A375"] = {"vr": "SQ"}
    assert lacking_of(KeyObjectSelectionDocumentStorage, document) == [
        *("ContentDate", "CurrentRequestedProcedureEvidenceSequence"),
    ]


def test_bytes_and_bulk_are_values():
    document = json_with_values(EncapsulatedPDFStorage)
    for value in ({"InlineBinary": "AAAA"}, {"BulkDataURI": "#offset=1&length=2"}):
        document["00420011"] = {"vr": "OB", **value}
        assert lacking_of(EncapsulatedPDFStorage, document) == []


def test_pixels_have_to_be_described_where_they_are_optional():
    dose = json_with_values(RTDoseStorage)
    assert lacking_of(RTDoseStorage, dose) == []
    assert "BitsStored" in lacking_of(RTDoseStorage, dose, has_pixels=True)


def test_an_unknown_class_must_have_the_general_modules():
    assert required_attributes(None, has_pixels=False) == required_attributes(
        "1.2.3.4", has_pixels=False
    )
    assert required_attributes("1.2.3.4", has_pixels=False) == (
        *("Modality", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"),
    )


def test_what_is_too_large_for_the_json_is_not_missed(tmp_path):
    evidence = pydicom.Dataset()
    evidence.SOPClassUID = KeyObjectSelectionDocumentStorage
    evidence.SOPInstanceUID = evidence.StudyInstanceUID = evidence.SeriesInstanceUID = "1.2.3"
    evidence.Modality = "KO"
    item = pydicom.Dataset()
    item.TextValue = "x" * 10_000
    evidence.CurrentRequestedProcedureEvidenceSequence = [item] * 900
    evidence.save_as(tmp_path / "large", implicit_vr=False, little_endian=True)
    row = read_header(tmp_path / "large")
    assert any("left out of the JSON" in note for note in row["warnings"])
    lacking = lacking_attributes(
        row["dicom_json"], row["warnings"], row["sop_class_uid"], has_pixels=False
    )
    assert "ContentDate" in lacking
    assert "CurrentRequestedProcedureEvidenceSequence" not in lacking
