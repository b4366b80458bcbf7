"""Imaging studies and their reports as FHIR R4 resources.

Belongs here: ImagingStudy, the Encounter's visit it belongs to, and the radiology report. The
DICOM files that it names are made in `dicom_files.py`, from the same plan.
"""

from datetime import timedelta

from hc_assets.sample_data.codes import HL7_CODES, LOINC, SNOMED, coding, concept
from hc_assets.sample_data.histories import Visit
from hc_assets.sample_data.observations import Refer, Resource
from hc_assets.sample_data.studies import Series, Study

ACCESSION_SYSTEM = "https://ellerybay.example.org/accession"
_DCM = "http://dicom.nema.org/resources/ontology/DCM"


def imaging_visit(study: Study) -> Visit:
    """Return the visit to the imaging department; the study starts within it."""
    start = study.start - timedelta(minutes=10)
    end = study.start + timedelta(minutes=35)
    return Visit(study.encounter_id, "imaging", start, end, carer=study.number % 4)


def imaging_study(study: Study, refer: Refer) -> Resource:
    """Build an ImagingStudy that names every readable DICOM instance of the study."""
    return {
        "resourceType": "ImagingStudy",
        "id": study.id,
        "identifier": [
            {"system": "urn:dicom:uid", "value": f"urn:oid:{study.uid}"},
            {
                "type": concept(HL7_CODES + "v2-0203", "ACSN", "Accession ID"),
                "system": ACCESSION_SYSTEM,
                "value": study.accession,
            },
        ],
        "status": "available",
        "modality": [coding(_DCM, modality, modality) for modality in _modalities(study)],
        "subject": refer("Patient", study.person.id),
        "encounter": refer("Encounter", study.encounter_id),
        "started": study.start.isoformat(),
        "numberOfSeries": len(study.series),
        "numberOfInstances": sum(len(series.instance_uids) for series in study.series),
        "description": study.kind.description,
        "series": [_series(study, series) for series in study.series],
    }


def _modalities(study: Study) -> list[str]:
    return list(dict.fromkeys(series.kind.modality for series in study.series))


def _series(study: Study, series: Series) -> Resource:
    kind = series.kind
    return {
        "uid": series.uid,
        "number": series.number,
        "modality": coding(_DCM, kind.modality, kind.modality),
        "description": kind.description,
        "numberOfInstances": len(series.instance_uids),
        "bodySite": coding(SNOMED, *study.kind.body_site),
        "started": study.start.isoformat(),
        "instance": [
            {
                "uid": uid,
                "sopClass": {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{kind.sop_class}"},
                "number": number,
            }
            for number, uid in enumerate(series.instance_uids, start=1)
        ],
    }


def imaging_report(study: Study, refer: Refer) -> Resource:
    """Build the radiology report."""
    return {
        "resourceType": "DiagnosticReport",
        "id": study.report_id,
        "status": "final",
        "category": [concept(HL7_CODES + "v2-0074", "RAD", "Radiology")],
        "code": concept(LOINC, *study.kind.report),
        "subject": refer("Patient", study.person.id),
        "encounter": refer("Encounter", study.encounter_id),
        "effectiveDateTime": study.start.isoformat(),
        "issued": (study.start + timedelta(minutes=30)).isoformat(timespec="milliseconds"),
        "imagingStudy": [refer("ImagingStudy", study.id)],
        "conclusion": study.kind.conclusion,
    }
