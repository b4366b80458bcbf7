"""Deliveries full of identifiers, valid ones and such as are wrong in every way that gives a text.

Belongs here: files for the privacy tests.
"""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEGBaseline8Bit

from hc_assets_tests.privacy.identifiers import (
    ACCESSION,
    BIRTH,
    FAMILY,
    GIVEN,
    IDENTITY,
    MAIL,
    PHONE,
    RECORD_NUMBER,
    STREET,
    UID_ROOT,
    VISIT,
)

NAME = f"{FAMILY}_{GIVEN}_{BIRTH:%Y%m%d}"
Resource = dict[str, Any]


def patient(identity: str = IDENTITY, **more: Any) -> Resource:
    """A patient of whom everything is an identifier."""
    return {
        "resourceType": "Patient",
        "id": identity,
        "identifier": [{"system": "urn:mrn", "value": RECORD_NUMBER}],
        "name": [{"family": FAMILY, "given": [GIVEN]}],
        "birthDate": f"{BIRTH}",
        "telecom": [{"system": "phone", "value": PHONE}, {"system": "email", "value": MAIL}],
        "address": [{"line": [STREET]}],
    } | more


def observation(identity: str, **more: Any) -> Resource:
    """An observation of that patient."""
    return {
        "resourceType": "Observation",
        "id": identity,
        "status": "final",
        "code": {"text": f"weight of {FAMILY}"},
        "subject": {"reference": f"Patient/{IDENTITY}", "display": f"{GIVEN} {FAMILY}"},
        "effectiveDateTime": f"{VISIT}",
        "valueString": f"seen by {GIVEN}",
    } | more


def invalid() -> list[Resource]:
    """Resources that are wrong, each with an identifier where a message may quote it."""
    return [
        patient("a1", gender=FAMILY),
        patient("a2", birthDate=f"{BIRTH:%d.%m.%Y}"),
        patient(f"{IDENTITY} {FAMILY}"),
        patient("a3", **{FAMILY: GIVEN}),
        patient("a4", extension=[{"url": FAMILY}]),
        patient("a5", managingOrganization={"reference": f"{FAMILY}/{IDENTITY}"}),
        patient("a6", text={"status": "generated", "div": f"<div>{FAMILY}<script>{GIVEN}</div>"}),
        patient("a7", meta={"profile": [f"http://{FAMILY}.example/{IDENTITY}"]}),
        patient("a8", contained=[{"resourceType": FAMILY, "id": IDENTITY}]),
        patient(
            "c1",
            extension=[
                {
                    "url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
                    f"value{FAMILY}": GIVEN,
                }
            ],
        ),
        patient("a9", name=FAMILY, birthDate=[f"{BIRTH}"]),
        observation("b1", status=FAMILY),
        observation("b2", subject={"reference": f"Group/{IDENTITY}|{RECORD_NUMBER}"}),
        observation("b3", valueQuantity={"value": f"{RECORD_NUMBER}", "unit": FAMILY}),
        observation("b4", effectivePeriod={"start": f"{VISIT}", "end": f"{BIRTH}"}),
        {"resourceType": FAMILY, "id": IDENTITY},
        {"resourceType": RECORD_NUMBER},
    ]


def write_to_validate(folder: Path) -> list[Path]:
    """The same resources in files whose names say nothing: what `validate` prints of its own."""
    folder.mkdir(parents=True)
    bundle = {"resourceType": "Bundle", "type": "collection"}
    bundle["entry"] = [{"resource": each} for each in invalid()]
    texts = {
        "bundle.json": json.dumps(bundle),
        "lines.ndjson": "\n".join(json.dumps(each) for each in [patient(), *invalid()]),
        "cut.json": json.dumps(bundle)[:-200],
        "no.json": f"{FAMILY} {RECORD_NUMBER}",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    return sorted(folder.iterdir())


def write_fhir(folder: Path) -> None:
    """Bundles, NDJSON and broken files whose names tell who it is."""
    person = folder / NAME
    person.mkdir(parents=True)
    entries = [
        {
            "fullUrl": f"https://{FAMILY.lower()}.example/{each['resourceType']}/{each['id']}",
            "resource": each,
            "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"},
        }
        for each in (patient(), observation(f"{IDENTITY}-o"), *invalid()[:4])
    ]
    deletion = {"request": {"method": "DELETE", "url": f"Patient/{IDENTITY}-gone"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [*entries, deletion]}
    (person / f"{NAME}.json").write_text(json.dumps(bundle))
    lines = [json.dumps(each) for each in (patient("ok1"), *invalid())]
    lines += [f'{{"resourceType": "Patient", "name": "{FAMILY}', f"{FAMILY} {RECORD_NUMBER}"]
    (person / f"{RECORD_NUMBER}.ndjson").write_text("\n".join(lines))
    (person / f"{NAME}-cut.json").write_text(json.dumps(bundle)[:-200])
    (person / f"{NAME}.txt").write_text(f"{FAMILY}, {GIVEN}, born {BIRTH}")
    (person / f"{NAME}.ndjson.gz").write_bytes(b"\x1f\x8b" + FAMILY.encode())
    (person / f"{NAME}-empty.json").write_bytes(b"")
    (person / f"{NAME}-link").symlink_to(f"/{FAMILY}")


def _dataset(number: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = f"{UID_ROOT}.3.{number}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{UID_ROOT}.1", f"{UID_ROOT}.2"
    dataset.PatientName, dataset.PatientID = f"{FAMILY}^{GIVEN}", RECORD_NUMBER
    dataset.PatientBirthDate, dataset.StudyDate = f"{BIRTH:%Y%m%d}", f"{VISIT:%Y%m%d}"
    dataset.AccessionNumber, dataset.StudyDescription = ACCESSION, f"head of {FAMILY}"
    dataset.SeriesDescription, dataset.StationName = f"{FAMILY} axial", FAMILY
    dataset.PatientAddress, dataset.PatientTelephoneNumbers = STREET, PHONE
    dataset.Modality, dataset.Manufacturer = "CT", f"Siemens {FAMILY}"
    dataset.ManufacturerModelName, dataset.DeviceSerialNumber = f"{GIVEN} 3000", IDENTITY
    dataset.BodyPartExamined = "CHEST" if number % 2 else FAMILY.upper()
    dataset.ProtocolName, dataset.InstitutionName = f"{GIVEN} {VISIT}", f"Ward of {FAMILY}"
    dataset.OperatorsName, dataset.ImageComments = f"{FAMILY}^{GIVEN}", RECORD_NUMBER
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    dataset.PixelSpacing, dataset.SliceThickness = [2, 2], 2
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [0, 0, 2 * number]
    dataset.Rows = dataset.Columns = 32
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = (np.arange(1024, dtype=np.uint16) * 2 + number).tobytes()
    return dataset


def _spoil(path: Path, tag: tuple[int, int], vr: bytes, text: str) -> None:
    """Put a value into a file that pydicom would not write."""
    value = text.encode() + b" " * (len(text) % 2)
    data = path.read_bytes()
    at = data.index(struct.pack("<HH", *tag) + vr)
    length = struct.unpack_from("<H", data, at + 6)[0]
    head = data[: at + 6] + struct.pack("<H", len(value)) + value
    path.write_bytes(head + data[at + 8 + length :])


def write_dicom(folder: Path) -> None:
    """Good files and broken ones whose names tell who it is."""
    person = folder / NAME
    person.mkdir(parents=True)
    paths = [person / f"{NAME}-{number}.dcm" for number in range(13)]
    for number, path in enumerate(paths):
        _dataset(number).save_as(path, enforce_file_format=True)
    _spoil(paths[1], (0x0028, 0x0004), b"CS", FAMILY)
    _spoil(paths[2], (0x0020, 0x000E), b"UI", FAMILY)
    _spoil(paths[3], (0x0008, 0x0020), b"DA", FAMILY)
    _spoil(paths[4], (0x0008, 0x0060), b"CS", FAMILY)
    paths[5].write_bytes(paths[5].read_bytes()[:-100])
    paths[6].write_bytes(paths[6].read_bytes()[:500])
    compressed = _dataset(7)
    compressed.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    compressed.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\x0c\0\0\0" + FAMILY.encode()
    compressed["PixelData"].VR = "OB"
    compressed["PixelData"].is_undefined_length = True
    compressed.save_as(paths[7], enforce_file_format=True)
    paths[8].write_text(f"{FAMILY} {RECORD_NUMBER}\n" * 30)
    paths[9].write_bytes(paths[9].read_bytes().replace(b"MONOCHROME2", FAMILY[:11].encode()))
