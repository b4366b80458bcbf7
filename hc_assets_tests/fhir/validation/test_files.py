import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.fhir.validation import Issue, files, has_errors, validate
from hc_assets.fhir.validation.files import (
    DEFAULT_SHARING,
    Checked,
    Sharing,
    validate_files,
)
from hc_assets.fhir.validation.problems import unreadable
from hc_assets.lake.discovery import Found, discover

NARRATIVE = b'{"status":"empty","div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\">x</div>"}'
GOOD = b'{"resourceType":"Patient","id":"p1","text":%b}' % NARRATIVE
BAD = b'{"resourceType":"Patient","id":"p2","gender":5}'
BARE = b'{"resourceType":"Patient","id":"p3"}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "files").mkdir()
    return tmp_path / "files"


def check(folder: Path, sharing: Sharing = DEFAULT_SHARING, **files: bytes) -> list[Checked]:
    """Validate files; a double underscore in a name is a dot."""
    for name, data in files.items():
        (folder / name.replace("__", ".")).write_bytes(data)
    return list(validate_files(discover([folder], folder), workers=1, sharing=sharing))


def bundle(*resources: bytes) -> bytes:
    entries = b",".join(
        b'{"fullUrl":"urn:uuid:0a1b2c3d-0000-4000-8000-%012d","resource":%b}' % (number, each)
        for number, each in enumerate(resources)
    )
    return b'{"resourceType":"Bundle","id":"b","type":"collection","entry":[' + entries + b"]}"


def places(checked: Checked) -> list[tuple[int | None, str | None, str | None]]:
    return [(f.position, f.resource_type, f.resource_id) for f in checked.findings]


def test_a_valid_resource_has_no_finding(folder):
    assert check(folder, a__json=GOOD) == [Checked(str(folder / "a.json"), 1, [])]


def test_a_single_resource_gets_what_validate_says(folder):
    (checked,) = check(folder, a__json=BAD)
    assert places(checked) == [(0, "Patient", "p2")]
    assert checked.findings[0].issues == validate(BAD)
    assert (checked.resources, checked.invalid()) == (1, 1)


def test_warnings_are_reported_and_leave_a_resource_valid(folder):
    (checked,) = check(folder, a__json=BARE)
    assert [issue.rule for issue in checked.findings[0].issues] == ["dom-6"]
    assert checked.invalid() == 0


def test_lines_are_judged_one_by_one(folder):
    (checked,) = check(folder, a__ndjson=b"\n".join([GOOD, BAD, b"", b"nonsense", GOOD]))
    assert places(checked) == [(1, "Patient", "p2"), (3, None, None)]
    assert checked.findings[1].issues[0].rule == "unreadable"
    assert (checked.resources, checked.invalid()) == (4, 2)


def test_issues_inside_a_bundle_go_to_the_entry_and_begin_at_its_resource(folder):
    (checked,) = check(folder, a__json=bundle(GOOD, BAD, BARE))
    assert places(checked) == [(1, "Patient", "p2"), (2, "Patient", "p3")]
    expressions = [[issue.expression for issue in f.issues] for f in checked.findings]
    assert [set(each) for each in expressions] == [{"Patient.gender", "Patient"}, {"Patient"}]
    assert checked.resources == 4
    assert checked.invalid() == 1


def test_issues_of_the_bundle_itself_stay_with_it(folder):
    data = bundle(BAD).replace(b'"collection"', b'"no such type"')
    (checked,) = check(folder, a__json=data)
    assert places(checked) == [(None, "Bundle", "b"), (0, "Patient", "p2")]
    assert [issue.expression for issue in checked.findings[0].issues] == ["Bundle.type"]


@pytest.mark.parametrize(
    "bad",
    [
        BAD[:-1] + b',"extension":[{"url":"https://example.org/n","valueDecimal":1e999}]}',
        BAD[:-1] + b',"multipleBirthInteger":-1e400}',
    ],
)
def test_a_number_that_no_float_holds_hides_no_entry(folder, bad):
    (checked,) = check(folder, a__json=bundle(GOOD, bad))
    assert places(checked) == [(1, "Patient", "p2")]
    assert checked.resources == 3


@pytest.mark.parametrize(
    "data",
    [
        b'{"resourceType":"Bundle","id":"b","entry":5}',
        b'{"resourceType":"Bundle","id":"b","entry":[{"resource":{"resourceType":"\xff"}}]}',
        b'{"resourceType":"Bundle","id":"b","type":"collection","entry":[5,null,[]]}',
        b'{"resourceType":"Bundle","id":"b","type":"collection","entry":[],"entry":[{}]}',
    ],
)
def test_a_bundle_that_can_hardly_be_read_is_still_a_finding(folder, data):
    (checked,) = check(folder, a__json=data)
    assert places(checked)[0][1] == "Bundle"
    assert has_errors(checked.findings[0].issues)


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("a__json", b"", "the file is empty"),
        ("a__ndjson", b"\n", "the file is blank"),
        ("a__json", b"[]", "expected a JSON object, found a JSON array"),
        ("a__ndjson__gz", gzip.compress(GOOD)[:-9], "gzip is damaged"),
        ("a__json", b"\xff", "not JSON"),
    ],
)
def test_a_file_without_a_resource_is_a_finding_with_the_reason(folder, name, data, problem):
    checked = check(folder, **{name: data})[-1]
    (issue,) = checked.findings[-1].issues
    assert issue.severity == "fatal"
    assert issue.diagnostics.startswith(problem)
    assert issue == unreadable(issue.diagnostics)
    assert checked.problem == ""


def test_files_come_in_order_and_a_folder_with_nothing_in_it_is_a_problem(folder):
    (folder / "empty").mkdir()
    found = check(folder, a__json=GOOD, z__json=BAD)
    assert [(Path(c.file).name, c.problem) for c in found] == [
        ("a.json", ""),
        ("empty", "is a folder with nothing in it"),
        ("z.json", ""),
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_a_problem_and_the_others_are_judged(folder):
    (folder / "a.json").write_bytes(GOOD)
    (folder / "a.json").chmod(0)
    found = check(folder, b__json=BAD)
    assert found[0].problem == "can't be read: Permission denied"
    assert found[1].invalid() == 1


def test_a_file_that_vanishes_is_a_problem(folder):
    (checked,) = validate_files([Found(folder / "gone.json", "gone.json")])
    assert checked.problem == "can't be read: No such file or directory"
    assert checked.findings == []


def test_a_gzipped_file_of_many_resources_comes_in_portions(folder):
    found = check(folder, Sharing(resources=3), a__ndjson__gz=gzip.compress(b"\n".join([BAD] * 8)))
    assert [c.resources for c in found] == [3, 3, 2]
    assert [f.position for c in found for f in c.findings] == list(range(8))


def test_lines_are_read_where_they_are_judged_and_counted_through_the_file(folder):
    blank = b"\n" * 300
    lines = {"a__ndjson": b"\n".join([BAD] * 8) + blank, "b__ndjson": blank + BAD}
    found = check(folder, Sharing(size=100), **lines)
    assert len(found) > 6
    assert [f.position for c in found for f in c.findings] == [*range(8), 300]
    assert sum(c.resources for c in found) == 9


def test_what_r4_only_recommends_is_counted_where_it_is_not_listed(folder):
    (folder / "a.ndjson").write_bytes(b"\n".join([BARE, BAD, GOOD]))
    (checked,) = validate_files(discover([folder], folder), best_practice=False)
    assert [f.position for f in checked.findings] == [1]
    assert [i.rule for f in checked.findings for i in f.issues] == ["json-type"]
    assert checked.by_rule == {"warning dom-6": 2, "error json-type": 1}


def test_large_inputs_are_shared_between_processes_and_come_out_the_same(folder):
    here = check(folder, a__ndjson=b"\n".join([GOOD, BAD] * 9), b__json=bundle(BAD, GOOD))
    sharing = Sharing(size=200, per_worker=16)
    shared = list(validate_files(discover([folder], folder), workers=2, sharing=sharing))
    assert sum(c.resources for c in shared) == sum(c.resources for c in here)
    assert [(c.file, f) for c in shared for f in c.findings] == [
        (c.file, f) for c in here for f in c.findings
    ]


ANYTHING = st.recursive(
    st.none() | st.integers() | st.text(max_size=4) | st.just({"resourceType": "Patient"}),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["resource", "resourceType", "id"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=50)
@given(st.lists(ANYTHING, max_size=4))
def test_every_issue_of_any_bundle_comes_out_once(tmp_path_factory, entries: list[Any]):
    path = tmp_path_factory.mktemp("files") / "a.json"
    data = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    path.write_text(json.dumps(data))
    (checked,) = validate_files([Found(path, "a.json")])
    rules = [i.rule for f in checked.findings for i in f.issues if i.rule != "not-data"]
    assert sorted(rules) == sorted(issue.rule for issue in validate(path.read_bytes()))
    assert checked.resources == 1 + len(entries)


def test_a_resource_whose_validation_raises_is_a_finding_and_spares_the_others(folder, monkeypatch):
    def failing(resource: bytes) -> list[Issue]:
        if b'"p1"' in resource:
            raise RecursionError("Doe")
        return validate(resource)

    monkeypatch.setattr(files, "validate", failing)
    lines = [b'{"resourceType":"Patient","id":"p%d"}' % n for n in range(3)]
    (checked,) = check(folder, a__ndjson=b"\n".join(lines))
    assert (checked.resources, checked.invalid()) == (3, 1)
    (finding,) = (each for each in checked.findings if has_errors(each.issues))
    (issue,) = finding.issues
    assert (finding.position, issue.rule, issue.severity) == (1, "internal-error", "fatal")
    assert "Doe" not in issue.diagnostics
