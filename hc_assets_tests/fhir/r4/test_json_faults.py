"""A parser's error says why and where, as lines and columns of characters."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.fhir.r4.json_faults import Place, moved, place_in, place_of, words
from hc_assets.fhir.validation import validate


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"a":[{"b":"X"]}', "expected ',' or '}' (line 1, column 15)"),
        (b'{\n "a": 1\n "b": 2}', "expected ',' or '}' (line 3, column 2)"),
        ('{"ä":"ü"'.encode(), "Input data was truncated (line 1, column 9)"),
        (b'{"a":1} x', "trailing characters (line 1, column 9)"),
        (b'{"a":1}\n{"a":1}', "several JSON documents where one is expected (line 2, column 1)"),
        (b'{"a" 1}', "expected ':' (line 1, column 6)"),
    ],
)
def test_syntax_errors_have_line_and_column(text, said):
    with pytest.raises(msgspec.DecodeError) as raised:
        msgspec.json.decode(text)
    assert words(raised.value, text) == said
    assert words(raised.value, text, None) == said.partition(" (line")[0]
    (issue,) = validate(text)
    assert issue.diagnostics == f"not JSON: {said}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a":"Müller"}'.encode("latin-1"), ", probably Latin-1 or Windows-1252"),
        ('{"a":"naïve café"}'.encode("cp1252"), ", probably Latin-1 or Windows-1252"),
        ('{"a":"Müller"}'.encode() + b'{"b":"\xfc"}', ""),
        ('{"a":"患者"}'.encode("shift-jis"), ""),
    ],
)
def test_text_that_is_not_utf8_is_called_what_it_may_be(text, said):
    with pytest.raises(UnicodeDecodeError) as raised:
        text.decode()
    found = words(raised.value, text)
    assert found.startswith(f"text that is not UTF-8{said} (line 1, column ")
    assert place_in(found) == Place(1, len(text[: raised.value.start].decode()) + 1)


@given(st.text(alphabet="aä\n", max_size=20), st.text(max_size=5), st.integers(1, 9))
def test_a_place_is_where_an_editor_counts_it(before, after, line):
    offset = len(before.encode())
    lines = before.split("\n")
    expected = Place(line + len(lines) - 1, len(lines[-1]) + 1)
    assert place_of((before + after).encode("utf-8", "replace"), offset, line) == expected


def test_a_place_in_a_text_is_found_and_moved():
    said = "not JSON: expected ',' (line 3, column 7)"
    assert place_in(said) == Place(3, 7)
    assert moved(said, 10) == "not JSON: expected ',' (line 13, column 7)"
    assert place_in("no place (line 3)") is None
    assert moved(json.dumps({}), 3) == "{}"
