"""Each name of a parameter has one definition, and none of them is only an example."""

from collections import Counter

from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.search.parameters import _all, parameters_of


def test_no_type_has_two_definitions_of_one_name() -> None:
    for type_ in r4().resource_names:
        bases = frozenset(r4().bases(type_))
        found = Counter(d.code for d in _all().values() if not bases.isdisjoint(d.base))
        assert [code for code, count in found.items() if count > 1] == []


def test_an_example_replaces_no_definition() -> None:
    found = {each.code: each for each in parameters_of("Condition")}
    assert "Patient" in found["subject"].targets
    assert found["_id"].url.endswith("Resource-id")
