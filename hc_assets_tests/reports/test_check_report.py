import json
import math
from itertools import permutations
from typing import Any

import pytest

from hc_assets.reports.check_report import (
    TREND_LENGTH,
    CheckOutcome,
    Report,
    as_json,
    as_text,
    utc,
)


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


def past(*values: float | None, batch: str | None = "b") -> list[CheckOutcome]:
    return [
        outcome(
            batch=batch and f"{batch}{number:03d}",
            value=value,
            checked_at=f"2026-01-01T00:00:{number % 60:02d}+00:00",
        )
        for number, value in enumerate(values)
    ]


PASSED = outcome()
FAILED = outcome(check="lost", passed=False, value=-1.0)
WARNED = outcome(check="odd", passed=False, severity="WARN", value=2.0)
BROKEN_OFF = outcome(check="cut", passed=None, value=None, threshold=None, explanation="")
EVERY = [PASSED, FAILED, WARNED, BROKEN_OFF]


def test_findings_are_failed_errors_and_if_wanted_warnings():
    report = Report.of(EVERY, [])
    assert report.findings() == [BROKEN_OFF, FAILED]
    assert report.findings(warnings=True) == [BROKEN_OFF, FAILED, WARNED]
    assert Report.of([PASSED], []).findings(warnings=True) == []


def test_the_last_outcome_of_a_batch_counts():
    earlier = outcome(passed=False, checked_at="2026-01-01T00:00:00+00:00")
    later = outcome(passed=True, checked_at="2026-01-02T00:00:00+00:00")
    for order in permutations([earlier, later]):
        assert Report.of(order, []).outcomes == [later]


def test_of_two_outcomes_in_a_second_the_one_behind_counts():
    assert Report.of([outcome(value=1.0), outcome(value=2.0)], []).outcomes[0].value == 2.0


def test_a_trend_goes_over_batches_each_once_in_their_order():
    history = past(1.0, 2.0, 3.0)
    again = outcome(batch="b000", value=9.0, checked_at="2026-02-01T00:00:00+00:00")
    (trend,) = Report.of([*history, again], []).trends
    assert trend.values == [9.0, 2.0, 3.0]


def test_a_trend_of_a_check_without_batches_goes_over_time():
    (trend,) = Report.of(past(1.0, 2.0, 3.0, batch=None), []).trends
    assert trend.values == [1.0, 2.0, 3.0]
    assert len(Report.of(past(1.0, 2.0, 3.0, batch=None), []).outcomes) == 1


def test_a_trend_keeps_the_last_values_only():
    (trend,) = Report.of(past(*map(float, range(50))), []).trends
    assert trend.values == [float(value) for value in range(50)][-TREND_LENGTH:]


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ((0.0, 0.5, 1.0), "▁▅█"),
        ((1.0, 1.0), "▁▁"),
        ((1.0, None, 0.0), "█·▁"),
        ((1.0, math.nan, math.inf, 0.0), "█··▁"),
        ((None,), "·"),
    ],
)
def test_values_are_drawn_between_the_least_and_the_greatest(values, bars):
    (trend,) = Report.of(past(*values), []).trends
    assert trend.bars() == bars


def test_a_trend_is_described_in_words():
    history = [*past(1.0, 0.5), outcome(batch="c", value=0.25, passed=False)]
    (trend,) = Report.of(history, []).trends
    assert trend.sentence() == "1 to 0.25 in 3, 1 not passed"
    (empty,) = Report.of(past(None), []).trends
    assert empty.sentence() == "no values in 1, 0 not passed"


def test_text_has_a_line_for_each_with_the_failed_ones_first_and_the_sums_last():
    when = "2026-01-01T00:00:00+00:00"
    expected = [
        f"FAIL  ERROR  fhir/raw_bundles: cut [b1] {when}:  (value none, threshold none)",
        f"FAIL  ERROR  fhir/raw_bundles: lost [b1] {when}: 3 in, 3 out (value -1, threshold 0)",
        f"WARN  WARN   fhir/raw_bundles: odd [b1] {when}: 3 in, 3 out (value 2, threshold 0)",
        f"PASS  ERROR  fhir/raw_bundles: all_there [b1] {when}: 3 in, 3 out (value 0, threshold 0)",
        "----  imaging/x: y: never run",
        "1 passed, 2 failed, 1 warned, 1 never run",
    ]
    for order in permutations(EVERY):
        assert as_text(Report.of(order, ["imaging/x: y"])).split("\n") == expected


def test_text_shows_how_values_went():
    assert "all_there: ▁█ 1 to 2 in 2, 0 not passed" in as_text(Report.of(past(1.0, 2.0), []))


def test_text_says_where_a_check_is_over_all_batches():
    assert "all_there [all batches] " in as_text(Report.of([outcome(batch=None)], []))


def test_text_orders_by_asset_then_check_then_batch():
    some = [outcome(asset=asset, batch=batch) for asset in "ba" for batch in ("b2", None, "b1")]
    lines = as_text(Report.of(some, [])).split("\n")[:6]
    assert [line.split(": all_there ")[0][-1] for line in lines] == ["a", "a", "a", "b", "b", "b"]
    assert [line.split("[")[1].split("]")[0] for line in lines[:3]] == ["all batches", "b1", "b2"]


def test_text_of_nothing_is_the_sums():
    assert as_text(Report.of([], [])) == "0 passed, 0 failed, 0 warned, 0 never run"


def test_numbers_are_shown_with_four_digits():
    text = as_text(Report.of([outcome(value=2 / 3, threshold=0.95)], []))
    assert "(value 0.6667, threshold 0.95)" in text


def test_json_holds_summary_checks_trends_and_those_that_never_ran():
    report = json.loads(as_json(Report.of(EVERY, ["imaging/x: y"], written_at="now")))
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
        "run_id": "",
    }
    assert [check["passed"] for check in report["checks"]] == [None, False, False, True]
    assert report["trends"][2] == {
        "asset": "fhir/raw_bundles",
        "check": "lost",
        "batches": ["b1"],
        "values": [-1.0],
        "passed": [False],
    }


def test_json_of_a_value_that_is_no_number_is_still_json():
    report = json.loads(as_json(Report.of([outcome(value=math.nan, threshold=math.inf)], [])))
    assert (report["checks"][0]["value"], report["checks"][0]["threshold"]) == (None, None)


@pytest.mark.parametrize(
    ("timestamp", "text"),
    [(0, "1970-01-01T00:00:00+00:00"), (1_772_366_400.9, "2026-03-01T12:00:00+00:00")],
)
def test_times_are_utc_to_the_second(timestamp, text):
    assert utc(timestamp) == text
