from hc_assets.core.fence import InternalError
from hc_assets.fhir.r4.issues import Issue
from hc_assets.fhir.validation.issue_columns import issue_lists
from hc_assets.fhir.validation.problems import internal_error, internal_errors, unreadable

FIRST, SECOND = InternalError("ValueError at a.py:1"), InternalError("MemoryError at b.py:2")
OTHER = Issue("error", "value", "", "cardinality", "text")


def test_a_row_counts_once_for_the_first_internal_error_that_it_has():
    column = issue_lists(
        [
            None,
            [OTHER],
            [OTHER, internal_error(FIRST), internal_error(SECOND)],
            [internal_error(SECOND, "warning")],
            [],
            [internal_error(FIRST)],
        ]
    )

    assert internal_errors([column, column[4:]]) == {FIRST.error: 3, SECOND.error: 1}


def test_a_problem_that_an_internal_error_left_is_told_from_unreadable_input():
    assert unreadable(FIRST.text) == internal_error(FIRST)
    assert unreadable("not JSON").rule == "unreadable"
