"""The fast reader gives the row that the thorough one gives, or none."""

import importlib.util
import json
import logging
import struct
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

import hc_assets
from hc_assets.imaging.headers.dicom_json import BINARY_LIMIT
from hc_assets.imaging.headers.fast_headers import fast_header
from hc_assets.imaging.headers.read import completed, read_header, thorough_header
from hc_assets.imaging.headers.reading import UnreadableFile
from hc_assets_tests.sanitizers import run_sanitized

PIXELS = np.arange(12, dtype=np.uint16).reshape(3, 4)
MUTATIONS = 2_400
TYPES = ["AT", "US", "SS", "UL", "SL", "FL", "FD", "OB", "OW", "OF", "UN", "LO"]
META = b"".join(
    (
        bytes(128),
        b"DICM",
        b"\2\0\x10\0UI\x14\0" + b"1.2.840.10008.1.2.1\0",
    )
)
NATIVE = Path(hc_assets.__file__).parent / "imaging" / "headers" / "native"


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mutated = _load("mutated_headers")


def thorough(path: Path) -> dict[str, object] | str:
    try:
        return thorough_header(path)
    except UnreadableFile as error:
        return error.reason


def assert_same(fast: dict[str, object], path: Path) -> None:
    slow = thorough(path)
    assert isinstance(slow, dict), f"{path.name}: unreadable for the thorough reader"
    # By their text, which tells 1 from 1.0 and 0.0 from -0.0
    assert {name: repr(fast[name]) for name in fast} == {name: repr(slow[name]) for name in slow}


def test_every_real_file_has_the_same_row(real_files):
    outcomes: Counter[str] = Counter()
    for path in real_files:
        fast = fast_header(path)
        if fast is None:
            outcomes["refused" if isinstance(thorough(path), dict) else "unreadable"] += 1
        else:
            assert_same(fast, path)
            outcomes["same"] += 1
    # Few are left to the thorough reader
    assert outcomes["same"] > 0.85 * (outcomes["same"] + outcomes["refused"]), outcomes


def test_damage_gives_the_same_row_or_is_refused(real_files, tmp_path):
    outcomes: Counter[str] = Counter()
    path = tmp_path / "mutated.dcm"
    for mutant in mutated.mutants(mutated.headers(real_files), seed=7, count=MUTATIONS):
        path.write_bytes(mutant)
        fast = fast_header(path)
        outcomes["refused" if fast is None else "same"] += 1
        if fast is not None:
            assert_same(fast, path)
    assert min(outcomes.values()) > MUTATIONS / 10, outcomes


@pytest.mark.sanitized
def test_no_byte_is_read_or_written_out_of_bounds(tmp_path):
    printed = run_sanitized(NATIVE.glob("*.c"), mutated.__file__, tmp_path, "2", "8000")
    assert int(printed) > 800


def test_threads_read_beside_one_another(real_files):
    alone = [fast_header(path) for path in real_files]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fast_header, real_files * 2)) == alone * 2


def element(tag: int, vr: bytes, value: bytes, *, is_big: bool = False) -> bytes:
    order = ">" if is_big else "<"
    return struct.pack(f"{order}HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def written(path: Path, *elements: bytes) -> Path:
    path.write_bytes(META + b"".join(elements))
    return path


def assert_read_fast(path: Path) -> dict[str, object]:
    fast = fast_header(path)
    assert fast is not None
    assert_same(fast, path)
    return fast


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.floats(), max_size=20), st.lists(st.floats(width=32), max_size=20))
@example([0.0, -0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308], [1e-45])
@example([2.0**-24, 2.0**-60, 2.0**70, 0.125], [2.0**-24])
@example([1e15, 1e16, 123456789012345680.0, 1e-5, 1e-6, 1 / 3, 9007199254740993.0], [])
def test_floats_keep_their_digits(tmp_path, doubles, singles):
    path = written(
        tmp_path / "a.dcm",
        element(0x00080060, b"CS", b"CT"),
        element(0x00189089, b"FD", struct.pack(f"<{len(doubles)}d", *doubles)),
        element(0x00189105, b"FL", struct.pack(f"<{len(singles)}f", *singles)),
    )
    assert_read_fast(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text("0123456789+-.eE\\ ", max_size=24))
@example("1.2.3")
@example("+.5E-3\\-0\\00012.500\\1.\\12345678901234567890\\1e400")
@example("999999999999999\\9999999999999999\\0.1234567890123456\\1e-400")
def test_decimals_are_the_same_however_they_are_written(tmp_path, text):
    value = text.encode()
    path = written(
        tmp_path / "a.dcm",
        element(0x00080060, b"CS", b"CT"),
        element(0x00180050, b"DS", value),
        element(0x00181060, b"DS", value),
        element(0x00200013, b"IS", value),
        element(0x00280008, b"IS", value),
    )
    assert_read_fast(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.binary(max_size=24),
    st.sampled_from([b"", b"ISO_IR 100", b"ISO_IR 192", b"ISO_IR 144", b"\\ISO 2022 IR 87"]),
)
@example(b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", b"\\ISO 2022 IR 87")
@example(b'a\\\\ b \\"c"\0', b"")
def test_text_is_the_same_in_every_character_set(tmp_path, value, character_set):
    path = written(
        tmp_path / "a.dcm",
        element(0x00080005, b"CS", character_set),
        element(0x00080060, b"CS", b"CT"),
        element(0x00081030, b"LO", value),
        element(0x00100010, b"PN", value),
        element(0x00104000, b"LT", value),
        element(0x00189004, b"CS", value),
    )
    assert_read_fast(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.binary(max_size=32),
    st.sampled_from(["AT", "US", "SS", "UL", "SL", "FL", "FD", "OB", "OW", "OF", "UN", "LO"]),
)
def test_any_bytes_of_any_type_are_the_same(tmp_path, value, vr):
    explicit = element(0x00091001, vr.encode(), value)
    if vr in ("OB", "OW", "OF", "UN"):
        explicit = struct.pack("<HH2sHL", 9, 0x1001, vr.encode(), 0, len(value)) + value
    path = written(
        tmp_path / "a.dcm",
        element(0x00080060, b"CS", b"CT"),
        element(0x00090010, b"LO", b"MAKER"),
        explicit,
    )
    assert_read_fast(path)


def test_an_item_has_a_character_set_of_its_own(write_dicom):
    item = Dataset()
    item.SpecificCharacterSet = "ISO_IR 192"
    item.StudyDescription = "山田"
    path = write_dicom(PIXELS, ReferencedImageSequence=Sequence([item]), StudyDescription="plain")
    written_json = json.loads(str(assert_read_fast(path)["dicom_json"]))
    (sent,) = written_json["00081140"]["Value"]
    assert sent["00081030"]["Value"] == ["山田"]


def item(*elements: bytes) -> bytes:
    inside = b"".join(elements)
    return b"\xfe\xff\x00\xe0" + struct.pack("<L", len(inside)) + inside


def long_element(tag: int, vr: bytes, value: bytes, *, is_implicit: bool = False) -> bytes:
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + (b"" if is_implicit else vr + b"\0\0")
    return head + struct.pack("<L", len(value)) + value


@st.composite
def private_elements(draw, *, is_implicit: bool) -> bytes:
    """Elements of a block of Siemens's, which the private dictionary knows, or of nobody's."""
    owner = draw(st.sampled_from([b"", b"SIEMENS CSA HEADER", b"NOBODY"]))
    owner += b" " * (len(owner) % 2)
    found = [long_element(0x00290010, b"UN", owner, is_implicit=is_implicit)] if owner else []
    for tag in (0x00291008, 0x00291009, 0x00291010):
        value = draw(st.sampled_from([b"", b"", b"12", b"abcd"]))
        found.append(long_element(tag, b"UN", value, is_implicit=is_implicit))
    return b"".join(found)


@settings(
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(st.data())
def test_private_elements_of_items_are_the_same_whatever_was_read_before(tmp_path, data):
    # Of one reader, which remembers values from file to file
    for _ in range(3):
        inner = data.draw(st.booleans())
        items = item(data.draw(private_elements(is_implicit=inner)))
        vr = data.draw(st.sampled_from([b"SQ", b"UN"]))
        path = written(
            tmp_path / "private.dcm",
            element(0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
            long_element(0x00082112, vr, items),
            data.draw(private_elements(is_implicit=False)),
        )
        fast = fast_header(path)
        if fast is not None:
            assert_same(fast, path)


def test_a_character_set_of_another_type_is_looked_at_twice(tmp_path):
    path = written(tmp_path / "set.dcm", element(0x00080005, b"US", b"\x49\x53\x4f\x5f"))
    assert fast_header(path) is None
    assert "(0008,0005)" in read_header(path)["warnings"][0]


@pytest.mark.parametrize("blank", [b"", b"\0" * 20, b" " * 18 + b"\0\0"])
def test_a_blank_transfer_syntax_is_none(tmp_path, blank):
    path = tmp_path / "blank.dcm"
    syntax = b"\2\0\x10\0UI" + struct.pack("<H", len(blank)) + blank
    path.write_bytes(META[:132] + syntax + element(0x00080060, b"CS", b"CT"))
    row = assert_read_fast(path)
    assert row["transfer_syntax_uid"] is None
    assert row["warnings"] == ["no TransferSyntaxUID: guessed from the encoding"]


def test_file_meta_information_goes_on_behind_a_foreign_element(tmp_path):
    inside = element(0x00030010, b"LO", b"odd ") + element(0x00020013, b"SH", b"NAME")
    length = element(0x00020000, b"UL", struct.pack("<L", len(META) - 132 + len(inside)))
    path = tmp_path / "foreign.dcm"
    modality = element(0x00080060, b"CS", b"CT") + element(0x00100020, b"LO", b"ID")
    path.write_bytes(META[:132] + length + META[132:] + inside + modality)
    assert fast_header(path) is None
    row = read_header(path)
    assert (row["modality"], row["patient_id"]) == ("CT", "ID")
    assert row["warnings"] == ["file meta information has an element of another group"]


def test_file_meta_information_ends_where_its_group_length_says(tmp_path):
    name = element(0x00020013, b"SH", b"NAME")
    length = element(0x00020000, b"UL", struct.pack("<L", len(META) - 132 + len(name)))
    path = tmp_path / "longer.dcm"
    dataset = element(0x00080060, b"CS", b"CT") + element(0x00100020, b"LO", b"ID")
    dataset += element(0x00180015, b"CS", b"HEAD")
    path.write_bytes(META[:132] + length + META[132:] + name[:6] + b"\7\0NAME" + dataset)
    row = read_header(path)
    assert (row["modality"], row["patient_id"]) == ("CT", "ID")
    assert row["warnings"] == ["file meta information has an element that is longer than its group"]


def test_a_header_larger_than_the_first_read_is_read_on(write_dicom):
    path = write_dicom(PIXELS)
    items = [Dataset() for _ in range(3_000)]
    for number, item in enumerate(items):
        item.ReferencedSOPInstanceUID = f"1.2.3.{number}"
    path = write_dicom(PIXELS, ReferencedImageSequence=Sequence(items))
    row = assert_read_fast(path)
    assert '"1.2.3.2999"' in str(row["dicom_json"])
    assert row["rows"] == 3


def test_bulk_is_not_read_but_named_with_its_place(write_dicom):
    path = write_dicom(PIXELS)
    bulk = bytes(range(256)) * (BINARY_LIMIT // 128)
    path = write_dicom(PIXELS, RedPaletteColorLookupTableData=bulk)
    row = assert_read_fast(path)
    at = path.read_bytes().find(bulk)
    assert f'"#offset={at}&length={len(bulk)}"' in str(row["dicom_json"])


def test_functional_groups_count_as_in_the_thorough_reader(write_dicom):
    def macro(name: str, **values) -> Dataset:
        group, item = Dataset(), Dataset()
        for keyword, value in values.items():
            setattr(item, keyword, value)
        setattr(group, name, Sequence([item]))
        return group

    shared = macro("PixelMeasuresSequence", PixelSpacing=["0.7", "0.8"], SliceThickness="3")
    own = macro("PixelMeasuresSequence", PixelSpacing=["0.5", "0.6"])
    other = macro("PixelMeasuresSequence", PixelSpacing=["9", "9"])
    path = write_dicom(
        np.stack([PIXELS, PIXELS]),
        PixelSpacing=["1", "1"],
        SharedFunctionalGroupsSequence=Sequence([shared]),
        PerFrameFunctionalGroupsSequence=Sequence([own, other]),
    )
    row = assert_read_fast(path)
    assert (row["pixel_spacing"], row["slice_thickness"]) == ([0.5, 0.6], 3)


def test_positions_of_thousands_of_frames_are_kept(write_dicom):
    groups = []
    for number in range(2500):
        position, content, group = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [0, 0, number]
        content.FrameComments = "x" * 500
        group.PlanePositionSequence, group.FrameContentSequence = [position], [content]
        groups.append(group)
    path = write_dicom(
        np.zeros((2500, 2, 2), np.uint8), PerFrameFunctionalGroupsSequence=Sequence(groups)
    )
    row = fast_header(path)
    assert row == thorough_header(path)
    per_frame = msgspec.json.decode(row["dicom_json"])["52009230"]["Value"]
    assert [frame["00209113"]["Value"][0]["00200032"]["Value"][2] for frame in per_frame] == [
        *range(2500)
    ]


def test_a_file_that_is_refused_is_read_all_the_same(testdata):
    deflated = testdata("image_dfl.dcm")
    assert fast_header(deflated) is None
    assert read_header(deflated) == completed(thorough_header(deflated), deflated)


def test_nothing_of_a_header_goes_to_logs_or_warnings(tmp_path, caplog):
    path = written(
        tmp_path / "a.dcm",
        element(0x00080005, b"CS", b"ISO_IR 192"),
        element(0x00080060, b"CS", b"CT"),
        element(0x00100010, b"PN", b"Secret\xff\xfe"),
        element(0x00100020, b"LO", b"Secret\x1b$Z"),
    )
    with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.DEBUG):
        warnings.simplefilter("always")
        assert fast_header(path) is not None
    assert not caught
    assert not caplog.records
