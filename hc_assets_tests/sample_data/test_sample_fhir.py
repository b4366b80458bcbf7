import json
import re
from collections import Counter
from datetime import datetime
from decimal import Decimal
from functools import partial

import pytest
from fhir.resources.R4B import get_fhir_model_class

from hc_assets.sample_data.fhir_files import make_fhir_files
from hc_assets.sample_data.flaw_kinds import INVALID, WARNED
from hc_assets.sample_data.histories import make_history
from hc_assets.sample_data.oddities import ODDITIES
from hc_assets.sample_data.patients import make_carers, make_houses, make_people
from hc_assets.sample_data.studies import make_studies

parse = partial(json.loads, parse_float=Decimal)


@pytest.fixture(scope="module")
def good(sample):
    """File, position and text of each entry that should pass."""
    refused = {(flaw.file, flaw.position) for flaw in sample.summary.flaws_with("quarantined")}
    return [entry for entry in sample.texts() if entry[:2] not in refused]


@pytest.fixture(scope="module")
def unflawed_files():
    """The FHIR files before anything is made wrong in them."""
    people = make_people(7, 6)
    histories = [make_history(7, person) for person in people]
    studies = make_studies(7, people)
    return make_fhir_files(7, histories, studies, make_houses(7), make_carers(7))


def test_entries_without_invalidating_flaw_are_valid_by_an_independent_model(good):
    types = Counter()
    for _file, _position, text in good:
        type_ = json.loads(text)["resourceType"]
        get_fhir_model_class(type_).model_validate_json(text)
        types[type_] += 1
    assert types["Observation"] > 2000
    assert {"ImagingStudy", "DiagnosticReport", "MedicationRequest", "Condition"} <= set(types)


def test_whole_transaction_bundles_are_valid_before_flaws(unflawed_files):
    bundles = [file for file in unflawed_files if file.is_bundle]
    assert bundles
    for file in bundles:
        bundle = get_fhir_model_class("Bundle").model_validate_json(file.content())
        assert bundle.type == "transaction"
        assert {entry.request.method for entry in bundle.entry} == {"PUT", "POST"}


def test_plain_flaws_are_refused_by_an_independent_model(sample):
    """The model checks no invariants, no bindings and no leap years, so not all flaws are asked."""
    asked = {
        "observation-without-status", "condition-without-subject", "unknown-member", "two-values",
        "time-without-zone", "report-without-code", "request-without-intent", "object-for-array",
        "class-as-in-r5", "fraction-for-integer", "birth-date-no-date",
    }  # fmt: skip
    texts = {entry[:2]: entry[2] for entry in sample.texts()}
    seen = set()
    for flaw in sample.summary.flaws_with("quarantined"):
        if flaw.id not in asked:
            continue
        text = texts[flaw.file, flaw.position]
        with pytest.raises(ValueError, match="validation error"):
            get_fhir_model_class(json.loads(text)["resourceType"]).model_validate_json(text)
        seen.add(flaw.id)
    assert seen == asked


def test_broken_texts_are_no_json(sample):
    texts = {entry[:2]: entry[2] for entry in sample.texts()}
    unreadable = [flaw for flaw in sample.summary.flaws if flaw.rule == "unreadable"]
    assert {flaw.id for flaw in unreadable} == {"line-cut-short", "file-not-json", "file-empty"}
    for flaw in unreadable:
        with pytest.raises(json.JSONDecodeError):
            json.loads(texts[flaw.file, flaw.position])


def test_every_kind_of_flaw_and_oddity_is_in_the_default_sample(sample):
    planted = {flaw.id for flaw in sample.summary.flaws}
    assert {change.id for change in (*INVALID, *WARNED)} <= planted
    assert {change.id for change in ODDITIES} == {odd.id for odd in sample.summary.oddities}


def test_references_in_a_bundle_name_its_entries(unflawed_files):
    for file in unflawed_files:
        if file.is_bundle:
            text = file.content().decode()
            full_urls = {entry["fullUrl"] for entry in json.loads(text)["entry"]}
            assert set(re.findall(r'"reference":\s*"([^"]+)"', text)) <= full_urls


def test_references_in_the_export_name_its_resources(unflawed_files):
    lines = [
        line.content().decode()
        for file in unflawed_files
        if not file.is_bundle
        for line in file.entries
    ]
    known = {f"{each['resourceType']}/{each['id']}" for each in map(json.loads, lines)}
    referenced = set(re.findall(r'"reference":"([^"]+)"', "".join(lines)))
    assert referenced <= known
    assert len(referenced) > 20


def test_decimals_keep_the_digits_of_their_analyte(good):
    heights = re.compile(r'"code":\s*"8302-2".*?"value":\s*(\d+\.?\d*)', re.DOTALL)
    found = [match[1] for _, _, text in good if (match := heights.search(text))]
    odd_decimals = {"1.000", "0.10", "5.123456789012345670", "1.40"}
    regular = [text for text in found if text not in odd_decimals]
    assert len(regular) > 100
    assert all(re.fullmatch(r"\d+\.\d", text) for text in regular)
    assert any(text.endswith(".0") for text in regular)


def test_odd_decimals_stand_in_the_files_as_written(sample):
    texts = {entry[:2]: entry[2] for entry in sample.texts()}
    written = {
        odd.id: texts[odd.file, odd.position]
        for odd in sample.summary.oddities
        if odd.id.startswith("decimal")
    }
    assert "1.000" in written["decimal-with-trailing-zeros"]
    assert "1.40e2" in written["decimal-with-exponent"]
    assert "5.123456789012345670" in written["decimal-of-19-digits"]


def test_blood_pressure_is_a_panel_with_systolic_above_diastolic(good):
    panels = 0
    for _, _, text in good:
        resource = parse(text)
        codes = {code["code"] for code in resource.get("code", {}).get("coding", [])}
        if "85354-9" in codes:
            systolic, diastolic = (
                component["valueQuantity"]["value"] for component in resource["component"]
            )
            assert 40 <= diastolic < systolic <= 220
            panels += 1
    assert panels > 100


def test_interpretation_follows_the_reference_range(good):
    judged = Counter()
    for _, _, text in good:
        resource = parse(text)
        ranges = resource.get("referenceRange")
        value = resource.get("valueQuantity", {}).get("value")
        if not ranges or value is None:
            continue
        if Decimal(value) in {Decimal("1.000"), Decimal("0.10"), Decimal("140")}:
            continue  # an oddity may have changed the value behind its judgement
        code = resource["interpretation"][0]["coding"][0]["code"]
        low = ranges[0].get("low", {}).get("value", Decimal("-Infinity"))
        high = ranges[0].get("high", {}).get("value", Decimal("Infinity"))
        if value != Decimal("5.123456789012345670"):
            assert code == ("L" if value < low else "H" if value > high else "N")
        judged[code] += 1
    assert min(judged["L"], judged["N"], judged["H"]) > 10


def test_visits_contain_their_measurements_in_time(good):
    resources = [parse(text) for _, _, text in good]
    visits = {each["id"]: each for each in resources if each["resourceType"] == "Encounter"}
    compared = 0
    for each in resources:
        taken = each.get("effectiveDateTime", "")
        if each["resourceType"] == "Observation" and len(taken) > 10:
            visit = visits.get(re.split(r"[:/]", each["encounter"]["reference"])[-1])
            if visit:
                start = datetime.fromisoformat(visit["period"]["start"])
                end = datetime.fromisoformat(visit["period"]["end"])
                assert start <= datetime.fromisoformat(taken) <= end
                compared += 1
    assert compared > 1000


def test_names_are_not_all_ascii(good):
    resources = [parse(text) for _, _, text in good]
    names = [each["name"][0]["family"] for each in resources if each["resourceType"] == "Patient"]
    assert any(not name.isascii() for name in names)
