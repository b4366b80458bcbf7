"""SQL on FHIR's own suite passes, and what the documents say of it is so."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def suite() -> Iterator[ModuleType]:
    """The benchmarks are no part of the package, so they are looked for from the root."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        from benchmarks import sql_on_fhir_suite as module

        yield module


def test_every_test_passes_as_the_documents_say(suite, shared_data):
    """Where the documents are behind: `python benchmarks/sql_on_fhir_suite.py`."""
    report, text = suite.run(shared_data / "fhir" / "sql_on_fhir_tests")
    results = [test["result"]["passed"] for file in report.values() for test in file["tests"]]
    assert len(results) == 134
    assert all(results)
    assert suite.SCORE.read_text() == text
    assert json.loads(suite.REPORT.read_text()) == report


def test_a_test_fails_where_the_rows_are_others(suite):
    test = {
        "title": "t",
        "view": {
            "resource": "Patient",
            "select": [{"column": [{"name": "id", "path": "id", "type": "id"}]}],
        },
    }
    resources = [b'{"resourceType":"Patient","id":"a"}']
    assert suite.passes(test | {"expect": [{"id": "a"}]}, resources) == (True, True)
    assert suite.passes(test | {"expect": [{"id": "b"}]}, resources) == (False, True)
    assert suite.passes(test | {"expect": []}, resources) == (False, True)
    assert suite.passes(test | {"expectError": True}, resources) == (False, True)
