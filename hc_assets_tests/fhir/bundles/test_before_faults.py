"""Type and id of what is no JSON, where its text shows them, and nothing that it does not."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.fhir.bundles.before_faults import Shown, shown_before
from hc_assets.fhir.bundles.entries import resource_entry
from hc_assets.lake.layout import Layout
from hc_assets_tests.fhir.worker_runs import QUARANTINED, Run

NOTHING = (None, None)
PATIENT = b'{"resourceType":"Patient","id":"p1","name":[{"family":"x"}]}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"resourceType":"Patient","id":"p1","gender":}', ("Patient", "p1")),
        (b'{"resourceType":"Patient","id":"p1","name":[{"family":"x"', ("Patient", "p1")),
        (b'{ "resourceType" : "Patient" ,\r\n "id"\t:"p1" , x}', ("Patient", "p1")),
        (
            b'{"meta":{"id":"m","resourceType":"Other"},"resourceType":"Patient",]',
            ("Patient", None),
        ),
        (b'{"resource\\u0054ype":"Patient","id":"\\u0070\\/1",!', ("Patient", "p/1")),
        (b'{"resourceType":"Patient","id":"p1","a":01}', ("Patient", "p1")),
        (b'{"resourceType":"Patient","id":"p1","a":NaN,"meta":{}}', ("Patient", "p1")),
        (b'{"resourceType":5,"id":"p1","a":]', (None, "p1")),
        # Behind the fault, or cut by it, or not the only one
        (b'{"gender":,"resourceType":"Patient","id":"p1"}', NOTHING),
        (b'{"resourceType":"Patient","id":"p', ("Patient", None)),
        (b'{"resourceType":"Patient","id":"p1"', ("Patient", None)),
        (b'{"resourceType":"Patient","id":"p1"x","gender":"male"}', ("Patient", None)),
        (b'{"resourceType":"Patient","id":"p1","id":"p2","gender":}', ("Patient", None)),
        (b'{"resourceType":"Patient","id":"p\xff"}', ("Patient", None)),
        (PATIENT + PATIENT, NOTHING),
        (PATIENT + b"}", NOTHING),
        (b'[{"resourceType":"Patient","id":"p1",!', NOTHING),
        (b'"resourceType":"Patient","id":"p1"', NOTHING),
        (b"", NOTHING),
        (b'{"resourceType":"Patient","id":"p1","a":' + b"[" * 5_000, ("Patient", "p1")),
    ],
)
def test_what_is_read_before_the_fault_is_known_and_nothing_else(text, expected):
    found = resource_entry(0, text)
    assert found.problem is not None
    assert (found.resource_type, found.resource_id) == expected


def test_the_entry_of_a_bundle_that_the_fault_is_in_is_named():
    good = b'{"fullUrl":"urn:x","resource":{"resourceType":"Patient","id":"p1"}}'
    begun = b'{"resourceType":"Bundle","id":"b","type":"batch","entry":[%b,' % good
    found = resource_entry(0, begun + b'{"resource":{"resourceType":"Patient","id":}}]}', 1)
    assert (found.resource_type, found.resource_id) == ("Bundle", "b")
    assert found.problem is not None
    assert " in Bundle.entry[1].resource (line 1, column " in found.problem
    assert " in Bundle.entry[1] (line" in str(
        resource_entry(0, begun + b'{"request":}]}', 1).problem
    )
    without_type = begun.replace(b'"resourceType":"Bundle",', b"", 1)
    assert "Bundle.entry" not in str(resource_entry(0, without_type + b"!", 1).problem)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "resourceType", "a", "\\"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(["id", "resourceType", "a", "b"]), VALUES), st.data())
def test_it_is_what_a_parser_that_goes_on_would_read(members, data):
    text = json.dumps(members, ensure_ascii=data.draw(st.booleans())).encode()
    cut = data.draw(st.integers(0, len(text) - 1))
    found = shown_before(text[:cut], cut)
    for name, shown in (("resourceType", found.resource_type), ("id", found.resource_id)):
        assert shown is None or shown == members[name]
    begun = msgspec.json.encode({"resourceType": "Basic", "id": "1"} | members)[:-1] + b","
    kinds = {
        name: members.get(name, default)
        for name, default in (("resourceType", "Basic"), ("id", "1"))
    }
    expected = [each if isinstance(each, str) else None for each in kinds.values()]
    assert shown_before(begun, len(begun)) == Shown(*expected)


def test_a_row_in_quarantine_and_a_report_name_the_line(hc_assets, tmp_path: Path):
    lines = b'{"resourceType":"Patient","id":"p1","gender":}\n' + PATIENT.replace(b"p1", b"p2")
    found = Run(Layout.of(tmp_path)).all(a__ndjson=lines)
    (row,) = found[QUARANTINED]
    assert (row["resource_type"], row["resource_id"], row["position"]) == ("Patient", "p1", 0)
    (tmp_path / "a.ndjson").write_bytes(lines)
    result = hc_assets("validate", tmp_path / "a.ndjson", "--format", "ndjson")
    (outcome,) = map(json.loads, result.stdout.splitlines())
    judged = {each["url"]: list(each.values())[1] for each in outcome["extension"][1]["extension"]}
    assert (judged["type"], judged["id"], judged["line"]) == ("Patient", "p1", 1)


def test_so_does_the_row_of_an_entry_whose_request_can_t_be_read(tmp_path: Path):
    entry = b'{"resource":%b,"request":5}' % PATIENT
    bundle = b'{"resourceType":"Bundle","type":"batch","entry":[%b]}' % entry
    found = Run(Layout.of(tmp_path)).all(a__json=bundle)
    rows = [row for row in found[QUARANTINED] if row["resource_type"] != "Bundle"]
    assert [(row["resource_type"], row["resource_id"]) for row in rows] == [("Patient", "p1")]
