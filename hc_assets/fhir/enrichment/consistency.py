"""Whether a resource agrees with itself and with the others of its batch.

Belongs here: the facts that are judged, one by one. What the batch says is in `batch_index.py`; how
the facts weigh is in `quality.py`.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from hc_assets.fhir.enrichment.batch_index import EncounterFacts, PatientFacts
from hc_assets.fhir.enrichment.columns.resource_texts import Names, Resource, text_of
from hc_assets.fhir.enrichment.elements import Concept
from hc_assets.fhir.enrichment.sex_specific_codes import sex_of
from hc_assets.fhir.r4.issues import Issue, IssueCode
from hc_assets.fhir.times import Span, in_order, span_of

_EFFECTIVE = ("effectiveDateTime", "effectiveInstant", "effectivePeriod")
# When what a resource describes happened to the patient: within life. Of periods the start counts.
_IN_LIFE: Mapping[str, tuple[str, ...]] = {
    "Condition": ("onsetDateTime", "onsetPeriod"),
    "DiagnosticReport": _EFFECTIVE,
    "Encounter": ("period",),
    "ImagingStudy": ("started",),
    "Immunization": ("occurrenceDateTime",),
    "MedicationAdministration": _EFFECTIVE,
    "MedicationRequest": ("authoredOn",),
    "Observation": _EFFECTIVE,
    "Procedure": ("performedDateTime", "performedPeriod"),
}
# And within the encounter that the resource names. A condition may have begun before.
_IN_ENCOUNTER: Mapping[str, tuple[str, ...]] = {
    **{name: _IN_LIFE[name] for name in _IN_LIFE if name not in ("Condition", "Encounter")},
    "Condition": ("recordedDate",),
}
# What can't lie after what: two members, or the ends of one.
_PAIRS = (("birthDate", "deceasedDateTime"), ("effectiveDateTime", "issued"))
_PERIODS = ("period", "effectivePeriod", "onsetPeriod", "performedPeriod")
# Specimens are taken the day before, certificates are written the day after, clocks differ.
_TOLERANCE_MICROSECONDS = 86_400_000_000
_SEX_CODED = frozenset({"Condition", "Observation", "Procedure"})
_DANGLING = "found a reference to nothing in the batch"
_CONTRADICTED = "found another resource of the batch that says otherwise"
_BINARY_SEXES = frozenset({"male", "female"})
_CACHED = 65_536


class Facts(NamedTuple):
    """What a resource's facts are judged by, beside itself.

    Attributes:
        patient: that it is about; None where the batch has none.
        encounter: that it belongs to; None where the batch has none.
        references: each literal reference of the resource that the batch can judge, and whether
            it leads to a resource of the batch.
        is_contradicted: whether another resource of the batch states otherwise what it states;
            None where it states nothing that can be.
    """

    patient: PatientFacts | None = None
    encounter: EncounterFacts | None = None
    references: Sequence[tuple[str, bool]] = ()
    is_contradicted: bool | None = None


NO_FACTS = Facts()


class Consistency(NamedTuple):
    """How many facts were judged, and an issue for each that does not hold."""

    judged: int
    issues: list[Issue]

    @property
    def share(self) -> float | None:
        """Share of the facts that hold, 0 to 1; None where there is none."""
        return 1 - len(self.issues) / self.judged if self.judged else None


def consistency(type_: str, seen: Resource, facts: Facts) -> Consistency:
    """Judge the facts that a valid resource states.

    Args:
        type_: of the resource.
        seen: the resource.
        facts: what else is known.
    """
    issues = [
        _issue("reference-resolves", "not-found", type_, _DANGLING)
        for _, leads_somewhere in facts.references
        if not leads_somewhere
    ]
    judged = len(facts.references)
    stated = stated_by(type_, seen.names)
    if stated.pairs or stated.periods:
        judged += _own_dates(stated, seen, issues)
    if facts.patient is not None:
        judged += _of_patient(stated, seen, facts.patient, issues)
    if facts.encounter is not None and stated.in_encounter:
        judged += _of_encounter(stated, seen, facts.encounter, issues)
    if facts.is_contradicted is not None:
        judged += 1
        if facts.is_contradicted:
            issues.append(_issue("not-contradicted", "business-rule", type_, _CONTRADICTED))
    return Consistency(judged, issues)


def _issue(rule: str, code: IssueCode, expression: str, text: str) -> Issue:
    return Issue(severity="warning", code=code, expression=expression, rule=rule, diagnostics=text)


class Stated(NamedTuple):
    """What resources with members of some names can state: places of members, and their paths."""

    pairs: tuple[tuple[int, int, str], ...]
    periods: tuple[tuple[int, str], ...]
    in_life: tuple[tuple[int, str], ...]
    in_encounter: tuple[tuple[int, str], ...]
    code: tuple[int, str] | None


@lru_cache(maxsize=_CACHED)
def stated_by(type_: str, names: Names) -> Stated:
    """What resources of a type, with members of some names, can state."""

    def listed(members: tuple[str, ...]) -> tuple[tuple[int, str], ...]:
        return tuple((names.places[m], f"{type_}.{m}") for m in members if m in names.places)

    pairs = tuple(
        (names.places[first], names.places[second], f"{type_}.{first}")
        for first, second in _PAIRS
        if first in names.places and second in names.places
    )
    code = listed(("code",)) if type_ in _SEX_CODED else ()
    return Stated(
        pairs,
        listed(_PERIODS),
        listed(_IN_LIFE.get(type_, ())),
        listed(_IN_ENCOUNTER.get(type_, ())),
        code[0] if code else None,
    )


class _Ends(msgspec.Struct, gc=False):
    """A Period; of any type, for R4 uses some of these names for several."""

    start: Any = None
    end: Any = None


_decode_ends = msgspec.json.Decoder(_Ends, float_hook=str).decode
_decode_concept = msgspec.json.Decoder(Concept).decode


@lru_cache(maxsize=_CACHED)
def _span(raw: bytes) -> Span | None:
    """What a date or time can mean, from its JSON; None where that is no text."""
    return span_of(text_of(raw)) if raw.startswith(b'"') else None


def _ends(raw: bytes) -> tuple[Span | None, Span | None]:
    if not raw.startswith(b"{"):
        return None, None
    period = _decode_ends(raw)
    start, end = period.start, period.end
    return (
        span_of(start) if isinstance(start, str) else None,
        span_of(end) if isinstance(end, str) else None,
    )


def _own_dates(stated: Stated, seen: Resource, issues: list[Issue]) -> int:
    spans = [
        (_span(seen.at(first)), _span(seen.at(second)), path)
        for first, second, path in stated.pairs
    ]
    spans += [(*_ends(seen.at(place)), path) for place, path in stated.periods]
    judged = 0
    for first, second, path in spans:
        if first is None or second is None:
            continue
        holds = in_order(first, second)
        if holds is not None:
            judged += 1
            if not holds:
                text = "found it after what comes after it"
                issues.append(_issue("dates-in-order", "business-rule", path, text))
    return judged


def _of_patient(stated: Stated, seen: Resource, patient: PatientFacts, issues: list[Issue]) -> int:
    judged = 0
    for place, name in stated.in_life:
        at, path = _moment(seen.at(place), name)
        if at is None:
            continue
        if patient.birth is not None:
            holds = in_order(patient.birth, at)
            if holds is not None:
                judged += 1
                if not holds:
                    text = "found it before the patient's birth"
                    issues.append(_issue("in-life", "business-rule", path, text))
        if patient.death is not None:
            judged += 1
            if at.first > patient.death.last + _TOLERANCE_MICROSECONDS:
                text = "found it after the patient's death"
                issues.append(_issue("in-life", "business-rule", path, text))
    if stated.code is not None and patient.sex in _BINARY_SEXES:
        sex = sex_coded(seen.at(stated.code[0]))
        if sex is not None:
            judged += 1
            if sex != patient.sex:
                text = f"found a code of {sex} patients only"
                issues.append(_issue("sex-specific-code", "business-rule", stated.code[1], text))
    return judged


def _of_encounter(
    stated: Stated, seen: Resource, encounter: EncounterFacts, issues: list[Issue]
) -> int:
    start, end = encounter
    if start is None and end is None:
        return 0
    judged = 0
    for place, name in stated.in_encounter:
        at, path = _moment(seen.at(place), name)
        if at is None:
            continue
        judged += 1
        is_before = start is not None and at.last < start.first - _TOLERANCE_MICROSECONDS
        is_after = end is not None and at.first > end.last + _TOLERANCE_MICROSECONDS
        if is_before or is_after:
            text = "found it outside the encounter's period"
            issues.append(_issue("in-encounter", "business-rule", path, text))
    return judged


def _moment(raw: bytes, path: str) -> tuple[Span | None, str]:
    """When something was, or began, and the path of that."""
    return (_ends(raw)[0], f"{path}.start") if raw.startswith(b"{") else (_span(raw), path)


@lru_cache(maxsize=_CACHED)
def sex_coded(concept: bytes) -> str | None:
    """Sex that a concept, as JSON, can be true of; None where it says nothing of that."""
    found = {sex_of(each.system, each.code) for each in _decode_concept(concept).coding}
    return found.pop() if len(found) == 1 else None
