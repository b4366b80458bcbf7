from pathlib import Path

from hc_assets.fhir.enrichment.significance.limits import LIMITS
from hc_assets.fhir.enrichment.significance.limits_page import render

DOCUMENT = Path(__file__).parents[4] / "docs" / "reference-limits.md"


def test_the_document_is_what_the_table_says():
    """Where it is not: `make docs`."""
    assert DOCUMENT.read_text(encoding="utf-8") == render(LIMITS)


def test_each_row_has_code_limits_and_source():
    rows = {row.codes[0]: render([row]).splitlines()[-1] for row in LIMITS}
    assert (
        "| 2823-3, 6298-4 | `mmol/L` | 18 and older |  | 2.8 | 3.5 to 5 | 6.2 |" in rows["2823-3"]
    )
    assert "| 90 to < 130 | 180 |" in rows["8480-6"]
    assert "|  | < 200 |  | National Cholesterol" in rows["2093-3"]
    assert "| 92 | from 96 |  |" in rows["2708-6"]
    assert "American Board of Internal Medicine" in rows["2823-3"]
    assert "critical: Kost" in rows["2823-3"]
