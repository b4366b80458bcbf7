import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.fhir.validation.business_rules import RULES, BusinessRules, Facts

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
OBSERVATION = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}


def broken(resource: dict, birth_date: str | None = None) -> list[tuple[str, str]]:
    found = BusinessRules().issues(json.dumps(resource).encode(), Facts(NOW, birth_date))
    assert all(issue.severity == "warning" for issue in found)
    return [(issue.rule, issue.expression) for issue in found]


def test_a_patient_has_a_name():
    assert broken({"resourceType": "Patient"}) == [("patient-has-name", "Patient")]
    assert broken({"resourceType": "Patient", "name": [{"family": "x"}]}) == []


@pytest.mark.parametrize(
    "member",
    [
        {"valueBoolean": False},
        {"_valueString": {"extension": []}},
        {"component": []},
        {"hasMember": []},
        {"dataAbsentReason": {}},
    ],
)
def test_an_observation_has_content(member):
    assert broken(OBSERVATION) == [("observation-has-value", "Observation")]
    assert broken(OBSERVATION | member) == []


@pytest.mark.parametrize(
    ("text", "ahead"),
    [
        ("2026-06-15T12:00:00Z", False),
        ("2026-06-15T12:00:01Z", True),
        ("2026-06-15T13:00:00+02:00", False),
        ("2026-06-15T11:00:00-02:00", True),
        ("2026-06-15", False),
        ("2026-06-16", True),
        ("2026-06", False),
        ("2026-07", True),
        ("2026", False),
        ("2027", True),
    ],
)
def test_what_happened_is_not_ahead_of_the_landing(text, ahead):
    resource = OBSERVATION | {"valueBoolean": True, "effectiveDateTime": text}
    expected = [("date-not-in-future", "Observation.effectiveDateTime")]
    assert broken(resource) == (expected if ahead else [])


@pytest.mark.parametrize(
    ("text", "born", "before"),
    [
        ("1990-05-01", "1990-05-02", True),
        ("1990-05-02T00:00:00Z", "1990-05-02", False),
        ("1990", "1990-05-02", False),
        ("1989", "1990-05-02", True),
        ("1990-04-30", "1990", False),
        ("1989-12-31", "1990", True),
    ],
)
def test_nothing_happens_before_the_birth(text, born, before):
    resource = {"resourceType": "Condition", "onsetDateTime": text}
    expected = [("date-not-before-birth", "Condition.onsetDateTime")]
    assert broken(resource, born) == (expected if before else [])


def test_a_planned_encounter_may_begin_in_the_future():
    encounter = {"resourceType": "Encounter", "period": {"start": "2030-01-01"}}
    assert broken(encounter | {"status": "planned"}) == []
    assert broken(encounter | {"status": "finished"}) == [
        ("date-not-in-future", "Encounter.period.start")
    ]


def test_settings_make_a_rule_an_error():
    rules = BusinessRules(frozenset({"patient-has-name"}))
    (issue,) = rules.issues(b'{"resourceType": "Patient"}', Facts(NOW))
    assert (issue.severity, issue.code) == ("error", "business-rule")


def test_a_name_that_is_no_rule_is_refused():
    with pytest.raises(ValueError, match="no business rule nonsense; there are date-not-before"):
        BusinessRules(frozenset({"nonsense"}))


@given(born=st.dates(), happened=st.dates())
def test_full_dates_compare_as_dates(born, happened):
    resource = {"resourceType": "Procedure", "performedDateTime": happened.isoformat()}
    found = {rule for rule, _ in broken(resource, born.isoformat())}
    assert ("date-not-before-birth" in found) == (happened < born)
    assert found <= RULES.keys()
