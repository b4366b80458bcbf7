import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hc_assets
from hc_assets.fhir.enrichment.columns.resource_texts import (
    Resource,
    Texts,
    compacted,
    members_in,
    read_one,
    spliced,
    text_of,
)
from hc_assets_tests.fhir.enrichment.columns import hostile_texts
from hc_assets_tests.fhir.enrichment.columns.hostile_texts import read_hostile
from hc_assets_tests.sanitizers import run_sanitized

NATIVE = Path(hc_assets.__file__).parent / "fhir" / "enrichment" / "columns" / "native"

TEXT = st.text(max_size=12) | st.sampled_from(["reference", 'a"b', "\\", "Patient/1", "urn:uuid:a"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=6)


def resources_in(texts: Texts) -> list[Resource | None]:
    members = members_in(texts)
    sizes = np.diff(texts.offsets).tolist()
    return [members.resource(row) if size else None for row, size in enumerate(sizes)]


def written(value: Any, indent: int | None, *, ascii_only: bool) -> bytes:
    return json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()


@given(st.lists(st.none() | OBJECTS, max_size=5), st.sampled_from([None, 0, 2, 9]), st.booleans())
def test_texts_are_compact_and_their_members_found(objects, indent, ascii_only):
    sent = [None if o is None else written(o, indent, ascii_only=ascii_only) for o in objects]
    compact = compacted(pa.array(sent, pa.binary()))
    found = resources_in(compact.texts)
    for text, value, resource in zip(sent, objects, found, strict=True):
        if text is None:
            assert resource is None
            continue
        assert resource is not None
        assert resource.text == msgspec.json.format(text, indent=-1)
        assert resource.names.listed == tuple(value)
        assert [json.loads(resource.at(i)) for i in range(len(value))] == list(value.values())
        # White space between the tokens is no obstacle either.
        assert read_one(text).names is resource.names


def test_a_slice_of_a_column_is_read_from_its_place():
    column = pa.array([b'{"a":1}', None, b'{ "b": "2" }', b'{"c":{}}'], pa.binary())
    found = resources_in(compacted(column.slice(1, 2)).texts)
    assert found[0] is None
    assert found[1] is not None
    assert (found[1].text, found[1].raw("b"), found[1].raw("a")) == (b'{"b":"2"}', b'"2"', None)


def test_more_members_and_references_than_were_counted_on_are_found():
    references = {f"m{n}": {"reference": f"Patient/{n}"} for n in range(500)}
    compact = compacted(pa.array([json.dumps(references).encode()], pa.binary()))
    assert len(compact.references) == 500
    (found,) = resources_in(compact.texts)
    assert found is not None
    assert text_of(found.raw("m499")[len('{"reference":') : -1]) == "Patient/499"


@pytest.mark.parametrize("text", [b"[]", b"1", b'{"a"', b'{"a":', b'{"a":1', b'{"a":}', b'{"a" 1}'])
def test_what_is_no_object_is_refused(text):
    with pytest.raises(ValueError, match="no JSON object"):
        read_one(text)


def test_a_string_without_an_end_is_refused():
    with pytest.raises(ValueError, match="no JSON"):
        compacted(pa.array([b'{"a":"b\\"}'], pa.binary()))


def test_changes_and_additions_leave_every_other_byte():
    text = b'{"a":1,"b":[2],"c":"x"}'
    assert spliced(text, [], b',"d":4') == b'{"a":1,"b":[2],"c":"x","d":4}'
    assert spliced(text, [(6, 6, b',"i":0'), (11, 14, b"[]")], b"") == (
        b'{"a":1,"i":0,"b":[],"c":"x"}'
    )


# --- Memory ---


def test_hostile_texts_are_read_or_refused():
    assert 200 < read_hostile(1, 2_000) < 1_900


@pytest.mark.sanitized
def test_no_byte_is_read_or_written_out_of_bounds(tmp_path):
    printed = run_sanitized(NATIVE.glob("*.c"), hostile_texts.__file__, tmp_path, "2", "5000")
    assert int(printed) > 500
