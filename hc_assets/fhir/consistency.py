"""Whether a resource agrees with itself and with the others of its batch.

Belongs here: the facts that are judged, one by one. What the batch says is in `batch_index.py`; how
the facts weigh is in `quality.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hc_assets.fhir.batch_index import EncounterFacts, PatientFacts
from hc_assets.fhir.elements import Event, Observation, Patient
from hc_assets.fhir.r4.issues import Issue, IssueCode
from hc_assets.fhir.sex_specific_codes import sex_of
from hc_assets.fhir.times import Span, in_order, span_of

# FHIR names of the attributes of `Event`.
_NAMES = {
    "effective": "effectiveDateTime",
    "effective_instant": "effectiveInstant",
    "effective_period": "effectivePeriod",
    "onset": "onsetDateTime",
    "onset_period": "onsetPeriod",
    "performed": "performedDateTime",
    "performed_period": "performedPeriod",
    "occurrence": "occurrenceDateTime",
    "authored": "authoredOn",
    "recorded": "recordedDate",
}
_EFFECTIVE = ("effective", "effective_instant", "effective_period")
# When what a resource tells of happened to the patient: within life.
_IN_LIFE: Mapping[str, tuple[str, ...]] = {
    "Condition": ("onset", "onset_period"),
    "DiagnosticReport": _EFFECTIVE,
    "Encounter": ("period",),
    "ImagingStudy": ("started",),
    "Immunization": ("occurrence",),
    "MedicationAdministration": _EFFECTIVE,
    "MedicationRequest": ("authored",),
    "Observation": _EFFECTIVE,
    "Procedure": ("performed", "performed_period"),
}
# And within the encounter that the resource names. A condition may have begun before.
_IN_ENCOUNTER: Mapping[str, tuple[str, ...]] = {
    **{name: _IN_LIFE[name] for name in _IN_LIFE if name not in ("Condition", "Encounter")},
    "Condition": ("recorded",),
}
# Specimens are taken the day before, certificates are written the day after, clocks differ.
_TOLERANCE_MICROSECONDS = 86_400_000_000
_SEX_CODED = frozenset({"Condition", "Observation", "Procedure"})
_DANGLING = "found a reference to nothing in the batch"
_CONTRADICTED = "found another resource of the batch that says otherwise"
_BINARY_SEXES = frozenset({"male", "female"})


class Facts(NamedTuple):
    """What a resource's facts are judged by, beside itself.

    Attributes:
        patient: that it is about; None where the batch has none.
        encounter: that it belongs to; None where the batch has none.
        references: each literal reference of the resource, and whether it leads to a resource of
            the batch.
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


def consistency(type_: str, seen: Event | Observation | Patient, facts: Facts) -> Consistency:
    """Judge the facts that a valid resource states.

    Args:
        type_: of the resource.
        seen: what was read of it.
        facts: what else is known.
    """
    judged = _own_dates(type_, seen)
    if facts.patient is not None:
        judged += _of_patient(type_, seen, facts.patient)
    if facts.encounter is not None:
        judged += _of_encounter(type_, seen, facts.encounter)
    issues = [
        _issue("reference-resolves", "not-found", type_, _DANGLING)
        for _, leads_somewhere in facts.references
        if not leads_somewhere
    ]
    issues += [
        _issue(rule, "business-rule", path, text) for ok, rule, path, text in judged if not ok
    ]
    count = len(facts.references) + len(judged)
    if facts.is_contradicted is not None:
        count += 1
        if facts.is_contradicted:
            issues.append(_issue("not-contradicted", "business-rule", type_, _CONTRADICTED))
    return Consistency(count, issues)


def _issue(rule: str, code: IssueCode, expression: str, text: str) -> Issue:
    return Issue(severity="warning", code=code, expression=expression, rule=rule, diagnostics=text)


_Fact = tuple[bool, str, str, str]


def _own_dates(type_: str, seen: Event | Observation | Patient) -> list[_Fact]:
    # By class and name, not in a loop over names: this is asked of every resource.
    facts: list[_Fact] = []
    if isinstance(seen, Observation):
        _ordered(facts, type_, "effectiveDateTime", seen.effective, seen.issued)
        period = seen.effective_period
        if period is not None:
            _ordered(facts, type_, "effectivePeriod", period.start, period.end)
    elif isinstance(seen, Patient):
        _ordered(facts, type_, "birthDate", seen.birth_date, seen.deceased)
    else:
        _ordered(facts, type_, "birthDate", seen.birth_date, seen.deceased)
        _ordered(facts, type_, "effectiveDateTime", seen.effective, seen.issued)
        for name, value in (
            ("period", seen.period),
            ("effectivePeriod", seen.effective_period),
            ("onsetPeriod", seen.onset_period),
            ("performedPeriod", seen.performed_period),
        ):
            if value is not None:
                _ordered(facts, type_, name, *_ends(value))
    return facts


def _ordered(facts: list[_Fact], type_: str, name: str, first: Any, second: Any) -> None:
    if isinstance(first, str) and isinstance(second, str):
        holds = in_order(span_of(first), span_of(second))
        if holds is not None:
            text = "found it after what comes after it"
            facts.append((holds, "dates-in-order", f"{type_}.{name}", text))


def _of_patient(
    type_: str, seen: Event | Observation | Patient, patient: PatientFacts
) -> Iterator[_Fact]:
    for path, span in _times(type_, seen, _IN_LIFE):
        if patient.birth is not None:
            holds = in_order(patient.birth, span)
            if holds is not None:
                yield holds, "in-life", path, "found it before the patient's birth"
        if patient.death is not None:
            holds = span.first <= patient.death.last + _TOLERANCE_MICROSECONDS
            yield holds, "in-life", path, "found it after the patient's death"
    if type_ in _SEX_CODED and patient.sex in _BINARY_SEXES:
        sex = _sex(getattr(seen, "code", None))
        if sex is not None:
            text = f"found a code of {sex} patients only"
            yield sex == patient.sex, "sex-specific-code", f"{type_}.code", text


def _of_encounter(
    type_: str, seen: Event | Observation | Patient, encounter: EncounterFacts
) -> Iterator[_Fact]:
    for path, span in _times(type_, seen, _IN_ENCOUNTER):
        holds = True
        if encounter.start is not None:
            holds = span.last >= encounter.start.first - _TOLERANCE_MICROSECONDS
        if encounter.end is not None:
            holds = holds and span.first <= encounter.end.last + _TOLERANCE_MICROSECONDS
        if encounter.start is not None or encounter.end is not None:
            yield holds, "in-encounter", path, "found it outside the encounter's period"


def _times(
    type_: str, seen: Event | Observation | Patient, table: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, Span]]:
    for attribute in table.get(type_, ()):
        value = getattr(seen, attribute, None)
        if value is None:
            continue
        path = f"{type_}.{_NAMES.get(attribute, attribute)}"
        if not isinstance(value, str):
            value, path = _ends(value)[0], f"{path}.start"
        if isinstance(value, str):
            yield path, span_of(value)


def _ends(period: Any) -> tuple[Any, Any]:
    if isinstance(period, dict):
        return period.get("start"), period.get("end")
    return getattr(period, "start", None), getattr(period, "end", None)


def _sex(concept: Any) -> str | None:
    """Sex that a concept, typed or not, can be true of."""
    if isinstance(concept, dict):
        codings = [(each.get("system"), each.get("code")) for each in concept.get("coding", ())]
    else:
        codings = [(each.system, each.code) for each in getattr(concept, "coding", ())]
    found = {sex_of(*coding) for coding in codings}
    return found.pop() if len(found) == 1 else None
