"""Deliveries of good, bad and hostile files, drawn at random.

Belongs here: data for tests of faults. A delivery says which of its files are good.
"""

import gzip
import io
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread

from hc_assets_tests.faults.dicom_deliveries import slice_of

_MOST_FILES = 4


@dataclass(frozen=True)
class Delivery:
    """Files of one kind.

    Attributes:
        kind: of landing.
        folder: that they lie in.
        good: ids of Patients, or SOP Instance UIDs, that have to come through.
        files: how many there are.
    """

    kind: str
    folder: Path
    good: frozenset[str]
    files: int


def write_delivery(folder: Path, number: int, chance: random.Random) -> Delivery:
    """Write a delivery, named by its number; no two files of any deliveries are the same."""
    folder.mkdir(parents=True)
    kind = "dicom" if chance.random() < 0.3 else "fhir"
    files = chance.randint(1, _MOST_FILES)
    good = set()
    for each in range(files):
        id_ = f"{number}-{each}"
        data = _patient(id_) if kind == "fhir" else _image(number, each)
        suffix = "json" if kind == "fhir" else "dcm"
        if chance.random() < 0.4:
            good.add(id_ if kind == "fhir" else _uid(number, each))
        else:
            spoil = chance.choice(_SPOILT_FHIR if kind == "fhir" else _SPOILT_DICOM)
            data = spoil(data, chance)
            suffix = "json.gz" if data[:2] == b"\x1f\x8b" else suffix
        (folder / f"{id_}.{suffix}").write_bytes(data)
    return Delivery(kind, folder, frozenset(good), files)


def _patient(id_: str) -> bytes:
    patient = {"resourceType": "Patient", "id": id_, "gender": "male", "birthDate": "1970-01-01"}
    return json.dumps(patient).encode()


def _image(number: int, each: int) -> bytes:
    written = io.BytesIO()
    dataset = slice_of(number + 100, each)
    dataset.save_as(written, enforce_file_format=True)
    return written.getvalue()


def _uid(number: int, each: int) -> str:
    return str(slice_of(number + 100, each).SOPInstanceUID)


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))] + str(chance.random()).encode()


def _flipped(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _noise(data: bytes, chance: random.Random) -> bytes:
    return chance.randbytes(len(data))


def _with(*values: bytes) -> Callable[[bytes, random.Random], bytes]:
    """Put one of some members in front of the others."""

    def spoil(data: bytes, chance: random.Random) -> bytes:
        return b"{" + chance.choice(values) + b"," + data[1:]

    return spoil


def _deep(data: bytes, chance: random.Random) -> bytes:
    depth = chance.randint(100, 20_000)
    return data[:-1] + b',"extension":' + b"[" * depth + b"]" * depth + b"}"


def _packed(data: bytes, chance: random.Random) -> bytes:
    packed = gzip.compress(data + b" " * chance.randint(10**5, 10**7), 1)
    return packed[: chance.randrange(20, len(packed))]


def _observation(data: bytes, chance: random.Random) -> bytes:
    patient = json.loads(data)["id"]
    value = chance.choice(["1e-99999999999999999999", "9" * 9_000, "1e400", "-0", "1.50"])
    unit = chance.choice(["mg", ".".join(["mg"] * 3_000), "B.mol", "\\ud800", "/" * 50])
    return (
        f'{{"resourceType":"Observation","id":"{patient}","status":"final","code":{{"text":"x"}},'
        f'"valueQuantity":{{"value":{value},"system":"http://unitsofmeasure.org","code":"{unit}"}}}}'
    ).encode()


_SPOILT_FHIR: list[Callable[[bytes, random.Random], bytes]] = [
    _cut,
    _flipped,
    _noise,
    _deep,
    _packed,
    _observation,
    _with(b'"resourceType":"Patient"', b'"\\u0069d":"other"', b'"gender":7', b'"entry":null'),
    lambda data, chance: b"\xef\xbb\xbf" + data + b"\x00" * chance.randint(1, 9),
    lambda data, chance: str(chance.random()).encode(),
]


def _element(keyword: str, *values: int) -> Callable[[bytes, random.Random], bytes]:
    def spoil(data: bytes, chance: random.Random) -> bytes:
        dataset = dcmread(io.BytesIO(data))
        setattr(dataset, keyword, chance.choice(values))
        dataset.SOPInstanceUID = f"{dataset.SOPInstanceUID}.{chance.getrandbits(32)}"
        written = io.BytesIO()
        dataset.save_as(written)
        return written.getvalue()

    return spoil


_SPOILT_DICOM: list[Callable[[bytes, random.Random], bytes]] = [
    _cut,
    _flipped,
    _noise,
    _element("NumberOfFrames", 10**9, -1, 0),
    _element("Rows", 65_535, 0, 1),
    _element("BitsAllocated", 32, 12, 64),
    _element("SamplesPerPixel", 3, 0),
    lambda data, chance: data[:132] + chance.randbytes(400),
]
