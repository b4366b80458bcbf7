"""Which attributes a header must have by its SOP class, and which of them it lacks.

Belongs here: the modules of the common IODs (PS3.3 Annex A, edition 2026b) with their attributes of
type 1 at the top of the dataset, and looking for these in DICOM JSON. Attributes that depend on
others (type 1C) and those within sequences are not asked for. What becomes of a lack is stated in
`imaging/verdicts/headers.py`.
"""

from collections.abc import Iterable, Mapping
from functools import cache

import msgspec
from pydicom import uid
from pydicom.datadict import tag_for_keyword

from hc_assets.imaging.headers.elements import tag_name

# Type 1 by module; a module without any (Patient C.7.1.1, General Equipment C.7.5.1, General Image
# C.7.6.1, and others) is not listed
MODULES: Mapping[str, tuple[str, ...]] = {
    "general-study": ("StudyInstanceUID",),  # C.7.2.1
    "general-series": ("Modality", "SeriesInstanceUID"),  # C.7.3.1
    "enhanced-series": ("SeriesNumber",),  # C.7.3.3
    "frame-of-reference": ("FrameOfReferenceUID",),  # C.7.4.1
    "enhanced-general-equipment": (  # C.7.5.2
        *("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions"),
    ),
    "image-plane": ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),  # C.7.6.2
    "image-pixel": (  # C.7.6.3
        *("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated"),
        *("BitsStored", "HighBit", "PixelRepresentation"),
    ),
    "multi-frame": ("NumberOfFrames", "FrameIncrementPointer"),  # C.7.6.6
    "multi-frame-functional-groups": (  # C.7.6.16
        *("ContentDate", "ContentTime", "InstanceNumber", "NumberOfFrames"),
        "SharedFunctionalGroupsSequence",
    ),
    "multi-frame-dimension": ("DimensionOrganizationSequence",),  # C.7.6.17
    "specimen": ("ContainerIdentifier", "SpecimenDescriptionSequence"),  # C.7.6.22
    "floating-point-image-pixel": (  # C.7.6.24
        *("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated"),
    ),
    "ct-image": ("ImageType", "RescaleIntercept", "RescaleSlope"),  # C.8.2.1
    "mr-image": ("ImageType", "ScanningSequence", "SequenceVariant"),  # C.8.3.1
    "nm-multi-frame": (  # C.8.4.8
        *("FrameIncrementPointer", "NumberOfEnergyWindows", "NumberOfDetectors"),
    ),
    "nm-image": ("ImageType",),  # C.8.4.9
    "sc-equipment": ("ConversionType",),  # C.8.6.1
    "sc-multi-frame-image": ("BurnedInAnnotation",),  # C.8.6.3
    "x-ray-image": ("ImageType", "PixelIntensityRelationship"),  # C.8.7.1
    "x-ray-acquisition": ("RadiationSetting",),  # C.8.7.2
    "rt-series": ("Modality", "SeriesInstanceUID"),  # C.8.8.1
    "rt-image": ("ImageType", "RTImageLabel", "RTImagePlane"),  # C.8.8.2
    "rt-dose": ("DoseUnits", "DoseType", "DoseSummationType"),  # C.8.8.3
    "structure-set": ("StructureSetLabel",),  # C.8.8.5
    "rt-general-plan": ("RTPlanLabel", "RTPlanGeometry"),  # C.8.8.9
    "rt-general-treatment-record": ("InstanceNumber",),  # C.8.8.17
    "rt-treatment-machine-record": ("TreatmentMachineSequence",),  # C.8.8.18
    "pet-series": (  # C.8.9.1
        *("SeriesDate", "SeriesTime", "NumberOfSlices", "SeriesType", "Units", "CountsSource"),
        "DecayCorrection",
    ),
    "pet-image": (  # C.8.9.4
        *("ImageType", "RescaleIntercept", "RescaleSlope", "FrameReferenceTime", "ImageIndex"),
    ),
    "dx-series": ("Modality", "PresentationIntentType"),  # C.8.11.1
    "dx-anatomy-imaged": ("ImageLaterality",),  # C.8.11.2
    "dx-image": (  # C.8.11.3
        *("ImageType", "BurnedInAnnotation", "PixelIntensityRelationship"),
        *("PixelIntensityRelationshipSign", "RescaleIntercept", "RescaleSlope", "RescaleType"),
        *("LossyImageCompression", "PresentationLUTShape"),
    ),
    "dx-detector": ("ImagerPixelSpacing",),  # C.8.11.4
    "mammography-image": (  # C.8.11.7
        *("ImageType", "AnatomicRegionSequence", "PositionerType", "ImageLaterality"),
        *("OrganExposed", "ViewCodeSequence"),
    ),
    "vl-image": ("ImageType",),  # C.8.12.1
    "whole-slide-microscopy-image": (  # C.8.12.4
        *("ImageType", "AcquisitionDateTime", "VolumetricProperties", "BurnedInAnnotation"),
        *("LossyImageCompression", "SpecimenLabelInImage", "FocusMethod", "ExtendedDepthOfField"),
    ),
    "optical-path": ("OpticalPathSequence",),  # C.8.12.5
    "microscope-slide-layer-tile-organization": (  # C.8.12.14
        *("TotalPixelMatrixColumns", "TotalPixelMatrixRows", "TotalPixelMatrixOriginSequence"),
    ),
    "enhanced-mr-image": (  # C.8.13.1
        *("ImageType", "PixelPresentation", "VolumetricProperties"),
        "VolumeBasedCalculationTechnique",
    ),
    "enhanced-ct-image": (  # C.8.15.2
        *("ImageType", "PixelPresentation", "VolumetricProperties"),
        *("VolumeBasedCalculationTechnique", "PresentationLUTShape"),
    ),
    "segmentation-series": ("Modality", "SeriesNumber"),  # C.8.20.1
    "segmentation-image": (  # C.8.20.2
        *("ImageType", "InstanceNumber", "ContentLabel", "LossyImageCompression"),
        *("SegmentationType", "SegmentSequence"),
    ),
    "enhanced-pet-acquisition": (  # C.8.22.2
        *("TableMotion", "TimeOfFlightInformationUsed", "ViewCodeSequence"),
    ),
    "enhanced-pet-isotope": ("RadiopharmaceuticalInformationSequence",),  # C.8.22.4
    "enhanced-pet-corrections": (  # C.8.22.6
        *("CountsSource", "DecayCorrected", "AttenuationCorrected", "ScatterCorrected"),
        *("DeadTimeCorrected", "GantryMotionCorrected", "PatientMotionCorrected"),
        *("CountLossNormalizationCorrected", "RandomsCorrected", "SensitivityCalibrated"),
        *("NonUniformRadialSamplingCorrected", "DetectorNormalizationCorrection"),
    ),
    "surface-segmentation": (  # C.8.23.1
        *("ContentDate", "ContentTime", "InstanceNumber", "ContentLabel", "SegmentSequence"),
    ),
    "surface-mesh": ("NumberOfSurfaces", "SurfaceSequence"),  # C.27.1
    "enhanced-pet-image": (  # C.8.22.3
        *("ImageType", "PixelPresentation", "VolumetricProperties"),
        *("VolumeBasedCalculationTechnique", "ContentQualification", "PresentationLUTShape"),
    ),
    "x-ray-3d-image": (  # C.8.21.1
        *("ImageType", "PixelPresentation", "VolumetricProperties"),
        *("VolumeBasedCalculationTechnique", "ContentQualification", "BurnedInAnnotation"),
        *("LossyImageCompression", "PresentationLUTShape"),
    ),
    "breast-view": ("ImageType", "ViewCodeSequence"),  # C.8.21.6
    "parametric-map-series": ("Modality", "SeriesNumber"),  # C.8.32.1
    "parametric-map-image": (  # C.8.32.2
        *("ImageType", "InstanceNumber", "ContentLabel", "ContentQualification"),
        *("BurnedInAnnotation", "RecognizableVisualFeatures", "LossyImageCompression"),
        "PresentationLUTShape",
    ),
    "displayed-area": ("DisplayedAreaSelectionSequence",),  # C.10.4
    "waveform-identification": (  # C.10.8
        *("InstanceNumber", "ContentDate", "ContentTime", "AcquisitionDateTime"),
    ),
    "waveform": ("WaveformSequence",),  # C.10.9
    "presentation-series": ("Modality",),  # C.11.9
    "presentation-state-identification": (  # C.11.10
        *("InstanceNumber", "ContentLabel", "PresentationCreationDate", "PresentationCreationTime"),
    ),
    "presentation-state-relationship": ("ReferencedSeriesSequence",),  # C.11.11
    "icc-profile": ("ICCProfile",),  # C.11.15
    "sop-common": ("SOPClassUID", "SOPInstanceUID"),  # C.12.1
    "sr-document-series": ("Modality", "SeriesInstanceUID", "SeriesNumber"),  # C.17.1
    "sr-document-general": (  # C.17.2
        *("InstanceNumber", "CompletionFlag", "VerificationFlag", "ContentDate", "ContentTime"),
    ),
    # C.17.3; the root of the tree is a CONTAINER. Other kinds of value are of items below it
    "sr-document-content": ("ValueType", "ContinuityOfContent"),
    "key-object-document-series": ("Modality", "SeriesInstanceUID", "SeriesNumber"),  # C.17.6.1
    "key-object-document": (  # C.17.6.2
        *("InstanceNumber", "ContentDate", "ContentTime"),
        "CurrentRequestedProcedureEvidenceSequence",
    ),
    "spatial-registration-series": ("Modality",),  # C.20.1
    "spatial-registration": (  # C.20.2
        *("ContentDate", "ContentTime", "InstanceNumber", "ContentLabel", "RegistrationSequence"),
    ),
    "raw-data": ("ContentDate", "ContentTime", "CreatorVersionUID"),  # C.19.1
    "encapsulated-document-series": ("Modality", "SeriesInstanceUID", "SeriesNumber"),  # C.24.1
    "encapsulated-document": (  # C.24.2
        *("InstanceNumber", "BurnedInAnnotation", "EncapsulatedDocument"),
        "MIMETypeOfEncapsulatedDocument",
    ),
}
"""Keywords of the attributes of type 1 at the top of the dataset, by the id of their module."""

_GENERAL = ("general-study", "general-series", "sop-common")
_PIXELS = (*_GENERAL, "image-pixel")
_FRAMES = (*_PIXELS, "multi-frame")
_GROUPS = (*_PIXELS, "multi-frame-functional-groups")
_ENHANCED = (*_GROUPS, "frame-of-reference", "enhanced-general-equipment")
_PLANE = (*_PIXELS, "frame-of-reference", "image-plane")
_DX = (*_PIXELS, "dx-series", "dx-anatomy-imaged", "dx-image", "dx-detector")
_SC_FRAMES = (*_FRAMES, "sc-equipment", "sc-multi-frame-image")
_XRAY = (*_PIXELS, "x-ray-image", "x-ray-acquisition")
_XRAY_3D = (*_ENHANCED, "x-ray-3d-image")
_VL = (*_PIXELS, "vl-image")
_OF_RT = ("general-study", "sop-common", "rt-series")
_SR = (
    *("general-study", "sop-common", "sr-document-series", "sr-document-general"),
    "sr-document-content",
)
_DOCUMENT = (
    *("general-study", "sop-common", "encapsulated-document-series", "sc-equipment"),
    "encapsulated-document",
)
_STATE = (
    *(*_GENERAL, "presentation-series", "presentation-state-identification"),
    *("presentation-state-relationship", "displayed-area"),
)
_WAVEFORM = (*_GENERAL, "waveform-identification", "waveform")

# Mandatory modules (usage M) of the tables of PS3.3 Annex A
IODS: Mapping[str, tuple[str, ...]] = {
    uid.ComputedRadiographyImageStorage: _PIXELS,  # A.2
    uid.CTImageStorage: (*_PLANE, "ct-image"),  # A.3
    uid.MRImageStorage: (*_PLANE, "mr-image"),  # A.4
    uid.NuclearMedicineImageStorage: (*_FRAMES, "nm-multi-frame", "nm-image"),  # A.5
    uid.UltrasoundImageStorage: _PIXELS,  # A.6
    uid.UltrasoundMultiFrameImageStorage: _FRAMES,  # A.7
    uid.SecondaryCaptureImageStorage: (*_PIXELS, "sc-equipment"),  # A.8.1
    uid.MultiFrameSingleBitSecondaryCaptureImageStorage: _SC_FRAMES,  # A.8.2
    uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage: _SC_FRAMES,  # A.8.3
    uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage: _SC_FRAMES,  # A.8.4
    uid.MultiFrameTrueColorSecondaryCaptureImageStorage: _SC_FRAMES,  # A.8.5
    uid.XRayAngiographicImageStorage: _XRAY,  # A.14
    uid.XRayRadiofluoroscopicImageStorage: _XRAY,  # A.16
    uid.RTImageStorage: (*_OF_RT, "image-pixel", "rt-image"),  # A.17
    uid.RTDoseStorage: (*_OF_RT, "frame-of-reference", "rt-dose"),  # A.18
    uid.RTStructureSetStorage: (*_OF_RT, "structure-set"),  # A.19
    uid.RTPlanStorage: (*_OF_RT, "rt-general-plan"),  # A.20
    uid.PositronEmissionTomographyImageStorage: (*_PLANE, "pet-series", "pet-image"),  # A.21
    uid.DigitalXRayImageStorageForPresentation: _DX,  # A.26
    uid.DigitalXRayImageStorageForProcessing: _DX,
    uid.DigitalMammographyXRayImageStorageForPresentation: (*_DX, "mammography-image"),  # A.27
    uid.DigitalMammographyXRayImageStorageForProcessing: (*_DX, "mammography-image"),
    uid.RTBeamsTreatmentRecordStorage: (  # A.29
        *(*_OF_RT, "rt-general-treatment-record", "rt-treatment-machine-record"),
    ),
    uid.VLEndoscopicImageStorage: _VL,  # A.32.1
    uid.VLMicroscopicImageStorage: _VL,  # A.32.2
    uid.VLPhotographicImageStorage: _VL,  # A.32.4
    uid.VLWholeSlideMicroscopyImageStorage: (  # A.32.8
        *(*_GROUPS, "enhanced-general-equipment", "microscope-slide-layer-tile-organization"),
        *("multi-frame-dimension", "specimen", "whole-slide-microscopy-image", "optical-path"),
    ),
    uid.GrayscaleSoftcopyPresentationStateStorage: _STATE,  # A.33.1
    uid.ColorSoftcopyPresentationStateStorage: (*_STATE, "icc-profile"),  # A.33.2
    uid.TwelveLeadECGWaveformStorage: _WAVEFORM,  # A.34.3
    uid.GeneralECGWaveformStorage: _WAVEFORM,  # A.34.4
    uid.AmbulatoryECGWaveformStorage: _WAVEFORM,  # A.34.5
    uid.HemodynamicWaveformStorage: _WAVEFORM,  # A.34.6
    uid.BasicVoiceAudioWaveformStorage: _WAVEFORM,  # A.34.2
    uid.BasicTextSRStorage: _SR,  # A.35.1
    uid.EnhancedSRStorage: _SR,  # A.35.2
    uid.ComprehensiveSRStorage: _SR,  # A.35.3
    uid.KeyObjectSelectionDocumentStorage: (  # A.35.4
        *("general-study", "sop-common", "key-object-document-series", "key-object-document"),
        "sr-document-content",
    ),
    uid.MammographyCADSRStorage: _SR,  # A.35.5
    uid.XRayRadiationDoseSRStorage: (*_SR, "enhanced-general-equipment"),  # A.35.8
    uid.Comprehensive3DSRStorage: _SR,  # A.35.13
    uid.EnhancedMRImageStorage: (  # A.36.2
        *(*_ENHANCED, "multi-frame-dimension", "enhanced-mr-image"),
    ),
    uid.RawDataStorage: (*_GENERAL, "raw-data"),  # A.37
    uid.EnhancedCTImageStorage: (  # A.38
        *(*_ENHANCED, "multi-frame-dimension", "enhanced-ct-image"),
    ),
    uid.SpatialRegistrationStorage: (  # A.39.1
        *(*_GENERAL, "frame-of-reference", "spatial-registration-series", "spatial-registration"),
    ),
    uid.EncapsulatedPDFStorage: _DOCUMENT,  # A.45.1
    uid.EncapsulatedCDAStorage: _DOCUMENT,  # A.45.2
    uid.SegmentationStorage: (  # A.51
        *(*_GROUPS, "enhanced-general-equipment", "segmentation-series", "segmentation-image"),
        "multi-frame-dimension",
    ),
    uid.XRay3DAngiographicImageStorage: (*_XRAY_3D, "enhanced-series"),  # A.53
    uid.BreastTomosynthesisImageStorage: (*_XRAY_3D, "breast-view"),  # A.55
    uid.EnhancedPETImageStorage: (  # A.56
        *(*_ENHANCED, "multi-frame-dimension", "enhanced-pet-image", "enhanced-pet-acquisition"),
        *("enhanced-pet-isotope", "enhanced-pet-corrections"),
    ),
    uid.SurfaceSegmentationStorage: (  # A.57
        *(*_GENERAL, "segmentation-series", "frame-of-reference", "enhanced-general-equipment"),
        *("surface-segmentation", "surface-mesh"),
    ),
    # A.70 to A.72: what was converted need not say more than the images that it was made of
    uid.LegacyConvertedEnhancedCTImageStorage: (*_GROUPS, "frame-of-reference"),
    uid.LegacyConvertedEnhancedMRImageStorage: (*_GROUPS, "frame-of-reference"),
    uid.LegacyConvertedEnhancedPETImageStorage: (*_GROUPS, "frame-of-reference"),
    uid.ParametricMapStorage: (  # A.75
        *(*_GENERAL, "multi-frame-functional-groups", "frame-of-reference"),
        *("enhanced-general-equipment", "multi-frame-dimension", "parametric-map-series"),
        *("parametric-map-image", "floating-point-image-pixel"),
    ),
}
"""Ids of the mandatory modules that have attributes of type 1, by SOP class UID."""

# F.3.2.1 and F.3.2.2 (Directory Information): a DICOMDIR is no composite object
_DIRECTORY = (
    "OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity",
    "OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity",
    "FileSetConsistencyFlag",
)


_ABSENT = msgspec.Raw(b"null")


class _Element(msgspec.Struct):
    """An element of DICOM JSON, of which only whether it has a value counts."""

    Value: msgspec.Raw = _ABSENT
    InlineBinary: msgspec.Raw = _ABSENT
    BulkDataURI: msgspec.Raw = _ABSENT

    def has_value(self) -> bool:
        sent = (self.Value, self.InlineBinary, self.BulkDataURI)
        return any(each is not _ABSENT for each in sent)


_decoder = msgspec.json.Decoder(dict[str, _Element])


@cache
def required_attributes(sop_class_uid: str | None, *, has_pixels: bool) -> tuple[str, ...]:
    """Keywords of the attributes that an object must have a value of, sorted.

    Args:
        sop_class_uid: what the object is. Of one that `IODS` lacks only the General Study, General
            Series and SOP Common modules are asked for.
        has_pixels: whether it has pixels: then the Image Pixel module is asked for, too.
    """
    if sop_class_uid == uid.MediaStorageDirectoryStorage:
        return _DIRECTORY
    modules = IODS.get(sop_class_uid or "", _GENERAL)
    if has_pixels and "floating-point-image-pixel" not in modules:
        modules = (*modules, "image-pixel")
    return tuple(sorted({keyword for module in modules for keyword in MODULES[module]}))


def lacking_attributes(
    dicom_json: str, warnings: Iterable[str], sop_class_uid: str | None, *, has_pixels: bool
) -> list[str]:
    """Keywords of the attributes that an object must have, and has no value of, sorted.

    Args:
        dicom_json: the dataset as the index has it.
        warnings: of the same row; they name what is in the dataset but too large for the JSON.
        sop_class_uid: what the object is.
        has_pixels: whether it has pixels.

    Raises:
        msgspec.DecodeError: the text is no DICOM JSON.
    """
    elements = _decoder.decode(dicom_json)
    left_out = {note.partition(":")[0] for note in warnings if "left out of the JSON" in note}
    return [
        keyword
        for keyword in required_attributes(sop_class_uid, has_pixels=has_pixels)
        if not _has_value(elements, keyword, left_out)
    ]


def _has_value(elements: dict[str, _Element], keyword: str, left_out: set[str]) -> bool:
    tag = _tag(keyword)
    element = elements.get(f"{tag:08X}")
    return element is not None and (element.has_value() or tag_name(tag) in left_out)


@cache
def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword} is no keyword of the DICOM dictionary")
    return tag
