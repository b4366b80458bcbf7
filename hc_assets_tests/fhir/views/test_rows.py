"""Values come out exactly, and generated code gives what FHIRPath's closures give."""

import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.fhir.views.output import ndjson_lines
from hc_assets.fhir.views.reading import view_of
from hc_assets.fhir.views.table import MadeRows, ViewTable


def observation_view(*selects: dict[str, Any], where: str = "") -> Any:
    wheres = [{"path": where}] if where else []
    return view_of({"resource": "Observation", "select": list(selects), "where": wheres}, "v")


def columns(**paths: str) -> dict[str, Any]:
    return {"column": [{"name": name, "path": path} for name, path in paths.items()]}


def both(view: Any, *resources: bytes) -> MadeRows:
    """Rows of generated code, which are those of the closures."""
    fast, general = ViewTable(view), ViewTable(view, general=True)
    assert fast.is_generated
    made, others = fast.rows(resources), general.rows(resources)
    assert made == others
    return made


def observation(**members: Any) -> bytes:
    return json.dumps({"resourceType": "Observation", "id": "a"} | members).encode()


NUMBERS = ["1.00", "0.10", "-0.0", "100", "1e2", "1.5E-7", "-0", "0.0000000000000000000000001"]
NUMBERS += ["12345678901234567890.12345678901234567890", "161.93503897408004"]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_decimal_keeps_its_digits(number):
    view = observation_view(columns(value="value.ofType(Quantity).value"))
    text = f'{{"resourceType":"Observation","valueQuantity":{{"value":{number}}}}}'.encode()
    made = both(view, text)
    kept = made.rows["value"][0].as_py()
    assert Decimal(kept) == Decimal(number)
    if "e" not in number.lower() and number != "-0":
        assert kept == number
    assert made.rows.schema.field("value").type == pa.string()
    line = ndjson_lines(view, made.rows)
    assert line == f'{{"value":{kept}}}\n'.encode()


def test_columns_are_typed():
    view = observation_view(
        columns(
            id="id",
            is_final="status = 'final'",
            number="value.ofType(integer)",
            flag="value.ofType(boolean)",
        ),
        {"column": [{"name": "categories", "path": "category.text", "collection": True}]},
    )
    made = both(
        view,
        observation(status="final", valueInteger=7, category=[{"text": "a"}, {}, {"text": "b"}]),
        observation(valueBoolean=False),
    )
    assert made.rows.to_pylist() == [
        {"id": "a", "is_final": True, "number": 7, "flag": None, "categories": ["a", "b"]},
        {"id": "a", "is_final": None, "number": None, "flag": False, "categories": []},
    ]
    assert [str(field.type) for field in made.rows.schema] == [
        "string",
        "bool",
        "int64",
        "bool",
        "list<item: string>",
    ]


def test_a_resource_with_several_values_for_one_is_refused_whole_and_the_others_stay():
    view = observation_view(
        {"forEach": "component", **columns(c="code.text")}, columns(category="category.text")
    )
    components = [{"code": {"text": "x"}}, {"code": {"text": "y"}}]
    made = both(
        view,
        observation(component=components, category=[{"text": "a"}]),
        observation(component=components, category=[{"text": "a"}, {"text": "b"}]),
        observation(component=components),
    )
    assert made.numbers.to_pylist() == [0, 0, 2, 2]
    assert made.refused == {
        "select[1].column[0].path: several values where the column holds one": 1
    }


def test_a_primitive_that_has_only_extensions_has_no_value():
    view = observation_view(
        columns(
            status="status", has="status.exists()", why="status.extension('u').value.ofType(code)"
        )
    )
    why = {"extension": [{"url": "u", "valueCode": "masked"}]}
    made = both(view, observation(_status=why), observation(status="final"), observation())
    assert made.rows.to_pylist() == [
        {"status": None, "has": True, "why": "masked"},
        {"status": "final", "has": True, "why": None},
        {"status": None, "has": False, "why": None},
    ]


def test_what_is_no_resource_of_the_type_has_no_rows_and_what_is_no_json_is_refused():
    view = observation_view(columns(id="id"))
    made = both(view, b'{"resourceType":"Patient","id":"p"}', b"{}", b"{", observation())
    assert made.rows.to_pylist() == [{"id": "a"}]
    assert made.numbers.to_pylist() == [3]
    assert made.refused == {"not read: json-syntax": 1}


@pytest.mark.parametrize(
    "document",
    [
        {"status": 1},
        {"status": None},
        {"code": []},
        {"code": {"coding": {"code": "a"}}},
        {"code": {"coding": [None, {"code": "a"}]}},
        {"valueQuantity": {"value": "1.0"}},
        {"valueQuantity": {"value": True}},
        {"valueInteger": 1.5},
        {"valueInteger": 2**70},
        {"component": [[]]},
    ],
)
def test_json_of_another_shape_comes_out_as_by_the_closures(document):
    view = observation_view(
        columns(
            status="status",
            code="code.coding.code.first()",
            value="value.ofType(Quantity).value",
            number="value.ofType(integer)",
            parts="component.exists()",
        )
    )
    both(view, observation(**document), observation())


def test_the_number_of_a_row_is_that_within_the_innermost_select():
    view = observation_view(
        {
            "forEach": "component",
            **columns(outer="%rowIndex"),
            "select": [{"forEachOrNull": "code.coding", **columns(inner="%rowIndex", c="code")}],
        },
        columns(top="%rowIndex"),
    )
    codings = [{"code": "x"}, {"code": "y"}]
    made = both(view, observation(component=[{"code": {"coding": codings}}, {"code": {}}]))
    assert [tuple(row.values()) for row in made.rows.to_pylist()] == [
        (0, 0, "x", 0),
        (0, 1, "y", 0),
        (1, 0, None, 0),
    ]


def test_a_view_of_very_many_unions_goes_the_general_way():
    union = {"unionAll": [columns(a="id"), columns(a="status")]}
    selects = [
        {"unionAll": [columns(**{f"a{n}": "id"}), columns(**{f"a{n}": "status"})]}
        for n in range(12)
    ]
    assert ViewTable(observation_view(union)).is_generated
    assert not ViewTable(observation_view(*selects)).is_generated


INJECTIONS = [
    "' + nosuch() + '",
    '" + nosuch() + "',
    "\\' + nosuch() + \\'",
    "a\nnosuch()",
    "{nosuch()}",
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_texts_of_a_view_are_literals_whatever_is_in_them(text):
    escaped = json.dumps(text)[1:-1].replace("'", "\\'")
    view = view_of(
        {
            "resource": "Observation",
            "constant": [{"name": "c", "valueString": text}],
            "select": [
                columns(
                    a=f"code.coding.where(system = '{escaped}').code.first()",
                    b="code.coding.where(system = %c).code.first()",
                    c=f"extension('{escaped}').value.ofType(code).first()",
                    d=f"code.coding.code.join('{escaped}')",
                )
            ],
        },
        "v",
    )
    codings = [{"system": text, "code": "x"}, {"system": "http://x.org", "code": "y"}]
    extension = [{"url": text, "valueCode": "z"}]
    made = both(view, observation(code={"coding": codings}, extension=extension))
    assert made.rows.to_pylist() == [{"a": "x", "b": "x", "c": "z", "d": f"x{text}y"}]


# Any view of these paths, over any resources of these values, and of some that are not valid R4

CODE = st.sampled_from(["a", "b", "_x", 'q"uote', "\u00e4"])
CODING = st.fixed_dictionaries(
    {}, optional={"system": CODE, "code": CODE, "userSelected": st.booleans()}
)
CONCEPT = st.fixed_dictionaries({}, optional={"coding": st.lists(CODING, max_size=3), "text": CODE})
QUANTITY = st.fixed_dictionaries(
    {}, optional={"value": st.sampled_from([1, 0.5, 7, "no"]), "code": CODE}
)
EXTENSION = st.fixed_dictionaries(
    {"url": st.sampled_from(["u", "w"])}, optional={"valueCode": CODE, "valueCoding": CODING}
)
REFERENCE = st.fixed_dictionaries(
    {},
    optional={
        "reference": st.sampled_from(
            ["Patient/1", "Group/2", "#c", "urn:uuid:x", "http://h/Patient/1"]
        ),
        "type": st.sampled_from(["Patient", "Group"]),
    },
)
COMPONENT = st.fixed_dictionaries({}, optional={"code": CONCEPT, "valueQuantity": QUANTITY})
RESOURCE = st.fixed_dictionaries(
    {"resourceType": st.sampled_from(["Observation"] * 9 + ["Patient"])},
    optional={
        "id": CODE,
        "status": st.one_of(CODE, st.just(3)),
        "_status": st.fixed_dictionaries(
            {"extension": st.lists(EXTENSION, min_size=1, max_size=2)}
        ),
        "category": st.lists(CONCEPT, max_size=2),
        "code": CONCEPT,
        "subject": REFERENCE,
        "performer": st.lists(REFERENCE, max_size=2),
        "valueQuantity": QUANTITY,
        "valueInteger": st.integers(-3, 3),
        "extension": st.lists(EXTENSION, max_size=2),
        "component": st.lists(COMPONENT, max_size=3),
    },
)
ANYWHERE = ["code.text", "code.coding.code", "code.coding.first().code", "code.coding[1].code"]
ANYWHERE += ["code.coding.where(system = 'a').code", "code.coding.where(system = 'a').first().code"]
ANYWHERE += ["code.coding.where(system = 'a' and code != 'b').exists()", "code.exists()"]
ANYWHERE += ["code.coding.exists(userSelected)", "value.ofType(Quantity).value", "%rowIndex"]
ANYWHERE += [
    "value.exists()",
    "value.empty()",
    "(value as Quantity).code",
    "'text'",
    "$this.code.text",
]
ANYWHERE += ["value.ofType(Quantity).value > 0.7", "value.ofType(Quantity).value = 1"]
ANYWHERE += ["code.coding.code.join('-')", "code.coding.system = 'a' or code.text = 'b'"]
ANYWHERE += [
    "(code.text = 'a').not()",
    "code.coding.code = 'a'",
    "code.text.extension('u').exists()",
]
AT_ROOT = [*ANYWHERE, "id", "status", "status.exists()", "getResourceKey()", "category.coding.code"]
AT_ROOT += ["subject.getReferenceKey()", "subject.getReferenceKey(Patient)", "Observation.status"]
AT_ROOT += ["performer.getReferenceKey(Patient)", "extension('u').value.ofType(code)"]
AT_ROOT += ["extension('u').value.ofType(Coding).code.first()", "value.ofType(integer) >= 0"]
AT_ROOT += ["category.where(text.exists()).coding.code.first()", "status.extension('u').exists()"]


def some_columns(paths: list[str]) -> st.SearchStrategy[list[dict[str, Any]]]:
    one = st.tuples(st.sampled_from(paths), st.booleans())
    return st.lists(one, max_size=4).map(
        lambda chosen: [{"path": path, "collection": flag} for path, flag in chosen]
    )


PARTS = st.fixed_dictionaries(
    {"column": some_columns(ANYWHERE)},
    optional={
        "select": st.lists(st.fixed_dictionaries({"column": some_columns(ANYWHERE)}), max_size=1)
    },
)
ROWS = st.tuples(st.sampled_from(["forEach", "forEachOrNull"]), PARTS).map(
    lambda pair: {pair[0]: "component", **pair[1]}
)
SELECTS = st.tuples(
    some_columns(AT_ROOT).map(
        lambda made: {"column": [{"path": "id", "collection": False}, *made]}
    ),
    st.lists(
        st.one_of(
            ROWS,
            st.just(
                {"unionAll": [{"column": [{"path": "id"}]}, {"column": [{"path": "code.text"}]}]}
            ),
        ),
        max_size=2,
    ),
).map(lambda pair: [pair[0], *pair[1]])
WHERES = st.lists(
    st.sampled_from(["code.exists()", "code.coding.exists(system = 'a')", "status = 'a'"]),
    max_size=1,
)


def named(selects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give each column a name; those of a union have one in common."""
    copy = json.loads(json.dumps(selects))
    numbers = iter(range(1_000))

    def name(select: dict[str, Any]) -> None:
        for each in select.get("column", []):
            each["name"] = f"c{next(numbers)}"
        for each in select.get("select", []):
            name(each)
        if "unionAll" in select:
            common = f"c{next(numbers)}"
            for each in select["unionAll"]:
                each["column"][0]["name"] = common

    for each in copy:
        name(each)
    return copy  # type: ignore[no-any-return]


@settings(max_examples=60)
@given(selects=SELECTS, wheres=WHERES, resources=st.lists(RESOURCE, max_size=6))
def test_generated_code_and_closures_agree(selects, wheres, resources):
    document = {
        "resource": "Observation",
        "select": named(selects),
        "where": [{"path": path} for path in wheres],
    }
    view = view_of(json.loads(json.dumps(document)), "v")
    both(view, *(json.dumps(each).encode() for each in resources))
