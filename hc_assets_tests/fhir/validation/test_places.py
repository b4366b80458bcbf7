"""Elements are found in their text, where an editor shows them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.fhir.r4.json_faults import Place
from hc_assets.fhir.validation.places import places, steps_of

TEXT = """ {
  "resourceType": "Patient",
  "_birthDate": {"extension": [{"url": "x"}]},
  "name": [
    {"family": "Mü\\"ller [{", "given": ["a", "b"]}, {"family": 1e999}
  ],
  "birthDate": "x", "active" : true
}"""


@pytest.mark.parametrize(
    ("expression", "place"),
    [
        ("Patient.name[0].given[1]", Place(5, 46)),
        ("Patient.name[1].family", Place(5, 54)),
        ("Patient.name[1]", Place(5, 53)),
        ("Patient.birthDate", Place(7, 3)),
        ("Patient.birthDate.extension[0].url", Place(3, 33)),
        ("Patient._birthDate", Place(3, 3)),
        ("Patient.active", Place(7, 21)),
        ("Patient.name[1].given[0]", Place(5, 53)),
        ("Patient.contact.name", Place(1, 2)),
        ("Patient", Place(1, 2)),
        ("", Place(1, 2)),
    ],
)
def test_an_element_is_found_or_the_nearest_around_it(expression, place):
    assert places(TEXT.encode(), [steps_of(expression)]) == [place]
    assert places(TEXT.encode(), [steps_of(expression)], 11) == [
        place._replace(line=10 + place.line)
    ]


def test_what_is_no_json_has_no_places():
    for text in (b"", b"{", b'{"a":', b"[1", b"{'a':1}", b'{"a":[{"b":"X"]}', b"[" * 100_000):
        assert places(text, [("a", 0, "b"), ()]) == [None, None]


values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.sampled_from("abc"), below, max_size=3)
    ),
    max_leaves=8,
)


def ways(value, way=()):
    yield way, value
    parts = value.items() if isinstance(value, dict) else ()
    for step, below in enumerate(value) if isinstance(value, list) else parts:
        yield from ways(below, (*way, step))


@settings(max_examples=50)
@given(values, st.sampled_from([None, 0, 2]))
def test_every_element_of_any_document_is_found_at_its_value(value, indent):
    text = json.dumps(value, indent=indent)
    listed = list(ways(value))
    lines = text.split("\n")
    for (way, part), place in zip(
        listed, places(text.encode(), [way for way, _ in listed]), strict=True
    ):
        rest = "\n".join(lines[place.line - 1 :])[place.column - 1 :]
        if way and isinstance(way[-1], str):
            assert rest.startswith(f"{json.dumps(way[-1])}:")
            rest = rest.partition(":")[2].lstrip()
        assert json.JSONDecoder().raw_decode(rest)[0] == part
