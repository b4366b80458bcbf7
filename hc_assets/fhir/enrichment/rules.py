"""The rules of enrichment: which extensions a resource gets, by its type, in one table.

Belongs here: what a rule is, the table, and the few lines that lead from a resource to the modules
that work it out (`demographics.py`, `significance/`). Both ways of enriching are made from the
table: row by row (`enricher.py`) and by columns (`columns/enrich.py`). An entry is all that a new
rule takes: what an earlier run added is taken away, and its extensions are published, by it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from hc_assets.fhir.enrichment.batch_index import EncounterFacts, PatientFacts, patient_facts
from hc_assets.fhir.enrichment.columns.resource_texts import Names
from hc_assets.fhir.enrichment.demographic_extensions import age_extensions, risk_extensions
from hc_assets.fhir.enrichment.demographics import (
    ADULT_FROM,
    LONGEST_LIFE,
    OLDER_ADULT_FROM,
    RISK_FACTORS,
    age_in_days,
    ages,
    is_plausible_age,
)
from hc_assets.fhir.enrichment.elements import (
    Observation,
    decode_observation,
    decode_patient,
)
from hc_assets.fhir.enrichment.extension_model import (
    CodeSystem,
    ExtensionDefinition,
    ExtensionValue,
)
from hc_assets.fhir.enrichment.extensions import AGE, AGE_GROUP, RISK_FACTOR, SIGNIFICANCE
from hc_assets.fhir.enrichment.significance.answers import is_answer
from hc_assets.fhir.enrichment.significance.judgement import (
    CODED_RESULT,
    OWN_INTERPRETATION,
    OWN_RANGE,
    TABLE,
    Judgement,
    significance,
)
from hc_assets.fhir.enrichment.significance.notes import PLAUSIBLE
from hc_assets.fhir.enrichment.significance.own_ranges import NOBODY, Person
from hc_assets.fhir.enrichment.significance.written import significance_extension
from hc_assets.fhir.r4.issues import Issue
from hc_assets.fhir.times import span_of

_CACHED = 16_384


class Subject(NamedTuple):
    """A valid resource that has none of our extensions, and what is known beside it.

    Attributes:
        type: resourceType.
        text: compact JSON of it, its references resolved.
        patient: that it is about; None where the batch has none.
        encounter: that it belongs to; None where the batch has none.
        today: day that its batch landed, as a FHIR date.
        extension_base: URL that our extensions share.
    """

    type: str
    text: bytes
    patient: PatientFacts | None
    encounter: EncounterFacts | None
    today: str
    extension_base: str


class Addition(NamedTuple):
    """What a rule adds to a resource.

    Attributes:
        extensions: of the resource, as JSON.
        of_elements: of the elements of a member that is a list, by the member's name: as many
            sequences as there are elements.
        issues: what could not be worked out, or is to be noted.
    """

    extensions: Sequence[bytes] = ()
    of_elements: Mapping[str, Sequence[Sequence[bytes]]] = {}
    issues: Sequence[Issue] = ()


NOTHING = Addition()


@dataclass(frozen=True, eq=False)
class Rule:
    """A rule of enrichment.

    Attributes:
        name: for people.
        types: resource types that it applies to; None for all.
        needs: members of which a resource must have one at least; none where this is empty.
        add: what it adds. It sees the `Subject` and nothing else, so that a batch comes out the
            same however it is divided.
        extensions: those that it can add.
        codes: code systems of ours that these use.
        elements: members, lists of elements, to whose elements it can add.
    """

    name: str
    types: frozenset[str] | None
    needs: frozenset[str]
    add: Callable[[Subject], Addition]
    extensions: tuple[ExtensionDefinition, ...]
    codes: tuple[CodeSystem, ...] = ()
    elements: frozenset[str] = frozenset()


@lru_cache(maxsize=_CACHED)
def rules_for(rules: tuple[Rule, ...], type_: str, names: Names) -> tuple[Rule, ...]:
    """Those of some rules that apply to a resource, in their order.

    Args:
        rules: the table.
        type_: of the resource.
        names: of its members.
    """
    return tuple(
        rule
        for rule in rules
        if (rule.types is None or type_ in rule.types)
        and (not rule.needs or not rule.needs.isdisjoint(names.places))
    )


def additions(rules: tuple[Rule, ...], subject: Subject) -> Addition:
    """What several rules, one at least, add together: in their order, each in its own."""
    if len(rules) == 1:
        return rules[0].add(subject)
    found = [rule.add(subject) for rule in rules]
    of_elements: dict[str, Sequence[Sequence[bytes]]] = {}
    for each in found:
        for member, added in each.of_elements.items():
            before = of_elements.get(member)
            of_elements[member] = (
                [[*old, *new] for old, new in zip(before, added, strict=True)] if before else added
            )
    return Addition(
        [extension for each in found for extension in each.extensions],
        of_elements,
        [issue for each in found for issue in each.issues],
    )


# --- Age and risk factors of a Patient ---


_NO_AGE = Issue(
    severity="warning",
    code="value",
    expression="Patient.birthDate",
    rule=PLAUSIBLE,
    diagnostics=f"found no age that anybody has: expected 0 to {LONGEST_LIFE} completed years",
)
# It may be tomorrow already where a child is born.
_DAY_AHEAD = 86_400_000_000


def _demographics(subject: Subject) -> Addition:
    patient, base = decode_patient(subject.text), subject.extension_base
    if patient.is_dead:
        return NOTHING  # dead, and nobody says since when
    birth = patient_facts(subject.text).birth
    if birth is None:
        return NOTHING
    if birth.first > span_of(subject.today).last + _DAY_AHEAD:
        return Addition(issues=[_NO_AGE])
    found = ages(birth, patient.deceased or subject.today)
    if found is None:
        return NOTHING
    if not is_plausible_age(found):
        return Addition(issues=[_NO_AGE])
    added = list(age_extensions(base, found))
    if patient.deceased is None:
        is_multiple = patient.is_multiple_birth or patient.birth_order is not None
        added += risk_extensions(base, found, patient.gender, is_multiple)
    return Addition(added)


_AGE = ExtensionDefinition(
    AGE,
    "Age",
    "Completed years on the day that the batch landed, of the deceased at death. A range where"
    " birth or death are known less precisely than to the day.",
    ("Patient",),
    ExtensionValue(("Quantity", "Range"), "Completed years, in UCUM a"),
)
_AGE_GROUP = ExtensionDefinition(
    AGE_GROUP,
    "Age group",
    "Age group by the age; absent where the age may be of several groups.",
    ("Patient",),
    ExtensionValue(("code",), "Age group", value_set=AGE_GROUP),
)
_RISK_FACTOR = ExtensionDefinition(
    RISK_FACTOR,
    "Demographic risk factor",
    "A risk factor that age and sex alone make, on the day that the batch landed.",
    ("Patient",),
    ExtensionValue(("Coding",), "Risk factor", value_set=RISK_FACTOR),
    maximum="*",
)
_AGE_GROUP_CODES = CodeSystem(
    AGE_GROUP,
    "Age group",
    (
        ("pediatric", "Pediatric", f"Below {ADULT_FROM} completed years"),
        ("adult", "Adult", f"From {ADULT_FROM} and below {OLDER_ADULT_FROM} completed years"),
        ("older-adult", "Older adult", f"From {OLDER_ADULT_FROM} completed years"),
    ),
)
_RISK_FACTOR_CODES = CodeSystem(
    RISK_FACTOR,
    "Demographic risk factor",
    tuple((f.code, f.display, f"Source: {f.source}") for f in RISK_FACTORS),
)

# --- Significance of the values of an Observation ---

# Observations that say nothing of the patient: not yet, or no longer (HL7 ObservationStatus).
_WITHOUT_SIGNIFICANCE = frozenset({"registered", "entered-in-error", "cancelled", "unknown"})


def _significance(subject: Subject) -> Addition:
    seen = decode_observation(subject.text)
    if seen.status in _WITHOUT_SIGNIFICANCE:
        return NOTHING
    if is_answer(bytes(seen.category), bytes(seen.derived_from)):
        return NOTHING
    person, base = _person(seen, subject.patient), subject.extension_base
    own = significance(seen, person)
    extensions = _extensions(own, base)
    if not seen.component and not own.notes:
        return Addition(extensions) if extensions else NOTHING
    judged = [significance(part, person) for part in seen.component]
    of_parts = [_extensions(each, base) for each in judged]
    return Addition(
        extensions,
        {"component": of_parts} if any(of_parts) else {},
        list(_issues(own, judged)),
    )


def _extensions(judged: Judgement, base: str) -> list[bytes]:
    return [] if judged.found is None else [significance_extension(base, judged.found)]


def _issues(own: Judgement, of_parts: Sequence[Judgement]) -> Iterator[Issue]:
    places = ["", *(f".component[{number}]" for number in range(len(of_parts)))]
    for place, judged in zip(places, [own, *of_parts], strict=True):
        for note in judged.notes:
            yield Issue(
                severity=note.severity,
                code=note.code,
                expression=f"Observation{place}.{note.member}",
                rule=note.rule,
                diagnostics=note.text,
            )


def _person(seen: Observation, patient: PatientFacts | None) -> Person:
    if patient is None:
        return NOBODY
    when = seen.effective or seen.effective_instant
    if when is None and seen.effective_period is not None:
        when = seen.effective_period.start
    if when is None or patient.birth is None:
        return Person(sex=patient.sex)
    found = ages(patient.birth, when)
    if found is not None and not is_plausible_age(found):
        return Person(sex=patient.sex)
    return Person(found, patient.sex, age_in_days(patient.birth, when))


_EVIDENCE = "significance-evidence"
_INTERPRETATIONS = "http://hl7.org/fhir/ValueSet/observation-interpretation"
_SIGNIFICANCE = ExtensionDefinition(
    SIGNIFICANCE,
    "Clinical significance",
    "What the value means, by the observation's own reference range where one applies to the"
    " patient, else by a table of common vital signs and laboratory tests, which alone says what is"
    " critical; by the observation's own interpretation where neither says anything.",
    ("Observation", "Observation.component"),
    {
        "interpretation": ExtensionValue(
            ("Coding",), "HL7 v3 ObservationInterpretation", value_set=_INTERPRETATIONS
        ),
        "evidence": ExtensionValue(("code",), "What it rests on", value_set=_EVIDENCE),
        "interval": ExtensionValue(("Range",), "Limits between which a value is normal", minimum=0),
        "reason": ExtensionValue(("string",), "The limit that was passed or kept, and its source"),
    },
)
_EVIDENCE_CODES = CodeSystem(
    _EVIDENCE,
    "Evidence of an interpretation",
    (
        (OWN_RANGE, "Reference range", "A reference range that the observation itself states"),
        (TABLE, "Reference table", "The table of common vital signs and laboratory tests"),
        (CODED_RESULT, "Coded result", "The observation's value is a code of that meaning"),
        (OWN_INTERPRETATION, "Interpretation", "The observation itself states an interpretation"),
    ),
)

# --- The table ---

# The order is that of the extensions in a resource to which several rules add, and nothing else
# follows from it: no rule sees what another adds. It is part of the bytes that are written, so a
# new rule goes to the end, where it moves nothing that is there already.
RULES: tuple[Rule, ...] = (
    Rule(
        "age and risk factors",
        frozenset({"Patient"}),
        frozenset({"birthDate"}),
        _demographics,
        (_AGE, _AGE_GROUP, _RISK_FACTOR),
        (_AGE_GROUP_CODES, _RISK_FACTOR_CODES),
    ),
    Rule(
        "clinical significance",
        frozenset({"Observation"}),
        # A range may name the result that is normal of a value that is text.
        frozenset(
            {
                "valueQuantity",
                "valueCodeableConcept",
                "component",
                "interpretation",
                "referenceRange",
            }
        ),
        _significance,
        (_SIGNIFICANCE,),
        (_EVIDENCE_CODES,),
        elements=frozenset({"component"}),
    ),
)
