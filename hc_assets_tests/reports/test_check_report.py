import json
import math
from itertools import permutations
from typing import Any

import pytest

from hc_assets.reports.check_report import CheckOutcome, as_json, as_text, failed_errors, utc


def outcome(**members: Any) -> CheckOutcome:
    return CheckOutcome(
        **{
            "asset": "fhir/raw_bundles",
            "check": "all_there",
            "batch": "b1",
            "passed": True,
            "severity": "ERROR",
            "is_blocking": True,
            "value": 0.0,
            "threshold": 0.0,
            "explanation": "3 in, 3 out",
            "checked_at": "2026-01-01T00:00:00+00:00",
            **members,
        }
    )


PASSED = outcome()
FAILED = outcome(check="lost", passed=False, value=-1.0)
WARNED = outcome(check="odd", passed=False, severity="WARN", value=2.0)
BROKEN_OFF = outcome(check="cut", passed=None, value=None, threshold=None, explanation="")
EVERY = [PASSED, FAILED, WARNED, BROKEN_OFF]


def test_failed_errors_are_those_that_did_not_hold_or_did_not_end():
    assert failed_errors(EVERY) == [FAILED, BROKEN_OFF]
    assert failed_errors([PASSED, WARNED]) == []


def test_text_has_a_line_for_each_with_the_failed_ones_first_and_the_sums_last():
    expected = [
        "FAIL  fhir/raw_bundles: cut [b1]:  (value none, threshold none)",
        "FAIL  fhir/raw_bundles: lost [b1]: 3 in, 3 out (value -1, threshold 0)",
        "WARN  fhir/raw_bundles: odd [b1]: 3 in, 3 out (value 2, threshold 0)",
        "PASS  fhir/raw_bundles: all_there [b1]: 3 in, 3 out (value 0, threshold 0)",
        "----  imaging/x: y: never run",
        "1 passed, 2 failed, 1 warned, 1 never run",
    ]
    for order in permutations(EVERY):
        assert as_text(order, ["imaging/x: y"]).split("\n") == expected


def test_text_says_where_a_check_is_over_all_batches():
    assert "all_there [all batches]: " in as_text([outcome(batch=None)], [])


def test_text_orders_by_asset_then_check_then_batch():
    some = [outcome(asset=asset, batch=batch) for asset in "ba" for batch in ("b2", None, "b1")]
    lines = as_text(some, []).split("\n")[:-1]
    assert [line.split(": all_there ")[0][-1] for line in lines] == ["a", "a", "a", "b", "b", "b"]
    assert [line.split("[")[1].split("]")[0] for line in lines[:3]] == ["all batches", "b1", "b2"]


def test_text_of_nothing_is_the_sums():
    assert as_text([], []) == "0 passed, 0 failed, 0 warned, 0 never run"


def test_numbers_are_shown_with_four_digits():
    text = as_text([outcome(value=2 / 3, threshold=0.95)], [])
    assert "(value 0.6667, threshold 0.95)" in text


def test_json_holds_summary_checks_and_those_that_never_ran():
    report = json.loads(as_json(EVERY, ["imaging/x: y"]))
    assert report["summary"] == {"passed": 1, "failed": 2, "warned": 1, "never_run": 1}
    assert report["never_run"] == ["imaging/x: y"]
    assert report["checks"][1] == {
        "asset": "fhir/raw_bundles",
        "check": "lost",
        "batch": "b1",
        "passed": False,
        "severity": "ERROR",
        "is_blocking": True,
        "value": -1.0,
        "threshold": 0.0,
        "explanation": "3 in, 3 out",
        "checked_at": "2026-01-01T00:00:00+00:00",
    }
    assert [check["passed"] for check in report["checks"]] == [True, False, False, None]


def test_json_of_a_value_that_is_no_number_is_still_json():
    report = json.loads(as_json([outcome(value=math.nan, threshold=math.inf)], []))
    assert (report["checks"][0]["value"], report["checks"][0]["threshold"]) == (None, None)


@pytest.mark.parametrize(
    ("timestamp", "text"),
    [(0, "1970-01-01T00:00:00+00:00"), (1_772_366_400.9, "2026-03-01T12:00:00+00:00")],
)
def test_times_are_utc_to_the_second(timestamp, text):
    assert utc(timestamp) == text
