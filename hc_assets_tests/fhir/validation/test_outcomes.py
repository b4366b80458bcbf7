"""`validate` says for programs which file, line, entry, type and id, in valid R4."""

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from hc_assets.fhir.validation import has_errors, validate
from hc_assets_tests.conftest import invoke

HL7 = "http://hl7.org/fhir/StructureDefinition/operationoutcome-"
JUDGED = "https://hc-assets.org/fhir/StructureDefinition/judged-resource"
GOOD = b'{"resourceType":"Patient","id":"good","name":[{"family":"A"}]}'
BAD = b'{"resourceType":"Patient","id":"bad","gender":"x"}'
BUNDLE = (
    b'{"resourceType":"Bundle","id":"b","type":"collection",\n"entry":[\n'
    b'{"fullUrl":"urn:uuid:0a1b2c3d-0000-4000-8000-000000000001","resource":%b},\n'
    b'{"fullUrl":"urn:uuid:0a1b2c3d-0000-4000-8000-000000000002","resource":\n%b}]}' % (GOOD, BAD)
)


def values(element: dict) -> dict[str, object]:
    found: dict[str, object] = {}
    for each in element.get("extension", []):
        inner = [value for name, value in each.items() if name.startswith("value")]
        found[each["url"].removeprefix(HL7)] = inner[0] if inner else values(each)
    return found


def outcomes(*arguments: object, stdin: bytes | None = None) -> list[dict]:
    result = invoke("validate", "--format", "ndjson", *arguments, stdin=stdin)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    for each in found:
        assert not has_errors(validate(json.dumps(each).encode())), each
    return found


def places(*arguments: object, stdin: bytes | None = None) -> list[tuple]:
    """File, line and entry, type and id; line and column of the first issue."""
    found = []
    for outcome in outcomes(*arguments, stdin=stdin):
        judged = values(outcome).get(JUDGED, {})
        of_issue = values(outcome["issue"][0])
        assert of_issue["issue-source"] == values(outcome)["file"]
        found.append(
            (
                Path(str(of_issue["issue-source"])).name,
                *(judged.get(name) for name in ("line", "entry", "type", "id")),
                *(of_issue.get(name) for name in ("issue-line", "issue-col")),
            )
        )
    return found


def write(folder: Path, **files: bytes) -> Path:
    for name, data in files.items():
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder


def test_a_line_is_named_with_the_element_in_it(tmp_path):
    lines = b"\n".join([GOOD, BAD, b"", b'{"resourceType":"Patient"]', b"  " + BAD])
    assert places(write(tmp_path, a__ndjson=lines)) == [
        ("a.ndjson", 2, None, "Patient", "bad", 2, 38),
        ("a.ndjson", 4, None, "unknown", None, 4, 26),
        ("a.ndjson", 5, None, "Patient", "bad", 5, 40),
    ]


def test_an_entry_is_named_with_the_line_in_its_document(tmp_path):
    assert places(write(tmp_path, a__json=b"\n" + BUNDLE)) == [
        ("a.json", 1, 1, "Patient", "bad", 6, 38)
    ]
    one_line = BUNDLE.replace(b"\n", b"")
    (found,) = places(write(tmp_path, a__json=b"", a__ndjson=GOOD + b"\n" + one_line))[1:]
    assert found[:6] == ("a.ndjson", 2, 1, "Patient", "bad", 2)


def test_lines_are_counted_over_the_parts_of_a_large_file(tmp_path):
    lines = [GOOD] * 90_000
    lines[80_000], lines[85_000] = BAD, b"{"
    found = places(write(tmp_path, a__ndjson=b"\n".join(lines)))
    assert [each[1] for each in found] == [80_001, 85_001]
    assert [each[5:] for each in found] == [(80_001, 38), (85_001, 2)]


def test_text_that_is_not_utf8_has_its_place_in_the_file(tmp_path):
    latin = GOOD.replace(b"A", "Ä".encode("latin-1"))
    column = GOOD.index(b"A") + 1
    write(tmp_path, a__ndjson=GOOD + b"\n" + latin, b__json=b"\n" + latin)
    write(tmp_path, c__json=BUNDLE.replace(BAD, latin))
    assert [(each[0], *each[1:3], *each[5:]) for each in places(tmp_path)] == [
        ("a.ndjson", 2, None, 2, column),
        ("b.json", 1, None, 2, column),
        ("c.json", 1, None, 5, column),
        ("c.json", 1, 1, 4, 60),
    ]


def test_a_parsers_punctuation_is_shown_and_a_value_is_not(tmp_path):
    bad = b'{"resourceType":"Patient","name":[{"family":"X"]}'
    (outcome,) = outcomes(write(tmp_path, a__json=bad))
    (issue,) = outcome["issue"]
    assert issue["diagnostics"] == "not JSON: expected ',' or '}' (line 1, column 48)"
    (outcome,) = outcomes(write(tmp_path, a__json=BAD))
    assert "(not shown)" in outcome["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (GOOD + b"\n" + BAD + b"\n", ("-", 2, None, "Patient", "bad", 2, 38)),
        (BAD, ("-", 1, None, "Patient", "bad", 1, 38)),
        (json.dumps(json.loads(BAD), indent=1).encode(), ("-", 1, None, "Patient", "bad", 4, 2)),
        (BUNDLE, ("-", 1, 1, "Patient", "bad", 5, 38)),
        (gzip.compress(GOOD + b"\n" + BAD, mtime=0), ("-", 2, None, "Patient", "bad", 2, 38)),
        (b"MSH|^~\\&|", ("-", 1, None, "unknown", None, 1, None)),
    ],
)
def test_standard_input_is_lines_or_a_document(data, expected):
    (found,) = places("-", stdin=data)
    assert found[:6] == expected[:6]
    assert expected[6] is None or found[6] == expected[6]


def test_archives_are_judged_as_the_files_in_them(tmp_path):
    names = {"a.ndjson": GOOD + b"\n" + BAD, "sub/b.json": BUNDLE, "c.xml": b"<?xml?><a/>"}
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name, data in names.items():
            archive.writestr(name, data)
    with tarfile.open(tmp_path / "x.tgz", "w:gz") as archive:
        for name, data in names.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    for packed in ("x.zip", "x.tgz"):
        found = outcomes(tmp_path / packed)
        assert [str(values(each)["file"]).partition(packed)[2] for each in found] == [
            "/a.ndjson",
            "/sub/b.json",
            "/c.xml",
        ]
        assert "XML" in found[2]["issue"][0]["diagnostics"]
    (tmp_path / "x.zip").write_bytes((tmp_path / "x.zip").read_bytes()[:-30])
    (outcome,) = outcomes(tmp_path / "x.zip")
    assert outcome["issue"][0]["diagnostics"] == "is a damaged archive"


@pytest.mark.parametrize(
    ("id_", "shown"), [("a.b-1", True), ("x" * 88, True), ("urn:a_b=~", True), ("Jane Doe", False)]
)
def test_an_id_is_shown_and_what_is_none_only_to_who_asks(tmp_path, id_, shown):
    data = json.dumps({"resourceType": "Patient", "id": id_, "gender": "x"}).encode()
    for arguments, expected in (((), shown), (("--show-values",), True)):
        (outcome,) = outcomes(*arguments, write(tmp_path, a__json=data))
        assert ("id" in values(outcome)[JUDGED]) is expected


def test_an_outcome_is_valid_whatever_the_resource_and_the_file_are_called(tmp_path):
    name = b"na\xffme\x01.json".decode("utf-8", "surrogateescape")
    hostile = {"resourceType": "Patient", "id": "a\u0000b\ud83d\ude00", "\u0007x": 1}
    (tmp_path / name).write_bytes(json.dumps(hostile).encode())
    assert len(outcomes("--show-values", tmp_path)) == 1
    (tmp_path / name).write_bytes(b'{"resourceType":"Pa\\u0000","id":" "}')
    assert len(outcomes("--show-values", tmp_path)) == 1
