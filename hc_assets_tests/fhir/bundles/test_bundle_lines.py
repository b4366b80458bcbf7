import gzip
import hashlib
import io

import pyarrow as pa
import pytest

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

# --- Lines ---


def test_positions_of_lines_count_blank_ones_and_line_ends_of_windows_are_no_part_of_them():
    data = BYTE_ORDER_MARK + PATIENT + b"\r\n\r\n   \n\t" + PATIENT + b" \n{"
    assert [(e.position, e.resource, e.problem) for e in split(data, LINES)] == [
        (0, PATIENT, None),
        (3, PATIENT, None),
        (4, b"{", "not JSON: Input data was truncated (line 5, column 2)"),
    ]


def test_lines_in_a_file_named_json_are_read_as_lines():
    data = b"\n" + PATIENT + b"\n\nnonsense\n" + PATIENT + b"\n"
    assert split(data, DOCUMENT) == split(data, LINES)
    assert [e.position for e in split(data)] == [1, 3, 4]
    assert [str(e.problem)[:8] for e in split(data)] == ["None", "not JSON", "None"]


def test_lines_are_not_read_ahead_of_the_consumer():
    stream = io.BytesIO((PATIENT + b"\n") * 10_000)
    entries = read_entries(stream, LINES)
    assert next(entries).position == 0
    assert stream.tell() < len(PATIENT) * 2


TYPES = ["transaction", "batch", "history", "searchset", "collection", "batch-response"]


@pytest.mark.parametrize("type_", TYPES)
def test_a_line_that_is_a_bundle_gives_its_entries_and_positions_are_counted_on(type_):
    line = bundle(*[b'{"resource":%b}' % PATIENT] * 3).replace(b"transaction", type_.encode())
    found = split(b"\n".join([PATIENT, line, b"", PATIENT, line]), LINES)
    assert [e.position for e in found] == [0, 1, 2, 3, 5, 6, 7, 8]
    assert {e.resource for e in found} == {PATIENT}


@pytest.mark.parametrize("type_", ["document", "message"])
def test_a_line_that_is_a_document_or_a_message_is_one_resource_and_a_file_is_its_entries(type_):
    whole = bundle(b'{"resource":%b}' % PATIENT).replace(b"transaction", type_.encode())
    found = split(b"\n".join([PATIENT, whole]), LINES)
    assert [(e.position, e.resource, e.resource_type) for e in found] == [
        (0, PATIENT, "Patient"),
        (1, whole, "Bundle"),
    ]
    assert only(whole).resource == PATIENT


def test_a_line_that_is_a_broken_bundle_holds_nobody_up():
    broken = b'{"resourceType":"Bundle","entry":5}'
    found = split(b"\n".join([PATIENT, broken, PATIENT]), LINES)
    assert [e.position for e in found] == [0, 1, 2]
    assert [bool(e.problem) for e in found] == [False, True, False]


# --- gzip ---


@pytest.mark.parametrize("media_type", [DOCUMENT, LINES, UNKNOWN])
def test_gzip_is_recognized_by_content(media_type):
    assert only(gzip.compress(PATIENT), media_type).resource == PATIENT
    both = gzip.compress(PATIENT + b"\n") + gzip.compress(PATIENT)
    assert [e.resource for e in split(both, media_type)] == [PATIENT, PATIENT]


def test_gzip_cut_short_gives_the_lines_before_the_cut_and_then_the_reason():
    # Incompressible, so that lines are spread over the whole file.
    lines = [b'{"resourceType":"Basic","id":"%b"}' % x for x in _unlike(2_000)]
    packed = gzip.compress(b"\n".join(lines))
    found = split(packed[: len(packed) // 2], LINES)
    assert [e.resource for e in found[:-1]] == lines[: len(found) - 1]
    assert len(found) > 100
    assert found[-1].position == len(found) - 1
    assert str(found[-1].problem).startswith("gzip is damaged: Compressed file ended")


def test_gzip_that_does_not_match_its_checksum_is_damaged():
    packed = bytearray(gzip.compress(PATIENT))
    packed[-5] ^= 1
    assert str(split(bytes(packed), LINES)[-1].problem).startswith("gzip is damaged: ")
    assert str(only(bytes(packed)).problem).startswith("gzip is damaged: ")


def _unlike(count: int) -> list[bytes]:
    return [hashlib.sha256(b"%d" % number).hexdigest().encode() for number in range(count)]


def test_zstd_is_recognized_by_content_and_damage_is_reported():
    lines = b"\n".join([PATIENT] * 5_000)
    packed = pa.compress(lines, "zstd", asbytes=True)
    assert {e.resource for e in split(packed, LINES)} == {PATIENT}
    assert len(split(packed, UNKNOWN)) == 5_000
    assert split(packed[:-9], LINES)[-1].problem == "zstd is damaged"
    assert only(packed[:-9]).problem == "zstd is damaged"
