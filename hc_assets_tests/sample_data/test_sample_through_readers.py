"""The sample as the package's own readers and rules see it: both must agree with the summary."""

from collections import Counter

import pytest

from hc_assets.fhir.bundles.read import read_entries
from hc_assets.fhir.domain import FHIR_FILES
from hc_assets.fhir.validation import has_errors, validate
from hc_assets.imaging.headers.read import read_header
from hc_assets.imaging.headers.reading import UnreadableFile
from hc_assets.sample_data.fhir_files import make_fhir_files
from hc_assets.sample_data.histories import make_history
from hc_assets.sample_data.patients import make_carers, make_houses, make_people
from hc_assets.sample_data.studies import make_studies


@pytest.fixture(scope="module")
def issues(sample):
    """What is wrong with each FHIR entry, by file and position: rule and place of each error."""
    found = {}
    for path in sorted((sample.folder / "fhir").rglob("*.*json*")):
        name = str(path.relative_to(sample.folder))
        with path.open("rb") as file:
            for entry in read_entries(file, FHIR_FILES.media_type(name)):
                if entry.problem or entry.resource is None:
                    found[name, entry.position] = {("unreadable", "")}
                else:
                    found[name, entry.position] = {
                        (issue.rule, issue.expression)
                        for issue in validate(entry.resource)
                        if issue.severity in ("error", "fatal")
                    }
    return found


def test_exactly_the_flawed_entries_are_refused(sample, issues):
    refused = {place for place, errors in issues.items() if errors}
    flawed = {(flaw.file, flaw.position) for flaw in sample.summary.flaws_with("quarantined")}
    assert refused == flawed
    assert len(issues) == sample.summary.fhir_entries


def test_each_flaw_is_found_under_its_rule_and_at_its_place(sample, issues):
    unnamed = [
        flaw.id
        for flaw in sample.summary.flaws_with("quarantined")
        if (flaw.rule, flaw.expression) not in issues[flaw.file, flaw.position]
    ]
    assert Counter(unnamed) == {}


def test_whole_bundles_are_valid_before_flaws():
    people = make_people(7, 6)
    files = make_fhir_files(
        7,
        [make_history(7, person) for person in people],
        make_studies(7, people),
        make_houses(7),
        make_carers(7),
    )
    bundles = [file for file in files if file.is_bundle]
    assert bundles
    for file in bundles:
        assert not has_errors(validate(file.content()))


def test_index_reads_what_the_summary_says_and_nothing_else(sample):
    unreadable, modalities = set(), Counter()
    patients = set()
    for path in sorted((sample.folder / "dicom").rglob("*.dcm")):
        try:
            row = read_header(path)
        except UnreadableFile:
            unreadable.add(str(path.relative_to(sample.folder)))
        else:
            modalities[row["modality"]] += 1
            patients.add(row["patient_id"])
    assert unreadable == {flaw.file for flaw in sample.summary.flaws_with("unreadable")}
    assert sum(modalities.values()) == sample.summary.files["dicom"]
    assert set(modalities) == set(sample.summary.series)
    people = make_people(sample.summary.seed, sample.summary.patients)
    assert patients <= {person.id for person in people}
