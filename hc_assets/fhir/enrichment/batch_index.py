"""What a batch says about its patients, encounters and ids, small enough to hold for any batch.

Belongs here: gathering those facts from validated rows, unit by unit, and asking for them while the
resources are enriched. Everything is kept by 64-bit hashes in sorted arrays: 8 bytes a resource, 24
an observation, 50 a patient, 34 an encounter, so that ten million resources fit into 300 MB. That
any two of them share a hash has a chance of one in 370,000 (birthday bound, n^2 / 2^65).
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from upath import UPath

from hc_assets.core.fence import InternalError
from hc_assets.core.fenced_rows import fenced_rows
from hc_assets.fhir.bundles.requests import IDENTITY, known_id
from hc_assets.fhir.enrichment.addresses import types_and_addresses
from hc_assets.fhir.enrichment.columns.resource_columns import ENCOUNTER, PATIENT
from hc_assets.fhir.enrichment.columns.sources import by_source
from hc_assets.fhir.enrichment.elements import (
    Period,
    decode_encounter,
    decode_patient,
    decode_stamped,
)
from hc_assets.fhir.enrichment.statements import readings, statements
from hc_assets.fhir.times import Span, span_of

_ENTRY = ("source_sha256", "position")
INDEXED_COLUMNS = (*_ENTRY, "source", *IDENTITY, "last_modified", "patient_id", "resource")
Keys = npt.NDArray[np.uint64]
Records = npt.NDArray[np.void]

_UNKNOWN = np.iinfo(np.int64).min
_OF_BATCH = np.iinfo(np.int64).max
_SEXES = (None, "male", "female", "other", "unknown")
# As gathered: with the time of the version, by which the latest is found.
_PATIENT_VERSION = np.dtype([("updated", "i8"), *PATIENT.descr])
_ENCOUNTER_VERSION = np.dtype([("updated", "i8"), *ENCOUNTER.descr])
# What it is about, what it says, who says it.
_STATEMENT = np.dtype([("key", "u8"), ("value", "u8"), ("by", "u8")])
# Types of resources that are read one by one.
_TOLD_BY = pa.array(["Condition", "Encounter", "Patient"])
_CACHED = 65_536
_CACHED_SOURCES = 16
_FAILURES = ("failed_files", "failed_positions", "failures")


class PatientFacts(NamedTuple):
    """What is known of a patient: birth, death, HL7 AdministrativeGender; None where unknown."""

    birth: Span | None = None
    death: Span | None = None
    sex: str | None = None


class EncounterFacts(NamedTuple):
    """When an encounter was: start and end; None where unknown."""

    start: Span | None = None
    end: Span | None = None


# Rows, by hash of their file and position, of which nothing was gathered since that raises.
Failures = Mapping[tuple[str, int], InternalError]


class Gathered(NamedTuple):
    """What some rows say: see `BatchIndex`."""

    known: Keys
    patients: Records
    encounters: Records
    statements: Records
    failures: Failures


def key_of(text: str) -> int:
    """Hash of a text, the same in every process."""
    return xxhash.xxh3_64_intdigest(text.encode())


def scope_of(source: str | None) -> str:
    """What ids of a source are hashed with; nothing where it is none."""
    return "" if source is None else f"{source} "


def gather(batches: Iterable[pa.RecordBatch]) -> Gathered:
    """Gather the facts that some validated rows state; what one raises is a failure of its own.

    Args:
        batches: with the columns INDEXED_COLUMNS.
    """
    parts = [
        part
        for batch in batches
        for source, rows, _ in by_source(batch)
        for part in fenced_rows(partial(_gathered, scope=scope_of(source)), rows, _nothing_gathered)
    ]
    return Gathered(
        np.unique(np.concatenate([np.zeros(0, np.uint64), *(each.known for each in parts)])),
        np.concatenate([np.zeros(0, _PATIENT_VERSION), *(each.patients for each in parts)]),
        np.concatenate([np.zeros(0, _ENCOUNTER_VERSION), *(each.encounters for each in parts)]),
        np.concatenate([np.zeros(0, _STATEMENT), *(each.statements for each in parts)]),
        {entry: failure for each in parts for entry, failure in each.failures.items()},
    )


def _nothing_gathered(row: pa.RecordBatch, failure: InternalError) -> Gathered:
    entries = zip(*(row[name].to_pylist() for name in _ENTRY), strict=True)
    return Gathered(
        np.zeros(0, np.uint64),
        np.zeros(0, _PATIENT_VERSION),
        np.zeros(0, _ENCOUNTER_VERSION),
        np.zeros(0, _STATEMENT),
        dict.fromkeys(entries, failure),
    )


def _gathered(batch: pa.RecordBatch, scope: str) -> Gathered:
    rows = _identified(batch)
    ids, resources = rows["resource_id"], rows["resource"]
    types, patient_ids = rows["resource_type"], rows["patient_id"]
    modified = rows["last_modified"].cast(pa.int64())
    names = pc.binary_join_element_wise(types, ids, "/").to_pylist()
    keys = np.array([key_of(scope + name) for name in names], np.uint64)
    is_reading = pc.equal(types, "Observation")
    of_readings = rows.select(["patient_id", "resource"]).filter(is_reading)
    stated = _of_readings(of_readings, keys[_flags(is_reading)], scope)
    of_others = np.flatnonzero(_flags(pc.is_in(types, _TOLD_BY)))
    others = (
        each.take(pa.array(of_others)) for each in (types, ids, patient_ids, resources, modified)
    )
    patients: list[tuple[Any, ...]] = []
    encounters: list[tuple[Any, ...]] = []
    found = []
    for key, *other in zip(
        keys[of_others].tolist(), *(each.to_pylist() for each in others), strict=True
    ):
        type_, id_, patient_id, resource, modified_at = other
        about = None if patient_id is None else scope + patient_id
        found += [(*each, key) for each in statements(type_, about, resource)]
        if type_ == "Patient":
            patients.append(_patient_row(scope + id_, resource, modified_at))
        elif type_ == "Encounter":
            encounters.append(_encounter_row(scope + id_, resource, modified_at))
    beside = [key_of(scope + each) for each in types_and_addresses(rows, scope.rstrip())]
    return Gathered(
        np.concatenate([keys, np.array(beside, np.uint64)]),
        np.array(patients, _PATIENT_VERSION),
        np.array(encounters, _ENCOUNTER_VERSION),
        np.concatenate([stated, np.array(found, _STATEMENT)]),
        {},
    )


def _identified(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of resources that go by some id, with that."""
    rows = batch
    if rows["resource"].null_count:
        rows = rows.filter(pc.is_valid(rows["resource"]))
    if rows["resource_id"].null_count:
        ids = [known_id(row) for row in rows.select(IDENTITY).to_pylist()]
        place = rows.schema.get_field_index("resource_id")
        rows = rows.set_column(place, "resource_id", pa.array(ids, pa.string()))
        rows = rows.filter(pc.is_valid(rows["resource_id"]))
    return rows


def _flags(values: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(values, np.bool_)


def _of_readings(rows: pa.RecordBatch, keys: Keys, scope: str) -> Records:
    about = _flags(pc.is_valid(rows["patient_id"]))
    if not about.all():
        rows, keys = rows.filter(pa.array(about)), keys[about]
    named = rows["patient_id"].dictionary_encode()
    patients = np.array([key_of(scope + each) for each in named.dictionary.to_pylist()], np.uint64)
    which, subjects, values = readings(rows["resource"], patients[named.indices.to_numpy()])
    stated = np.empty(len(which), _STATEMENT)
    stated["key"], stated["value"], stated["by"] = subjects, values, keys[which]
    return stated


def _updated(resource: bytes, modified: int | None) -> int:
    """When a version is of, microseconds since 1970: one without a time is as of the batch."""
    stated = decode_stamped(resource).meta
    if stated is not None and stated.last_updated is not None:
        return span_of(stated.last_updated).first
    return _OF_BATCH if modified is None else modified


def _patient_row(id_: str, resource: bytes, modified: int | None) -> tuple[Any, ...]:
    facts = patient_facts(resource)
    birth = facts.birth or Span(_UNKNOWN, _UNKNOWN, has_time=False)
    death = facts.death or Span(_UNKNOWN, _UNKNOWN, has_time=False)
    updated = _updated(resource, modified)
    return (updated, key_of(id_), *birth[:2], *death, sex_number(facts.sex))


def patient_facts(resource: bytes) -> PatientFacts:
    """What a Patient says about itself."""
    seen = decode_patient(resource)
    return PatientFacts(
        birth=span_of(seen.birth_date) if seen.birth_date else None,
        death=span_of(seen.deceased) if seen.deceased else None,
        sex=seen.gender,
    )


def _encounter_row(id_: str, resource: bytes, modified: int | None) -> tuple[Any, ...]:
    period = decode_encounter(resource).period or Period()
    start, end = (span_of(each) if each else None for each in (period.start, period.end))
    return (
        _updated(resource, modified),
        key_of(id_),
        start.first if start else _UNKNOWN,
        start.has_time if start else False,
        end.last if end else _UNKNOWN,
        end.has_time if end else False,
    )


class BatchIndex:
    """What a batch says about an id of one source.

    Attributes:
        failures: of gathering it.
    """

    def __init__(self, gathered: Gathered, contradicted: Keys, scope: str = "") -> None:
        self._gathered, self._scope = gathered, scope
        self._known, self._patients, self._encounters = gathered[:3]
        self.failures = gathered.failures
        self._contradicted = contradicted
        self.patient = lru_cache(maxsize=_CACHED)(self._patient)
        self.encounter = lru_cache(maxsize=_CACHED)(self._encounter)
        self.of_source = lru_cache(maxsize=_CACHED_SOURCES)(self._of_source)

    @classmethod
    def of(cls, gathered: Sequence[Gathered]) -> "BatchIndex":
        """Merge what the units of a batch say.

        Of several versions of one resource the latest counts, of several of one time the last.
        """
        stated = np.concatenate([np.zeros(0, _STATEMENT), *(g.statements for g in gathered)])
        # Versions of one resource may differ: it takes two to contradict.
        several = np.intersect1d(_with_several(stated, "value"), _with_several(stated, "by"))
        contradicted = np.unique(stated["by"][np.isin(stated["key"], several)])
        return cls(
            Gathered(
                np.unique(np.concatenate([np.zeros(0, np.uint64), *(g.known for g in gathered)])),
                _latest_of_each([each.patients for each in gathered], PATIENT),
                _latest_of_each([each.encounters for each in gathered], ENCOUNTER),
                np.zeros(0, _STATEMENT),
                {entry: error for each in gathered for entry, error in each.failures.items()},
            ),
            contradicted,
        )

    def to_bytes(self) -> bytes:
        """Return the index as a file's content."""
        sink = BytesIO()
        np.savez(
            sink,
            known=self._known,
            patients=self._patients,
            encounters=self._encounters,
            contradicted=self._contradicted,
            failed_files=np.array([file for file, _ in self.failures], np.str_),
            failed_positions=np.array([position for _, position in self.failures], np.int64),
            failures=np.array([each.error for each in self.failures.values()], np.str_),
        )
        return sink.getvalue()

    @classmethod
    def load(cls, path: UPath) -> "BatchIndex":
        """Read an index back from a file."""
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            gathered = Gathered(
                arrays["known"],
                arrays["patients"],
                arrays["encounters"],
                np.zeros(0, _STATEMENT),
                {
                    (file, position): InternalError(error)
                    for file, position, error in zip(
                        *(arrays[name].tolist() for name in _FAILURES), strict=True
                    )
                },
            )
            return cls(gathered, arrays["contradicted"])

    @property
    def patients(self) -> Records:
        """Patients by key."""
        return self._patients

    @property
    def encounters(self) -> Records:
        """Encounters by key."""
        return self._encounters

    def _of_source(self, source: str | None) -> "BatchIndex":
        """What the batch says about ids of another source."""
        scope = scope_of(source)
        same = scope == self._scope
        return self if same else BatchIndex(self._gathered, self._contradicted, scope)

    def key_of(self, text: str) -> int:
        """Key of a type and id, a type or an id, of the source."""
        return key_of(self._scope + text)

    def are_known(self, keys: Sequence[int]) -> list[bool]:
        """Whether the batch has what each key is of: `Patient/p1`, a type, or an own address."""
        return _are_in(self._known, keys)

    def are_contradicted(self, keys: Sequence[int]) -> list[bool]:
        """Whether another resource says otherwise than each key's, by hash of type and id."""
        return _are_in(self._contradicted, keys)

    def _patient(self, id_: str) -> PatientFacts | None:
        row = _row(self._patients, self.key_of(id_))
        if row is None:
            return None
        return PatientFacts(
            _span(row["birth_first"], row["birth_last"], False),
            _span(row["death_first"], row["death_last"], row["death_has_time"]),
            _SEXES[row["sex"]],
        )

    def _encounter(self, id_: str) -> EncounterFacts | None:
        row = _row(self._encounters, self.key_of(id_))
        if row is None:
            return None
        return EncounterFacts(
            _span(row["start_first"], row["start_first"], row["start_has_time"]),
            _span(row["end_last"], row["end_last"], row["end_has_time"]),
        )


def places_of(rows: Records, wanted: Sequence[int]) -> npt.NDArray[np.int64]:
    """Numbers of patients or encounters by key; -1 where there is none."""
    keys = np.array(wanted, np.uint64)
    if not len(rows) or not len(keys):
        return np.full(len(keys), -1, np.int64)
    at = np.searchsorted(rows["key"], keys).clip(max=len(rows) - 1)
    return np.where(rows["key"][at] == keys, at, -1)


def sex_number(sex: str | None) -> int:
    """Number by which a `BatchIndex` keeps an AdministrativeGender."""
    return _SEXES.index(sex) if sex in _SEXES else 0


def _are_in(known: Keys, keys: Sequence[int]) -> list[bool]:
    wanted = np.array(keys, np.uint64)
    if not len(known):
        return [False] * len(wanted)
    at = np.searchsorted(known, wanted).clip(max=len(known) - 1)
    found: list[bool] = (known[at] == wanted).tolist()
    return found


def _span(first: Any, last: Any, has_time: Any) -> Span | None:
    return None if first == _UNKNOWN else Span(int(first), int(last), bool(has_time))


def _row(rows: Records, key: int) -> Any:
    at = int(np.searchsorted(rows["key"], np.uint64(key)))
    if at == len(rows) or int(rows["key"][at]) != key:
        return None
    return rows[at]


def _with_several(stated: Records, field: str) -> Keys:
    """Keys of which there are several values of a field."""
    order = np.lexsort((stated[field], stated["key"]))
    keys, values = stated["key"][order], stated[field][order]
    several: Keys = np.unique(keys[1:][(keys[1:] == keys[:-1]) & (values[1:] != values[:-1])])
    return several


def _latest_of_each(arrays: Sequence[Records], dtype: np.dtype[Any]) -> Records:
    versions = np.concatenate([np.zeros(0, [("updated", "i8"), *dtype.descr]), *arrays])
    versions = versions[np.lexsort((versions["updated"], versions["key"]))]
    is_last = np.ones(len(versions), bool)
    is_last[:-1] = versions["key"][:-1] != versions["key"][1:]
    latest = np.empty(int(is_last.sum()), dtype)
    for name in dtype.names or ():
        latest[name] = versions[name][is_last]
    return latest
