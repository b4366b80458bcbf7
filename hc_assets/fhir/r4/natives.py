"""R4's invariants written out for the fast path, on the structs that `decoders.py` compiles.

Belongs here: functions that are True only where the invariant surely holds. They may say no where
FHIRPath would say yes: then the thorough path decides, with the expression itself.
"""

import re
from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import Any

from msgspec import UNSET

from hc_assets.fhir.r4.definitions import choice_member, r4

# A struct of `decoders.py`; absent members are UNSET, which is false, and present lists and strings
# are never empty. Decimals are floats here: what is less among floats is less among decimals, what
# is equal may not be.
Holds = Callable[[Any], bool]

_UCUM = "http://unitsofmeasure.org"
_COMPUTABLE_NAME = re.compile(r"[A-Z][A-Za-z0-9_]{0,254}\Z")
_ALLERGY_VERIFICATION = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
_CONDITION_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_CONDITION_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


def _choice(type_name: str, element: str) -> Holds:
    """Whether any member of a choice element is present."""
    definition = next(e for e in r4().type(type_name).elements if e.name == element)
    names = [choice_member(element, ref.code) for ref in definition.types]
    if len(names) == 1:
        get_one = attrgetter(names[0])
        return lambda s: get_one(s) is not UNSET
    get = attrgetter(*names)
    absent = len(names)
    return lambda s: get(s).count(UNSET) < absent


def _has_coding(concept: Any, system: str, *codes: str) -> bool:
    """Whether a CodeableConcept (or UNSET) has a coding of a system with one of the codes."""
    if not concept or not concept.coding:
        return False
    return any(c.system == system and c.code in codes for c in concept.coding)


def _in_order(start: str, end: str) -> bool:
    """Whether two FHIR dates or times are surely in order."""
    if len(start) <= 10 or len(end) <= 10:
        # Dates of different precision can't be compared where one begins with the other.
        return len(start) == len(end) and start <= end
    if start[-6:] == end[-6:] and len(start) == len(end):
        return start <= end
    try:
        return datetime.fromisoformat(start) <= datetime.fromisoformat(end)
    except ValueError:  # a leap second, which datetime doesn't know: the thorough path decides
        return False


def _quantity_code_system(s: Any) -> bool:
    return not s.code or bool(s.system)


def _amount(s: Any) -> bool:
    """The part that age-1, cnt-3 and dis-1 share: a value has a code, a system is UCUM."""
    return (bool(s.code) or s.value is UNSET) and (not s.system or s.system == _UCUM)


def _age(s: Any) -> bool:
    return _amount(s) and (s.value is UNSET or s.value > 0)


def _count(s: Any) -> bool:
    return (
        _amount(s)
        and (not s.code or s.code == "1")
        and (s.value is UNSET or isinstance(s.value, int))
    )


def _duration(s: Any) -> bool:
    return not s.code or (s.system == _UCUM and s.value is not UNSET)


def _period(s: Any) -> bool:
    return not s.start or not s.end or _in_order(s.start, s.end)


def _range(s: Any) -> bool:
    low, high = s.low, s.high
    if not low or not high:
        return True
    if low.value is UNSET or high.value is UNSET:
        return False
    same_unit = (low.unit, low.system, low.code) == (high.unit, high.system, high.code)
    return bool(same_unit and low.value < high.value)


def _ratio(s: Any) -> bool:
    if s.numerator:
        return bool(s.denominator)
    return not s.denominator and bool(s.extension)


def _not_negative(value: Any) -> bool:
    return value is UNSET or bool(value > 0) or (value == 0 and isinstance(value, int))


def _offset(s: Any) -> bool:
    return s.offset is UNSET or (bool(s.when) and not {"C", "CM", "CD", "CV"} & {*s.when})


def _dispensed_in_order(s: Any) -> bool:
    return not s.whenHandedOver or not s.whenPrepared or _in_order(s.whenPrepared, s.whenHandedOver)


def _no_home(values: Any) -> bool:
    return not values or all(value.use != "home" for value in values)


def _name_is_computable(s: Any) -> bool:
    name: Any = getattr(s, "name", None)  # ChargeItemDefinition has the rule but not the element
    return bool(name) and _COMPUTABLE_NAME.match(name) is not None


_has_value = _choice("Observation", "value")


def _component_codes_differ(s: Any) -> bool:
    if not s.component or not _has_value(s):
        return True
    own = {(c.system, c.code) for c in s.code.coding or ()}
    return not any(
        (c.system, c.code) in own for part in s.component for c in part.code.coding or ()
    )


_abatement = _choice("Condition", "abatement")
_fmh_age = _choice("FamilyMemberHistory", "age")
_fmh_born = _choice("FamilyMemberHistory", "born")
_rate = _choice("MedicationAdministration.dosage", "rate")
_goal_detail = _choice("Goal.target", "detail")


def _allergy_in_error(s: Any) -> bool:
    return _has_coding(s.verificationStatus, _ALLERGY_VERIFICATION, "entered-in-error")


def _condition_in_error(s: Any) -> bool:
    return _has_coding(s.verificationStatus, _CONDITION_VERIFICATION, "entered-in-error")


NATIVE: dict[str, Holds] = {
    # Data types
    "age-1": _age,
    "att-1": lambda s: s.data is UNSET or bool(s.contentType),
    "cnt-3": _count,
    "cpt-2": lambda s: not s.value or bool(s.system),
    "dis-1": _amount,
    "drt-1": _duration,
    "per-1": _period,
    "qty-3": _quantity_code_system,
    "rat-1": _ratio,
    "rng-2": _range,
    "sqty-1": lambda _: True,  # the struct has no comparator
    "tim-1": lambda s: s.duration is UNSET or bool(s.durationUnit),
    "tim-2": lambda s: s.period is UNSET or bool(s.periodUnit),
    "tim-4": lambda s: _not_negative(s.duration),
    "tim-5": lambda s: _not_negative(s.period),
    "tim-6": lambda s: s.periodMax is UNSET or s.period is not UNSET,
    "tim-7": lambda s: s.durationMax is UNSET or s.duration is not UNSET,
    "tim-8": lambda s: s.countMax is UNSET or s.count is not UNSET,
    "tim-9": _offset,
    "tim-10": lambda s: not s.timeOfDay or not s.when,
    # Resources
    "ait-1": lambda s: bool(s.clinicalStatus) or _allergy_in_error(s),
    "ait-2": lambda s: not s.clinicalStatus or not _allergy_in_error(s),
    "app-1": lambda s: bool(s.type or s.actor),
    "app-2": lambda s: bool(s.start) == bool(s.end),
    "app-3": lambda s: bool(s.start and s.end) or s.status in ("proposed", "cancelled", "waitlist"),
    "app-4": lambda s: not s.cancelationReason or s.status in ("no-show", "cancelled"),
    "apr-1": lambda s: bool(s.participantType or s.actor),
    "ces-1": lambda s: bool(s.category) != bool(s.productOrService),
    "cmp-1": lambda s: bool(s.text or s.entry or s.section),
    "cmp-2": lambda s: not s.emptyReason or not s.entry,
    "con-1": lambda s: bool(s.summary or s.assessment),
    "con-2": lambda s: bool(s.code or s.detail),
    "con-3": lambda s: bool(s.clinicalStatus) or _condition_in_error(s) or not s.category,
    "con-4": lambda s: (
        not _abatement(s)
        or _has_coding(s.clinicalStatus, _CONDITION_CLINICAL, "resolved", "remission", "inactive")
    ),
    "con-5": lambda s: not s.clinicalStatus or not _condition_in_error(s),
    "cpl-3": lambda s: not s.detail or not s.reference,
    "ctm-1": lambda s: not s.onBehalfOf,
    "fhs-1": lambda s: not _fmh_age(s) or not _fmh_born(s),
    "fhs-2": lambda s: _fmh_age(s) or s.estimatedAge is UNSET,
    "gol-1": lambda s: not _goal_detail(s) or bool(s.measure),
    "grp-1": lambda s: not s.member or s.actual is True,
    "imm-1": lambda s: bool(s.documentType or s.reference),
    "imr-1": lambda s: bool(s.vaccineCode or s.targetDisease),
    "lnk-1": lambda s: len(s.item) > 1,
    "lst-1": lambda s: not s.emptyReason or not s.entry,
    "lst-2": lambda s: s.mode == "changes" or all(e.deleted is UNSET for e in s.entry or ()),
    "lst-3": lambda s: s.mode == "working" or all(e.date is UNSET for e in s.entry or ()),
    "mad-1": lambda s: bool(s.dose) or _rate(s),
    "mdd-1": _dispensed_in_order,
    "mrp-1": lambda s: s.type != "data-collection" or not s.group,
    "nor-1": lambda s: bool(s.oralDiet or s.supplement or s.enteralFormula),
    "obs-3": lambda s: bool(s.low or s.high or s.text),
    "obs-6": lambda s: not s.dataAbsentReason or not _has_value(s),
    "obs-7": _component_codes_differ,
    "org-1": lambda s: bool(s.identifier or s.name),
    "org-2": lambda s: _no_home(s.address),
    "org-3": lambda s: _no_home(s.telecom),
    "pat-1": lambda s: bool(s.name or s.telecom or s.address or s.organization),
    "ppc-1": lambda s: bool(s.policy or s.policyRule),
    "ppc-2": lambda s: bool(s.patient),
    "ppc-3": lambda s: bool(s.patient),
    "ppc-4": lambda s: bool(s.patient),
    "ppc-5": lambda s: bool(s.patient),
    "prr-1": lambda s: not s.orderDetail or bool(s.code),
    "qrs-1": lambda s: not s.answer or not s.item,
    "sev-1": lambda s: not s.name or not s.query,
    # Bundle
    "bdl-1": lambda s: s.total is UNSET or s.type in ("searchset", "history"),
    "bdl-2": lambda s: s.type == "searchset" or all(not e.search for e in s.entry or ()),
    "bdl-3": lambda s: all(
        bool(e.request) == (s.type in ("batch", "transaction", "history")) for e in s.entry or ()
    ),
    "bdl-4": lambda s: all(
        bool(e.response) == (s.type in ("batch-response", "transaction-response", "history"))
        for e in s.entry or ()
    ),
    "bdl-5": lambda s: s.resource is not UNSET or bool(s.request or s.response),
    "bdl-8": lambda s: not s.fullUrl or "/_history/" not in s.fullUrl,
}
# Warnings that a computable name is wanted stand on 28 types, each under a key of its own.
COMPUTABLE_NAME_EXPRESSION = "name.matches('[A-Z]([A-Za-z0-9_]){0,254}')"


def native(key: str, expression: str) -> Holds | None:
    """The function for an invariant; None where the fast path can't decide it.

    Args:
        key: the invariant's id.
        expression: its FHIRPath, which tells the computable-name rules from others.
    """
    if expression == COMPUTABLE_NAME_EXPRESSION:
        return _name_is_computable
    return NATIVE.get(key)
