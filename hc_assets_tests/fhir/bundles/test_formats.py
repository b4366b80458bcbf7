"""Files of other formats are called what they are, and FHIR as JSON is never called so."""

import gzip
import io
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hc_assets.fhir.bundles.entry_columns import read_columns
from hc_assets.fhir.bundles.formats import other_format
from hc_assets.fhir.bundles.read import read_entries

DOCUMENT = "application/fhir+json"
LINES = "application/fhir+ndjson"
PATIENT = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Müller"}]}
TEXT = json.dumps(PATIENT, ensure_ascii=False)


@pytest.mark.parametrize("media_type", [DOCUMENT, LINES])
@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b'<?xml version="1.0"?>\n<Patient xmlns="http://hl7.org/fhir"/>', "FHIR as XML"),
        (b'\xef\xbb\xbf<f:Bundle xmlns:f="http://hl7.org/fhir">', "FHIR as XML"),
        (b'<?xml version="1.0"?>\n<!-- x --><ClinicalDocument xmlns="urn:hl7-org:v3">', "CDA"),
        (b'<PRPA_IN201306UV02 xmlns="urn:hl7-org:v3">', "HL7 version 3"),
        (b'<ADT_A01 xmlns="urn:hl7-org:v2xml">', "HL7 version 2 message as XML"),
        (b"<?xml version='1.0'?><catalog/>", "is XML"),
        (b"<!DOCTYPE html><title>502</title>", "HTML page"),
        (b"\n<HTML lang='en'>", "HTML page"),
        (b"MSH|^~\\&|LAB|X\rPID|1\r", "HL7 version 2 message"),
        (b"\x0bMSH|^~\\&|LAB|X\rPID|1\r", "HL7 version 2 message"),
        (b"FHS|^~\\&|", "HL7 version 2 message"),
        (b"ISA*00*          *00*", "X12"),
        (b"Id,BIRTHDATE\n1,1980-01-01\n", "is CSV"),
        (b'"Patient Id";"Name"\n1;"a;b"\n2;c\n', "CSV with semicolons"),
        (b"id\tname\n1\tx\n", "columns with tabs"),
        (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
        (b"PK\x03\x04\x14\0", "ZIP"),
        (gzip.compress(b"{}", mtime=0), "gzip more than once"),
        (b"\0" * 128 + b"DICM\x02\0", "DICOM"),
        (b"a.txt".ljust(257, b"\0") + b"ustar\x0000", "tar archive"),
        (b"PAR1\x15\x04", "Parquet"),
        (TEXT.encode("utf-16"), "UTF-16"),
        (TEXT.encode("utf-16-be"), "UTF-16"),
        (TEXT.encode("utf-32"), "UTF-32"),
        (b"@prefix fhir: <http://hl7.org/fhir/> .", "Turtle"),
        (b"{\\rtf1\\ansi", "RTF"),
        (b"HTTP/1.1 200 OK\r\n\r\n{}", "HTTP response"),
        (b'\x1e{"a":1}\n', "JSON text sequence"),
        (b"\x89PNG\r\n\x1a\n\0", "PNG"),
        (bytes(range(32)), "binary data"),
    ],
)
def test_both_readers_name_a_format_in_one_entry(data, name, media_type):
    packed = gzip.compress(data)
    (entry,) = read_entries(io.BytesIO(packed), media_type)
    assert name in str(entry.problem)
    (columns,) = read_columns(io.BytesIO(packed), media_type)
    assert columns["problem"].to_pylist() == [entry.problem]
    assert other_format(data, in_lines=media_type == LINES) == entry.problem


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (json.dumps(PATIENT, indent=2).encode(), "over several lines (indented)"),
        (json.dumps(PATIENT, indent=2).replace("\n", "\r\n").encode(), "over several lines"),
        (b'{"resourceType":"Patient",\n"contact":[\n{"gender":"male"}\n]}', "over several lines"),
        (json.dumps([PATIENT, PATIENT], indent=1).encode(), "JSON array over several lines"),
        (b"[" + TEXT.encode() + b",\n" + TEXT.encode() + b"]", "JSON array over several lines"),
        (TEXT.encode() + b"\r" + TEXT.encode() + b"\r", "CR alone"),
    ],
)
def test_a_file_of_lines_that_is_json_of_another_shape_is_called_so(data, name):
    (entry,) = read_entries(io.BytesIO(data), LINES)
    assert name in str(entry.problem)


@pytest.mark.parametrize(
    "lines",
    [
        [TEXT.encode()[:-9], TEXT.encode()],
        [b"nonsense", TEXT.encode()],
        [b"<", TEXT.encode()],
        [b'{"a":', TEXT.encode(), TEXT.encode()],
        [b"[1,2]", TEXT.encode()],
        [TEXT.encode("latin-1"), TEXT.encode()],
    ],
)
def test_a_bad_line_costs_no_other_line(lines):
    entries = list(read_entries(io.BytesIO(b"\n".join(lines)), LINES))
    assert [entry.problem is None for entry in entries] == [
        b"\xfc" in line or line == TEXT.encode() for line in lines
    ]


def test_documents_that_are_several_or_an_array_are_called_so():
    indented = json.dumps(PATIENT, indent=1).encode()
    (entry,) = read_entries(io.BytesIO(indented + b"\n" + indented), DOCUMENT)
    assert entry.problem == (
        "not JSON: several JSON documents where one is expected (line 10, column 1)"
    )
    (entry,) = read_entries(io.BytesIO(b"[" + indented + b"]"), DOCUMENT)
    assert entry.problem == "expected a JSON object, found a JSON array"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
    max_leaves=8,
)


@settings(max_examples=50)
@given(st.lists(st.dictionaries(st.text(), json_values), min_size=1, max_size=4))
@example([{"a": "<html>"}, {}])
def test_lines_of_json_objects_are_of_no_other_format(objects):
    lines = "\n".join(json.dumps(each, ensure_ascii=False) for each in objects)
    data = lines.encode("utf-8", "replace")
    assert other_format(data, in_lines=True) is None
    assert other_format(b" \r\n" + data, in_lines=True) is None
    assert other_format(json.dumps(objects[0], indent=1).encode(), in_lines=False) is None


@given(st.binary(max_size=300))
def test_any_bytes_are_named_or_not_without_being_quoted(data):
    name = other_format(data, in_lines=True)
    assert name is None or name.startswith(
        ("not JSON: the file is ", "the file is JSON", "the file is a JSON", "the lines end")
    )
