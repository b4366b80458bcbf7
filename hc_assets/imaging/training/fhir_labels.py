"""Labels of patients or studies from the codes of FHIR resources.

Belongs here: reading who and what is coded with what, and which study a resource refers to. Which
frame a patient or study stands for is joined in `plan.py`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import duckdb
import msgspec

Scope = Literal["patient", "study"]

_ROWS = 1_000
_EXISTS = """
    SELECT count(*) FROM information_schema.tables
    WHERE table_schema = 'fhir' AND table_name = 'current_resources'
"""
# Ids say something within their source. A single server, and what names no source, are one.
_SCOPE = """
    CASE
        WHEN source IS NULL THEN ''
        WHEN contains(source, '://') AND 1 = (
            SELECT count(DISTINCT source) FROM fhir.current_resources WHERE contains(source, '://')
        ) THEN ''
        ELSE source || chr(10)
    END
"""
_SCOPE_END = "\n"
_CODED = f"""
    SELECT {_SCOPE} || patient_id, resource FROM fhir.current_resources
    WHERE resource_type IN ('Condition', 'DiagnosticReport', 'Observation', 'Procedure')
        AND NOT is_deleted AND patient_id IS NOT NULL
"""  # noqa: S608 - constants
# Those that can refer to a study: a Procedure's code says what was done, not what was seen
_SPEAKING = f"""
    SELECT {_SCOPE} || resource_type || '/' || resource_id, resource FROM fhir.current_resources
    WHERE resource_type IN ('Condition', 'DiagnosticReport', 'Observation') AND NOT is_deleted
"""  # noqa: S608 - constants
_STUDIES = f"""
    SELECT {_SCOPE} || resource_type || '/' || resource_id, resource FROM fhir.current_resources
    WHERE resource_type = 'ImagingStudy' AND NOT is_deleted
"""  # noqa: S608 - constants
_PATIENTS = f"""
    SELECT {_SCOPE} || resource_id, resource FROM fhir.current_resources
    WHERE resource_type = 'Patient' AND NOT is_deleted
"""  # noqa: S608 - constants
# What these say of a resource makes its codes say nothing of the patient: it holds no longer, was
# never done, or has no result yet.
_VOID_STATUS = frozenset(["entered-in-error", "cancelled", "not-done", "preparation", "registered"])
_DICOM_UID = "urn:dicom:uid"
_TYPE_AND_ID = re.compile(r"(?:^|/)([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})(?:/_history/[^/]+)?$")
_VOID_VERIFICATION = frozenset(["refuted", "entered-in-error"])


class _Coding(msgspec.Struct):
    system: str | None = None
    code: str | None = None


class _Concept(msgspec.Struct):
    coding: list[_Coding] = []


class _Identifier(msgspec.Struct):
    system: str | None = None
    value: str | None = None


class _Reference(msgspec.Struct):
    reference: str | None = None
    identifier: _Identifier | None = None

    def target(self, scope: str) -> str | None:
        """`<type>/<id>`, or the study's UID as `_study_name` has it; None for anything else.

        `scope` is that of the source, within which ids say something.
        """
        named = _TYPE_AND_ID.search(self.reference or "")
        if named:
            return scope + named[1]
        return _study_name(self.identifier) if self.identifier else None


class _Evidence(msgspec.Struct):
    detail: list[_Reference] = []


class _Coded(msgspec.Struct, rename="camel", kw_only=True):
    """What of a resource can carry a label, and what it refers to.

    An Observation's `code` says what was looked for, not what was found: only its value counts.
    """

    resource_type: str
    status: str | None = None
    verification_status: _Concept | None = None
    code: _Concept | None = None
    conclusion_code: list[_Concept] = []
    value_codeable_concept: _Concept | None = None
    imaging_study: list[_Reference] = []
    result: list[_Reference] = []
    derived_from: list[_Reference] = []
    part_of: list[_Reference] = []
    evidence: list[_Evidence] = []

    def is_void(self) -> bool:
        verified = self.verification_status.coding if self.verification_status else []
        is_refuted = any(coding.code in _VOID_VERIFICATION for coding in verified)
        return self.status in _VOID_STATUS or is_refuted

    def speaks_of(self, scope: str) -> Iterator[str]:
        details = (each for evidence in self.evidence for each in evidence.detail)
        for each in (*self.imaging_study, *self.derived_from, *self.part_of, *details):
            target = each.target(scope)
            if target is not None:
                yield target

    def codings(self) -> Iterator[_Coding]:
        if self.is_void():
            return
        concepts = list(self.conclusion_code)
        if self.code and self.resource_type != "Observation":
            concepts.append(self.code)
        if self.value_codeable_concept:
            concepts.append(self.value_codeable_concept)
        for concept in concepts:
            yield from concept.coding


class _Study(msgspec.Struct):
    status: str | None = None
    identifier: list[_Identifier] = []


class _Patient(msgspec.Struct):
    identifier: list[_Identifier] = []


def has_fhir(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether FHIR was taken into the warehouse."""
    return connection.execute(_EXISTS).fetchall() != [(0,)]


def coded_patients(
    connection: duckdb.DuckDBPyConnection, codes: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str]]:
    """Find the patients whose resources carry a code.

    Codes count in `Condition.code`, `Procedure.code`, `DiagnosticReport.code` and
    `.conclusionCode`, `Observation.valueCodeableConcept`. Resources that were cancelled, not done,
    refuted or entered in error do not count.

    Args:
        connection: to the warehouse.
        codes: by label, each `system|code`, or `code` for any system.

    Yields:
        Id of a Patient, behind the source that it is of where there are several, and a label; the
        same pair perhaps several times.
    """
    by_code = _labels_by_code(codes)
    for patient, resource in _rows(connection, _CODED):
        coded = msgspec.json.decode(resource, type=_Coded)
        yield from ((patient, label) for label in _labels(coded, by_code))


def coded_resources(
    connection: duckdb.DuckDBPyConnection, codes: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str]]:
    """Find the Conditions, DiagnosticReports and Observations that carry a code.

    Args:
        connection: to the warehouse.
        codes: as for `coded_patients`, with the same rules.

    Yields:
        `<type>/<id>`, behind its source as for `coded_patients`, and a label; the same pair perhaps
        several times.
    """
    by_code = _labels_by_code(codes)
    for name, resource in _rows(connection, _SPEAKING):
        coded = msgspec.json.decode(resource, type=_Coded)
        yield from ((name, label) for label in _labels(coded, by_code))


def subjects_of_reports(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, str]]:
    """Yield what resources refer to, where that may lead to a study.

    A DiagnosticReport refers to its `imagingStudy`, an Observation to what it is `partOf` or
    `derivedFrom` and to what a report refers to whose `result` it is, a Condition to the `detail`
    of its evidence. Resources that were cancelled, refuted, entered in error, or have no result yet
    refer to nothing.

    Yields:
        `<type>/<id>` of a resource, and what it refers to: `<type>/<id>`, or a study by its UID as
        `study_names` has it.
    """
    for name, resource in _rows(connection, _SPEAKING):
        coded = msgspec.json.decode(resource, type=_Coded)
        if coded.is_void():
            continue
        scope = _scope_in(name)
        yield from ((name, target) for target in coded.speaks_of(scope))
        for each in coded.result:
            target = each.target(scope)
            if target is not None:
                yield target, name


def study_names(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, str]]:
    """Return what FHIR's ImagingStudies are called, and the StudyInstanceUID of each.

    Yields:
        `ImagingStudy/<id>`, and the UID that its identifier of system `urn:dicom:uid` holds.
    """
    for name, resource in _rows(connection, _STUDIES):
        study = msgspec.json.decode(resource, type=_Study)
        if study.status in _VOID_STATUS:
            continue
        for identifier in study.identifier:
            uid = _study_name(identifier)
            if uid is not None:
                yield name, uid


def _scope_in(name: str) -> str:
    return name[: name.rfind(_SCOPE_END) + 1]


def _study_name(identifier: _Identifier) -> str | None:
    """StudyInstanceUID of an identifier, `urn:oid:` taken off (R4, ImagingStudy.identifier)."""
    if identifier.system != _DICOM_UID or not identifier.value:
        return None
    return identifier.value.strip().removeprefix("urn:oid:")


def _labels_by_code(codes: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    by_code: dict[str, list[str]] = {}
    for label, tokens in codes.items():
        for token in tokens:
            by_code.setdefault(token, []).append(label)
    return by_code


def _labels(coded: _Coded, by_code: Mapping[str, list[str]]) -> Iterator[str]:
    for coding in coded.codings():
        for token in (coding.code or "", f"{coding.system or ''}|{coding.code or ''}"):
            yield from by_code.get(token, ())


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> Iterator[tuple[str, bytes]]:
    rows = connection.cursor().execute(sql)
    while batch := rows.fetchmany(_ROWS):
        yield from batch


def patient_names(connection: duckdb.DuckDBPyConnection, system: str) -> Iterator[tuple[str, str]]:
    """Return what DICOM may call each Patient of FHIR.

    Args:
        connection: to the warehouse.
        system: that PatientIDs are identifiers of; "" takes identifiers of any system, and ids.

    Yields:
        A possible PatientID, and the Patient's id as `coded_patients` has it.
    """
    for id_, resource in _rows(connection, _PATIENTS):
        if not system:
            yield id_.removeprefix(_scope_in(id_)), id_
        for each in msgspec.json.decode(resource, type=_Patient).identifier:
            if each.value and (not system or each.system == system):
                yield each.value.strip(), id_
