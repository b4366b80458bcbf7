from typing import Any

import pytest

from hc_assets.fhir.verdicts.drift import Drift, drifts, shape_is_steady


def shape(**present: int) -> list[dict[str, Any]]:
    return [
        {"resource_type": "Patient", "element": name, "present": count, "resources": 100}
        for name, count in present.items()
    ]


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (shape(id=100), shape(id=100), []),
        (shape(id=100), shape(id=100, name=10), [Drift("Patient", "name", appeared=True)]),
        (shape(id=100), shape(id=100, name=9), []),
        (shape(id=100, name=90), shape(id=100), [Drift("Patient", "name", appeared=False)]),
        (shape(id=100, name=89), shape(id=100), []),
        (shape(id=100, name=90), shape(id=100, name=1), []),
        ([], shape(id=100), []),
    ],
)
def test_an_element_that_comes_or_goes_is_a_drift(before, after, found):
    assert drifts(before, after) == found


def test_few_resources_of_a_type_are_no_drift():
    few = [{**each, "present": 19, "resources": 19} for each in shape(id=19)]
    assert drifts(few, shape(id=100, name=100)) == []


def test_the_latest_batch_is_compared_with_the_one_before():
    rows = [{"batch": f"b{n}", "elements": shape(id=100, **{f"x{n}": 99})} for n in range(3)]
    verdict = shape_is_steady(rows)
    assert (verdict.passed, verdict.value) == (False, 2.0)
    assert "Patient.x1 vanished" in verdict.explanation
    assert "Patient.x2 appeared" in verdict.explanation
    assert shape_is_steady(rows[:1]).passed
