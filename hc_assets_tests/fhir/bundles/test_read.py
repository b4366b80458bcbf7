import gzip
import json
import re
from decimal import Decimal

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hc_assets.fhir.bundles.entries import Entry
from hc_assets.fhir.bundles.read import read_entries
from hc_assets_tests.fhir.bundles.split_entries import (
    BYTE_ORDER_MARK,
    DOCUMENT,
    LINES,
    PATIENT,
    UNKNOWN,
    bundle,
    only,
    split,
)

# --- Bundles ---


def test_a_bundle_gives_its_entries_with_position_and_what_each_says_of_itself():
    put = (
        b'{"fullUrl":"urn:uuid:1","resource":%b,"request":{"method":"PUT","url":"Patient/p1"}}'
        % PATIENT
    )
    bare = b'{"resource":{"resourceType":"Basic"}}'
    assert split(bundle(put, bare)) == [
        Entry(0, PATIENT, None, "Patient", "p1", "urn:uuid:1", "PUT", "Patient/p1"),
        Entry(1, b'{"resourceType":"Basic"}', None, "Basic", None, None, None, None),
    ]


@pytest.mark.parametrize(
    "resource",
    [
        b'{ "id" : "p1",\n\t"resourceType" :"Patient" }',
        b'{"resourceType":"Observation","valueQuantity":{"value":1.00}}',
        b'{"resourceType":"Observation","valueQuantity":{"value":1.0e+02,"code":"\\u00b5\\/"}}',
        '{"resourceType":"Patient","name":[{"text":"Zoë ☃"}]}'.encode(),
        b'{"resourceType":"Patient","name":[{"text":"],}\\""}]}',
        b'{"resourceType":"Patient","id":"a","id":"b"}',
        b'{"resourceType":"Patient","name":[{"text":"\xff"}]}',
    ],
    ids=["spaces", "zeros", "exponent and escapes", "utf-8", "brackets", "twice", "latin-1"],
)
def test_a_resource_keeps_its_bytes(resource):
    assert split(bundle(b'{"resource" : ' + resource + b" }"))[0].resource == resource
    assert split(resource)[0].resource == resource
    assert split(resource.replace(b"\n", b"") + b"\r\n", LINES)[0].resource == resource.replace(
        b"\n", b""
    )


def test_one_bad_entry_among_a_hundred_leaves_the_other_ninety_nine():
    entries = [
        b'{"resource":{"resourceType":"Patient","id":"p%d"}}' % number for number in range(100)
    ]
    entries[41] = b'"not an entry"'
    found = split(bundle(*entries))
    assert [e.position for e in found] == list(range(100))
    assert [e.position for e in found if e.problem] == [41]
    assert found[41].resource == b'"not an entry"'
    assert [e.resource_id for e in found if not e.problem] == [
        f"p{n}" for n in range(100) if n != 41
    ]


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (b"5", r"Bundle\.entry can't be read: Expected `object`"),
        (b"null", r"Bundle\.entry can't be read"),
        (b"[]", r"Bundle\.entry can't be read"),
        (b"{}", r"Bundle\.entry has no resource"),
        (b'{"resource":null}', r"Bundle\.entry has no resource"),
        (b'{"resource" : null }', r"Bundle\.entry has no resource"),
        (b'{"fullUrl":7,"resource":%b}' % PATIENT, r"Bundle\.entry can't be read.*fullUrl"),
        (b'{"request":"GET","resource":%b}' % PATIENT, r"Bundle\.entry can't be read.*request"),
        (b'{"request":{"method":1},"resource":%b}' % PATIENT, r"can't be read.*request\.method"),
        (b'{"fullUrl":null,"resource":%b}' % PATIENT, r"Bundle\.entry can't be read.*fullUrl"),
        (b'{"request":null,"resource":%b}' % PATIENT, r"Bundle\.entry can't be read.*request"),
        (b'{"response":[],"resource":%b}' % PATIENT, r"Bundle\.entry can't be read.*response"),
        (b'{"fullUrl":"\xff","resource":%b}' % PATIENT, r"can't be read: text that is not UTF-8"),
        (b'{"resource":[]}', r"expected a JSON object, found a JSON array"),
        (b'{"resource":"x"}', r"expected a JSON object, found another JSON value"),
        (b'{"resource":{"resourceType":"\xff"}}', r"not JSON: text that is not UTF-8"),
        (
            b'{"resource":%b,"resource":{"resourceType":"Basic"}}' % PATIENT,
            r"Bundle\.entry says `resource` twice",
        ),
        (
            b'{"resource":%b,"request":{},"request":{}}' % PATIENT,
            r"Bundle\.entry says `request` twice",
        ),
        (
            b'{"fullUrl":"urn:uuid:1","resource":%b,"fullUrl":"urn:uuid:2"}' % PATIENT,
            r"Bundle\.entry says `fullUrl` twice",
        ),
        (
            b'{"resource":%b,"\\u0072esource":{"resourceType":"Basic"}}' % PATIENT,
            r"Bundle\.entry says `resource` twice",
        ),
        (
            b'{"resource":%b,"request":{"method":"PUT","url":"Patient/p1","method":"DELETE"}}'
            % PATIENT,
            r"Bundle\.entry says `method` twice",
        ),
        (
            b'{"resource":%b,"response":{"status":"200","lastModified":"x","lastModified":"y"}}'
            % PATIENT,
            r"Bundle\.entry says `lastModified` twice",
        ),
        (
            b'{"resource":%b,"extension":[{"url":"x","name":1,"n\\u0061me":2}]}' % PATIENT,
            r"Bundle\.entry says a member twice",
        ),
        (b'{"request":{"method":"DELETE"}}', r"DELETE whose request\.url is not <type>/<id>"),
    ],
)
def test_an_invalid_entry_has_its_reason_and_keeps_its_place(entry, problem):
    found = split(bundle(b'{"resource":%b}' % PATIENT, entry, b'{"resource":%b}' % PATIENT))
    assert [e.position for e in found] == [0, 1, 2]
    assert [e.resource for e in found[::2]] == [PATIENT, PATIENT]
    assert [e.problem for e in found[::2]] == [None, None]
    assert re.search(problem, str(found[1].problem))
    assert found[1].resource


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'{"resourceType":"Bundle","entry":{}}', "Expected `array`, got `object`"),
        (b'{"resourceType":"Bundle","entry":null}', "Expected `array`, got `null`"),
        (b'{"resourceType":"Bundle","entry":[],"entry":[{}]}', "Bundle says `entry` twice"),
        (b'{"resourceType":"Bundle","entry":[{}],"\\u0065ntry":[]}', "Bundle says `entry` twice"),
        (b'{"type":"batch","resourceType":"Bundle","typ\\u0065":1,"entry":[{}]}', "`type` twice"),
        (b'{"resourceType":"List","resourceType":"Bundle","entry":[{}]}', "`resourceType` twice"),
        (
            b'{"resourceType":"Bundle","meta":{"x":1,"x":1},"entry":[{}]}',
            "a member twice",
        ),
    ],
)
def test_a_bundle_whose_entries_are_ambiguous_is_one_entry_with_the_reason(data, problem):
    entry = only(data)
    assert problem in str(entry.problem)
    assert (entry.resource, entry.resource_type) == (data, "Bundle")


def test_names_that_resources_share_with_the_bundle_are_not_taken_for_repeated():
    listed = b'{"resourceType":"List","entry":[{"item":{"reference":"Patient/1"}}]}'
    statement = b'{"resourceType":"CapabilityStatement","rest":[{"resource":[{"type":"Basic"}]}]}'
    entries = [b'{"resource":%b}' % each for each in (listed, statement)]
    found = split(bundle(*entries))
    assert [e.resource for e in found] == [listed, statement]
    assert [e.problem for e in found] == [None] * 2


def test_a_repeated_name_within_a_resource_is_left_to_validation():
    doubled = b'{"resourceType":"Basic","code":{"text":"x","text":"y"},"code":{}}'
    found = split(bundle(b'{"resource":%b}' % doubled, b'{"resource":%b}' % PATIENT))
    assert [(e.resource, e.problem) for e in found] == [(doubled, None), (PATIENT, None)]


@pytest.mark.parametrize("media_type", [DOCUMENT, LINES])
def test_an_empty_bundle_is_accounted_for(media_type):
    empty = b'{"resourceType":"Bundle","type":"searchset"}'
    for data in (empty, bundle()):
        (entry,) = split(data, media_type)
        assert (entry.resource, entry.resource_type, entry.problem) == (data, "Bundle", None)
        assert "the Bundle has no entry" in str(entry.not_data)


def test_a_bundle_may_name_its_type_last():
    data = b'{"entry":[{"resource":%b}],"resourceType":"Bundle"}' % PATIENT
    assert only(data).resource == PATIENT


def test_a_bundle_of_a_hundred_thousand_entries_is_split_in_order():
    count = 100_000
    entries = [b'{"resource":{"resourceType":"Basic","id":"%d"}}' % n for n in range(count)]
    found = split(bundle(*entries))
    assert [e.position for e in found] == list(range(count))
    assert [e.resource_id for e in found] == [str(n) for n in range(count)]
    assert not any(e.problem for e in found)


# --- One resource, or none ---


def test_a_file_that_is_one_resource_is_one_entry():
    assert split(b"\n " + PATIENT + b"\r\n") == [Entry(0, PATIENT, None, "Patient", "p1")]
    assert split(PATIENT, UNKNOWN) == [Entry(0, PATIENT, None, "Patient", "p1")]


@pytest.mark.parametrize("media_type", [DOCUMENT, LINES])
@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "the file is empty"),
        (b" \r\n\t\n", "the file is blank"),
        (BYTE_ORDER_MARK + b"\n", "the file is blank"),
        (b"resourceType,id", "not JSON: invalid character"),
        (b"[1,2]", "expected a JSON object, found a JSON array"),
        (b'"text"', "expected a JSON object, found another JSON value"),
        (b"null", "expected a JSON object, found another JSON value"),
        (b'{"resourceType":"Patient"', "not JSON: Input data was truncated"),
        (b'{"resourceType":"Patient"} x', "not JSON: trailing characters"),
        (b'{"a":' * 100_000, "not JSON: nested too deeply"),
        (b"\xff\xfe{\x00}\x00", "not JSON: the file is text in UTF-16, expected UTF-8"),
    ],
    ids=[
        "empty", "blank", "mark alone", "csv", "array", "text", "null", "cut", "trailing", "deep",
        "utf-16",
    ],
)  # fmt: skip
def test_what_is_no_resource_is_one_entry_with_the_reason(data, problem, media_type):
    entry = only(data, media_type)
    assert str(entry.problem).partition(" (line ")[0] == problem
    assert entry.position == 0


@pytest.mark.parametrize(
    ("data", "type_", "id_"),
    [
        (b'{"resourceType":"Patient","id":5}', "Patient", None),
        (b'{"resourceType":"Patient","id":1e999}', "Patient", None),
        (b'{"resourceType":["Patient"],"id":"p1"}', None, "p1"),
        (b"{}", None, None),
    ],
)
def test_a_type_or_id_that_is_no_text_is_left_to_validation(data, type_, id_):
    assert only(data) == Entry(0, data, None, type_, id_)


def test_reasons_do_not_repeat_what_the_file_holds():
    secret = b"Considine"
    broken = [
        secret,
        b'{"resourceType":"Patient","name":' + secret,
        bundle(b'"%b"' % secret, b'{"fullUrl":["%b"]}' % secret),
        bundle(b'{"request":{"method":"DELETE","url":"Patient?name=%b"}}' % secret),
        b'{"%b":1,"%b":2} %b' % (secret, secret, secret),
        gzip.compress(secret * 9)[:-3],
    ]
    problems = [e.problem or e.not_data for data in broken for e in split(data)]
    assert all(problems)
    assert not any("Considine" in str(problem) for problem in problems)


# --- Properties ---

MEDIA_TYPES = st.sampled_from([DOCUMENT, LINES, UNKNOWN])
# Pieces of JSON and of what breaks it, so that a fair share of the texts is nearly right.
PIECES = st.sampled_from(
    [
        *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"\n", b" ", b"\\", b"\\ud800", b"\xff"),
        *(b"null", b"1e999", b"-0.0", BYTE_ORDER_MARK, b"\x1f\x8b", b"\x00"),
        *(b'"resourceType":', b'"Bundle"', b'"entry":', b'"resource":', b'"request":', b'"id":'),
        PATIENT,
        bundle(b'{"resource":%b}' % PATIENT),
    ]
)
NEARLY_JSON = st.lists(PIECES, max_size=12).map(b"".join)


@given(st.one_of(st.binary(max_size=200), NEARLY_JSON), MEDIA_TYPES, st.booleans())
@example(b'{"resourceType":"\xff"}', DOCUMENT, False)
@example(b'{"resourceType":"\xff"}\n{}', DOCUMENT, False)
@example(b'{"resourceType":"\xff"}', LINES, True)
def test_any_bytes_give_entries_each_with_a_resource_or_a_reason(data, media_type, packed):
    entries = split(gzip.compress(data) if packed else data, media_type)
    for entry in entries:
        is_deletion = entry.request_method == "DELETE" and entry.resource_type is not None
        assert entry.problem or entry.resource or is_deletion
    positions = [entry.position for entry in entries]
    assert positions == sorted(set(positions))


NAMES = st.sampled_from(
    ["resourceType", "entry", "resource", "request", "method", "url", "fullUrl", "id", "link"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["Bundle", "Patient", "DELETE", "Patient/p1"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)


@given(VALUES, MEDIA_TYPES)
def test_any_json_value_gives_entries_each_with_a_resource_or_a_reason(value, media_type):
    for entry in split(json.dumps(value).encode(), media_type):
        is_deletion = entry.request_method == "DELETE" and entry.resource_type is not None
        assert entry.problem or entry.resource or is_deletion


@given(st.lists(VALUES.filter(lambda value: "Bundle" not in str(value)), max_size=6))
def test_every_member_of_entry_is_accounted_for_whatever_it_is(entries):
    data = json.dumps({"resourceType": "Bundle", "entry": entries}).encode()
    found = split(data)
    if not entries:
        assert [str(e.not_data).partition(":")[0] for e in found] == ["the Bundle has no entry"]
        return
    assert [e.position for e in found] == list(range(len(entries)))
    for entry, sent in zip(found, entries, strict=True):
        if entry.problem is None and entry.not_data is None and entry.resource is not None:
            assert json.loads(entry.resource) == sent["resource"]


def is_bundle(value: object) -> bool:
    return isinstance(value, dict) and value.get("resourceType") == "Bundle"


@given(
    st.lists(VALUES.filter(lambda value: not is_bundle(value)).map(json.dumps), max_size=6),
    st.sampled_from(["\n", "\r\n", "\n\n \n"]),
)
def test_every_line_is_accounted_for_whatever_it_is(lines, line_end):
    found = split(line_end.join(lines).encode(), LINES)
    assert [e.resource for e in found if e.resource] == [line.encode() for line in lines]


def test_synthea_bundles_split_into_the_entries_that_the_standard_library_counts(shared_data):
    folder = shared_data / "fhir" / "synthea_bundles"
    exact = msgspec.json.Decoder(float_hook=Decimal)
    for path in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_size)[:3]:
        with path.open("rb") as file:
            found = list(read_entries(file, DOCUMENT))
        sent = json.loads(path.read_bytes(), parse_float=Decimal)["entry"]
        assert [e.problem for e in found] == [None] * len(sent)
        assert [e.full_url for e in found] == [entry["fullUrl"] for entry in sent]
        assert [exact.decode(e.resource or b"") for e in found] == [e["resource"] for e in sent]
