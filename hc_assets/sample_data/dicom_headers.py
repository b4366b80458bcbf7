"""DICOM headers: patient, study, series, equipment, and what each modality adds.

Belongs here: everything of a file but its pixels. Pixels and how they are stored are in
`dicom_images.py`.
"""

from collections.abc import Sequence

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from hc_assets.sample_data.fhir_resources import MRN_SYSTEM
from hc_assets.sample_data.seeded import uid_of
from hc_assets.sample_data.studies import Series, Study

PATIENT_ISSUER = "https://ellerybay.example.org/fhir/Patient"
_IMPLEMENTATION_UID = UID("2.25.205012633061937426213346187213951274217")
_IMPLEMENTATION_NAME = "HC_SAMPLE"
_SEX = {"female": "F", "male": "M"}
_MODELS = {
    "CT": "Made-up CT 64",
    "MR": "Made-up MR 1.5T",
    "CR": "Made-up CR Reader",
    "DX": "Made-up DR Wall",
    "US": "Made-up US Cart",
    "MG": "Made-up MG 3",
    "SR": "Made-up Workstation",
}
AXIAL = (1, 0, 0, 0, 1, 0)


def start_dataset(seed: int, study: Study, series: Series, instance: int) -> Dataset:
    """Build the header that every instance has.

    Args:
        seed: the sample's seed.
        study: the plan of its study; PatientID is the id of the FHIR Patient, and the medical
            record number stands in OtherPatientIDsSequence.
        series: the plan of its series.
        instance: number in the series, from 1.
    """
    kind = series.kind
    dataset = Dataset()
    dataset.file_meta = _file_meta(kind.sop_class, series.instance_uids[instance - 1])
    syntax = kind.transfer_syntax
    dataset.file_meta.TransferSyntaxUID = (
        ExplicitVRLittleEndian if syntax.is_compressed else syntax  # until it is compressed
    )
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = kind.sop_class
    dataset.SOPInstanceUID = series.instance_uids[instance - 1]
    _add_patient(dataset, study)
    dataset.StudyInstanceUID = study.uid
    dataset.StudyID = str(study.number)
    dataset.StudyDescription = study.kind.description
    dataset.AccessionNumber = study.accession
    dataset.ReferringPhysicianName = ""
    for what in ("Study", "Series", "Content"):
        setattr(dataset, f"{what}Date", f"{study.start:%Y%m%d}")
        setattr(dataset, f"{what}Time", f"{study.start:%H%M%S}")
    dataset.TimezoneOffsetFromUTC = f"{study.start:%z}"
    dataset.Modality = kind.modality
    dataset.SeriesInstanceUID = series.uid
    dataset.SeriesNumber = series.number
    dataset.SeriesDescription = kind.description
    dataset.InstanceNumber = instance
    dataset.Manufacturer = "Made-up Imaging"
    dataset.ManufacturerModelName = _MODELS[kind.modality]
    dataset.InstitutionName = "Ellery Bay Medical Center"
    dataset.SoftwareVersions = "1.0"
    if kind.frames:
        dataset.BodyPartExamined = study.kind.body_part
        dataset.BurnedInAnnotation = "NO"
        dataset.LossyImageCompression = "00"
        dataset.FrameOfReferenceUID = uid_of(seed, "frame_of_reference", study.number)
    return dataset


def _file_meta(sop_class: UID, instance_uid: str) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = UID(instance_uid)
    meta.ImplementationClassUID = _IMPLEMENTATION_UID
    meta.ImplementationVersionName = _IMPLEMENTATION_NAME
    return meta


def _add_patient(dataset: Dataset, study: Study) -> None:
    person = study.person
    dataset.PatientName = f"{person.family}^{person.given}^{person.middle}"
    dataset.PatientID = person.id
    dataset.IssuerOfPatientID = PATIENT_ISSUER
    dataset.PatientBirthDate = f"{person.birth_date:%Y%m%d}"
    dataset.PatientSex = _SEX[person.gender]
    dataset.PatientAge = f"{int(person.age_on(study.start.date())):03d}Y"
    other = Dataset()
    other.PatientID = person.mrn
    other.IssuerOfPatientID = MRN_SYSTEM
    other.TypeOfPatientID = "TEXT"
    dataset.OtherPatientIDsSequence = [other]


def add_geometry(
    dataset: Dataset, *, spacing_mm: float, thickness_mm: float, corner_mm: Sequence[float]
) -> None:
    """Place an axial slice: spacing, thickness, and the centre of its first pixel, in mm."""
    dataset.PixelSpacing = [spacing_mm, spacing_mm]
    dataset.SliceThickness = thickness_mm
    dataset.ImageOrientationPatient = list(AXIAL)
    dataset.ImagePositionPatient = [round(value, 3) for value in corner_mm]
    dataset.SliceLocation = round(corner_mm[2], 3)
    dataset.PositionReferenceIndicator = ""


def add_ct(dataset: Dataset, *, kernel: str, tube_current_ma: int) -> None:
    """Add what CT requires."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.KVP = 120
    dataset.XRayTubeCurrent = tube_current_ma
    dataset.ConvolutionKernel = kernel
    dataset.PatientPosition = "HFS"
    dataset.AcquisitionNumber = 1
    dataset.RescaleIntercept = -1024
    dataset.RescaleSlope = 1
    dataset.RescaleType = "HU"


def add_mr(dataset: Dataset, *, repetition_ms: float, echo_ms: float) -> None:
    """Add what MR requires; MR has no rescale."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
    dataset.ScanningSequence = "SE"
    dataset.SequenceVariant = "NONE"
    dataset.ScanOptions = ""
    dataset.MRAcquisitionType = "2D"
    dataset.RepetitionTime = repetition_ms
    dataset.EchoTime = echo_ms
    dataset.EchoTrainLength = 1
    dataset.MagneticFieldStrength = 1.5
    dataset.PatientPosition = "HFS"


def add_projection(dataset: Dataset, *, spacing_mm: float, view: str, is_digital: bool) -> None:
    """Add what CR, DX and MG require; spacing is that at the detector.

    Args:
        dataset: gains the elements.
        spacing_mm: distance of pixel centres on the detector.
        view: PA, LL, MLO.
        is_digital: DX and MG, which say what their values stand for; CR does not.
    """
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.ImagerPixelSpacing = [spacing_mm, spacing_mm]
    dataset.ViewPosition = view
    dataset.KVP = 28 if dataset.Modality == "MG" else 110
    dataset.PatientOrientation = ["L", "F"] if view == "PA" else ["A", "F"]
    if not is_digital:
        dataset.PlateType = "PHOSPHOR"
        return
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = -1
    dataset.RescaleIntercept = 0
    dataset.RescaleSlope = 1
    dataset.RescaleType = "US"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.DetectorType = "DIRECT"
    dataset.ImageLaterality = "U"


def add_mammogram(dataset: Dataset, *, is_left: bool) -> None:
    """Add what MG requires besides."""
    dataset.ImageLaterality = "L" if is_left else "R"
    dataset.PatientOrientation = ["A", "FR"] if is_left else ["P", "FL"]
    dataset.PositionerType = "MAMMOGRAPHIC"
    dataset.BodyPartThickness = 45
    dataset.CompressionForce = 90
    dataset.OrganExposed = "BREAST"
    dataset.ViewCodeSequence = [_code("399368009", "SCT", "medio-lateral oblique")]
    dataset.AnatomicRegionSequence = [_code("76752008", "SCT", "Breast")]


def add_ultrasound(dataset: Dataset, *, spacing_mm: float, frames: int) -> None:
    """Add what multi-frame US requires; the spacing stands in the region, as US has it."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "ABDOMINAL", "0001"]
    dataset.NumberOfFrames = frames
    dataset.FrameTime = 50
    dataset.FrameIncrementPointer = 0x00181063
    region = Dataset()
    region.RegionSpatialFormat = 1
    region.RegionDataType = 1
    region.RegionFlags = 0
    region.RegionLocationMinX0 = 0
    region.RegionLocationMinY0 = 0
    region.RegionLocationMaxX1 = dataset.Columns - 1
    region.RegionLocationMaxY1 = dataset.Rows - 1
    region.PhysicalUnitsXDirection = 3
    region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = spacing_mm / 10  # in cm
    region.PhysicalDeltaY = spacing_mm / 10
    dataset.SequenceOfUltrasoundRegions = [region]


def add_report(dataset: Dataset, text: str, findings: Sequence[str]) -> None:
    """Add the content of a Basic Text SR: a container with text items."""
    dataset.CompletionFlag = "COMPLETE"
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.ValueType = "CONTAINER"
    dataset.ContinuityOfContent = "SEPARATE"
    dataset.ConceptNameCodeSequence = [_code("18748-4", "LN", "Diagnostic imaging study")]
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.PerformedProcedureCodeSequence = []
    items = []
    for value in (text, *findings):
        item = Dataset()
        item.RelationshipType = "CONTAINS"
        item.ValueType = "TEXT"
        item.ConceptNameCodeSequence = [_code("121071", "DCM", "Finding")]
        item.TextValue = value
        items.append(item)
    dataset.ContentSequence = items


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue = value
    code.CodingSchemeDesignator = scheme
    code.CodeMeaning = meaning
    return code
