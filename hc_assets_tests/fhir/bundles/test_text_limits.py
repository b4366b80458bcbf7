"""What is read of a file is bounded, whatever it unpacks to and wherever its lines end."""

import gzip
import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from hc_assets.fhir.bundles.entries import Entry
from hc_assets.fhir.bundles.entry_columns import DEFAULT_BOUNDS, read_columns
from hc_assets.fhir.bundles.read import read_entries
from hc_assets.fhir.bundles.text_streams import TextLimits
from hc_assets.fhir.r4.json_text import MAX_BYTES
from hc_assets.fhir.settings import FhirSettings
from hc_assets.fhir.validation.files import Sharing, validate_files
from hc_assets.lake.archives import ArchiveLimits
from hc_assets.lake.discovery import discover
from hc_assets_tests.fhir.bundles.split_entries import DOCUMENT, LINES, PATIENT, bundle

LINE = PATIENT + b"\n"
LONG = b'{"resourceType":"Patient","id":"' + b"x" * 300 + b'"}'
PACK: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": lambda data: pa.compress(data, "zstd", asbytes=True),
}


def limited(text: int = 200, unpacked: int = 2000) -> TextLimits:
    return TextLimits(text, ArchiveLimits(ratio=1, always=unpacked))


def read(data: bytes, media_type: str, limits: TextLimits) -> list[Entry]:
    """The entries of a file, which are the same at once and one by one."""
    found = list(read_entries(io.BytesIO(data), media_type, limits=limits))
    positions, problems = [], []
    for columns in read_columns(io.BytesIO(data), media_type, DEFAULT_BOUNDS, limits):
        positions += columns["position"].to_pylist()
        problems += columns["problem"].to_pylist()
    assert (positions, problems) == ([e.position for e in found], [e.problem for e in found])
    return found


@pytest.mark.parametrize("pack", PACK)
def test_a_document_of_more_bytes_than_allowed_is_one_entry_that_says_so(pack: str) -> None:
    for data in (LONG, bundle(b'{"resource":%b}' % LONG), b" " * 300):
        assert read(PACK[pack](data), DOCUMENT, limited()) == [
            Entry(0, None, "the text has more than 200 bytes")
        ]
        (allowed,) = read(PACK[pack](data), DOCUMENT, limited(len(data)))
        assert allowed.resource is not None


@pytest.mark.parametrize("pack", PACK)
def test_a_line_of_more_bytes_than_allowed_leaves_the_others(pack: str) -> None:
    data = LINE + LONG + b"\n" + LINE + b"\n" + PATIENT + b" " * 300 + b"\n" + LINE + LONG
    found = read(PACK[pack](data), LINES, limited())
    problem = "a line of more than 200 bytes"
    assert [(e.position, e.problem) for e in found] == [
        *((0, None), (1, problem), (2, None), (4, problem), (5, None), (6, problem))
    ]
    assert [e.resource for e in found if not e.problem] == [PATIENT] * 3


def test_a_line_may_have_as_many_bytes_as_allowed() -> None:
    for data in (LINE, PATIENT, LINE + LINE):
        assert not any(e.problem for e in read(data, LINES, limited(len(PATIENT))))
        assert all(e.problem for e in read(data, LINES, limited(len(PATIENT) - 2)))


@pytest.mark.parametrize("pack", ["gzip", "zstd"])
def test_lines_before_a_packed_file_exceeds_its_limit_are_kept(pack: str) -> None:
    data = PACK[pack](LINE * 200_000)
    limit = 1_000_000
    *kept, last = read(data, LINES, TextLimits(200, ArchiveLimits(ratio=1, always=limit)))
    assert last.problem == f"the file unpacks to more than {limit} bytes"
    assert {e.resource for e in kept} == {PATIENT}
    assert limit - len(LINE) < len(kept) * len(LINE) <= limit


@pytest.mark.parametrize("pack", ["gzip", "zstd"])
def test_a_packed_document_is_read_as_far_as_the_limit_and_no_further(pack: str) -> None:
    bomb = PACK[pack](b" " * 100_000_000)
    tracemalloc.start()
    try:
        for media_type in (DOCUMENT, LINES):
            assert len(read(bomb, media_type, limited(1_000_000, 2_000_000))) <= 2
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_text_that_is_no_longer_than_allowed_is_not_made_room_for() -> None:
    tracemalloc.start()
    try:
        for media_type in (DOCUMENT, LINES):
            assert read(gzip.compress(PATIENT), media_type, TextLimits())[0].resource == PATIENT
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("pack", PACK)
def test_validate_says_the_same_of_each_line(pack: str, tmp_path: Path) -> None:
    data = PACK[pack](LINE * 3 + LONG + b"\n" + LINE * 3 + LONG * 3 + b"\n" + LINE)
    (tmp_path / "a.ndjson").write_bytes(data)
    sharing = Sharing(size=50)  # so that a line is longer than a piece of work
    found = validate_files(
        discover([tmp_path], tmp_path), workers=1, sharing=sharing, limits=limited(200, 10_000)
    )
    problems = {
        finding.position: issue.diagnostics
        for checked in found
        for finding in checked.findings
        for issue in finding.issues
        if issue.rule == "unreadable"
    }
    assert problems == dict.fromkeys((3, 7), "a line of more than 200 bytes")


def test_the_limits_are_settings() -> None:
    configured = TextLimits.configured(FhirSettings(fhir_text_bytes=5, archive_bytes=7))
    assert configured == TextLimits(5, ArchiveLimits(size=7))
    assert TextLimits.configured(FhirSettings()) == TextLimits()
    assert FhirSettings().fhir_text_bytes == MAX_BYTES
