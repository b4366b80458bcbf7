"""What is published of HL7's FHIRPath tests is what they give."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def program() -> Iterator[ModuleType]:
    """The benchmarks are no part of the package, so they are looked for from the root."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        from benchmarks import fhirpath_score as module

        yield module


def test_the_published_score_is_the_current_one(program: ModuleType, shared_data: Path) -> None:
    suite = shared_data / "fhir" / "fhirpath"
    if not suite.is_dir():
        pytest.skip("HL7's FHIRPath tests are not there (../shared/data/fhir/fhirpath)")
    assert program.score(suite) == program.DOCUMENT.read_text()


def test_each_reason_stands_for_a_test_that_has_another_result(
    program: ModuleType, shared_data: Path
) -> None:
    suite = shared_data / "fhir" / "fhirpath"
    if not suite.is_dir():
        pytest.skip("HL7's FHIRPath tests are not there (../shared/data/fhir/fhirpath)")
    cases = [case for case in program.cases(suite) if case.name in program.REASONS]
    assert {case.name for case in cases if program.fault(case, suite)} == program.REASONS.keys()
    assert len(program.REASONS) < 57
