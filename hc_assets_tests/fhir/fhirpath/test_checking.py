"""The strict reading refuses what no data can answer, and nothing that some can."""

import pytest

from hc_assets.fhir.fhirpath import (
    FhirPathSyntaxError,
    TypeView,
    check_strictly,
    compile_expression,
)
from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.search import parameters_of

TYPES = TypeView(r4())


@pytest.mark.parametrize(
    ("expression", "start", "message"),
    [
        ("name.given1", "Patient", "no element given1 of HumanName"),
        ("Encounter.name", "Patient", "no element Encounter of Patient"),
        ("valueQuantity.unit", "Observation", "no element valueQuantity of Observation; value is"),
        ("(value as Period).unit", "Observation", "no element unit of Period"),
        ("value.ofType(Quantity).start", "Observation", "no element start of Quantity"),
        ("name.where(usage = 'x')", "Patient", "no element usage of HumanName"),
        ("name.select(period).first().begin", "Patient", "no element begin of Period"),
        ("component.exists(code.codin.exists())", "Observation", "no element codin of Codeable"),
        ("iif(true, name, contact.name).giver", "Patient", "no element giver of HumanName"),
        ("contact[0].nam", "Patient", "no element nam of Patient.contact"),
        ("(name | contact).wrong", "Patient", "no element wrong of HumanName, Patient.contact"),
        ("%resource.wrong", "Patient", "no element wrong of Patient"),
        ("children().first()", "Patient", "first of children, which has no order"),
        ("descendants()[0]", "Patient", "an index of descendants, which has no order"),
        ("iif('x', 1, 2)", "Patient", "a criterion of iif that is no truth value"),
    ],
)
def test_what_no_data_can_answer_is_refused(expression: str, start: str, message: str) -> None:
    with pytest.raises(FhirPathSyntaxError, match=message.replace("(", r"\(")):
        check_strictly(expression, TYPES, start)
    compile_expression(expression, TYPES)  # which asks for no more than FHIRPath does


@pytest.mark.parametrize(
    ("expression", "start"),
    [
        ("Patient.name.given.first()", "Patient"),
        ("Resource.id", "Patient"),
        ("value.unit | value.start | value.text", "Observation"),
        ("contained.name.family", "Patient"),
        ("subject.resolve().name", "Observation"),
        ("descendants().where(reference.exists())", "Patient"),
        ("name.given.type().name", "Patient"),
        ("entry.resource.status", "Bundle"),
        ("extension('x').value.ofType(Coding).code", "Patient"),
        ("repeat(item).linkId", "Questionnaire"),
        ("name.family.extension.url", "Patient"),
    ],
)
def test_what_some_data_can_answer_is_not(expression: str, start: str) -> None:
    check_strictly(expression, TYPES, start)


def test_r4_s_own_invariants_read_strictly_but_where_one_is_wrong() -> None:
    refused = {
        rule.key
        for name in sorted(r4().type_names)
        for rule in r4().type(name).invariants
        if _is_refused(rule.expression, name)
    }
    # It asks for the name of a ChargeItemDefinition, which has none.
    assert refused == {"cid-0"}


def test_expressions_of_search_parameters_read_strictly() -> None:
    refused = {
        each.expression
        for name in ("Patient", "Observation", "Encounter")
        for each in parameters_of(name)
        if each.expression and " | " not in each.expression and _is_refused(each.expression, name)
    }
    # HL7 publishes it for patients, though it looks at documents.
    assert {text.partition(".")[0] for text in refused} <= {"DocumentReference"}


def _is_refused(expression: str, start: str) -> bool:
    try:
        check_strictly(expression, TYPES, start)
    except FhirPathSyntaxError:
        return True
    return False
