import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hc_assets.core.verdicts import (
    Verdict,
    all_accounted_for,
    no_internal_errors,
    none_of,
    rate_at_least,
)

COUNTS = st.integers(0, 1_000)


@pytest.mark.parametrize(
    ("good", "total", "threshold", "passed", "value"),
    [
        (95, 100, 0.95, True, 0.95),
        (94, 100, 0.95, False, 0.94),
        (0, 3, 0.0, True, 0.0),
        (3, 3, 1.0, True, 1.0),
        (2, 3, 1.0, False, 2 / 3),
        (0, 0, 1.0, True, 1.0),
    ],
)
def test_a_rate_is_held_against_its_threshold(good, total, threshold, passed, value):
    assert rate_at_least(good, total, threshold, what="entries are valid") == Verdict(
        passed,
        value,
        threshold,
        f"{good} of {total} entries are valid",
        {"good": good, "total": total},
    )


@pytest.mark.parametrize(
    ("arrived", "kept", "set_aside", "passed", "surplus"),
    [
        (5, 3, 2, True, 0.0),
        (0, 0, 0, True, 0.0),
        (5, 3, 1, False, -1.0),
        (5, 5, 1, False, 1.0),
    ],
)
def test_what_came_in_must_come_out(arrived, kept, set_aside, passed, surplus):
    assert all_accounted_for(arrived, kept, set_aside, what="files") == Verdict(
        passed,
        surplus,
        0.0,
        f"files: {arrived} in, {kept} kept, {set_aside} set aside",
        {"arrived": arrived, "kept": kept, "set_aside": set_aside},
    )


def test_a_fault_must_occur_nowhere():
    assert none_of(0, 9, what="doubled ids") == Verdict(
        True, 0.0, 0.0, "0 doubled ids among 9", {"offending": 0, "total": 9}
    )
    assert none_of(2, 9, what="doubled ids") == Verdict(
        False, 2.0, 0.0, "2 doubled ids among 9", {"offending": 2, "total": 9}
    )


def test_internal_errors_are_counted_by_class_and_place():
    assert no_internal_errors({}).passed

    verdict = no_internal_errors({"KeyError at a.py:1": 1, "ValueError at b.py:2": 4})

    assert not verdict.passed
    assert verdict.value == 5.0
    assert verdict.explanation == (
        "5 rows were stopped by internal errors, most of them by ValueError at b.py:2"
    )
    assert list(verdict.counts.items()) == [("ValueError at b.py:2", 4), ("KeyError at a.py:1", 1)]


@settings(deadline=None)
@given(COUNTS, COUNTS, st.floats(0, 1))
def test_one_more_good_one_never_turns_a_rate_from_passed_to_failed(good, bad, threshold):
    before = rate_at_least(good, good + bad, threshold, what="x")
    after = rate_at_least(good + 1, good + bad + 1, threshold, what="x")
    assert 0 <= before.value <= 1
    assert after.passed or not before.passed or good + bad == 0


@settings(deadline=None)
@given(COUNTS, COUNTS, st.integers(-9, 9))
def test_only_an_even_balance_is_accounted_for(kept, set_aside, lost):
    verdict = all_accounted_for(kept + set_aside + lost, kept, set_aside, what="x")
    assert (verdict.passed, verdict.value) == (lost == 0, -lost)
