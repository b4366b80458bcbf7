import pytest

from hc_assets.fhir.verdicts.releases import entries_by_release, none_of_another_release
from hc_assets_tests.fhir.verdicts.test_batches import table


def issue(says: str, rule: str = "fhir-version", severity: str = "error") -> dict[str, str]:
    return {"severity": severity, "code": "not-supported", "rule": rule, "diagnostics": says}


def test_an_entry_counts_once_for_the_release_that_most_of_it_is(tmp_path):
    rows = [
        {"issues": [issue("A.b is R5"), issue("A.c is R4B or R5"), issue("A.d is R5")]},
        {"issues": [issue("A.b is STU3"), issue("is R5", "obs-7")]},
        {"issues": [issue("x", "obs-7")]},
        {"issues": [issue("A.b is R5")]},
        {"issues": []},
    ]
    no_data = {"issues": [issue("A.meta.profile names R5", severity="information")]}
    rows = [row | {"class": "invalid"} for row in rows] + [no_data | {"class": "not_data"}]
    quarantined = table(tmp_path, "fhir/quarantined_resources", rows)
    counts = entries_by_release(quarantined, "issues", of_class="invalid")
    assert counts == {"R5": 2, "STU3": 1}


@pytest.mark.parametrize(
    ("refused", "total", "valid", "passed", "text"),
    [
        ({}, 0, {}, True, "0 of 0 refused entries look like another release than R4"),
        (
            {"R5": 2, "STU3": 1},
            4,
            {"R5": 7},
            False,
            "3 of 4 refused entries look like another release than R4 (2 R5, 1 STU3); valid entries"
            " that name one: 7 R5",
        ),
    ],
)
def test_the_share_of_each_release_is_said(refused, total, valid, passed, text):
    verdict = none_of_another_release(refused, total, valid)
    assert (verdict.passed, verdict.explanation) == (passed, text)
    assert verdict.value == (sum(refused.values()) / total if total else 0)
    assert verdict.counts == {f"refused {n}": c for n, c in refused.items()} | {
        f"valid {n}": c for n, c in valid.items()
    }
