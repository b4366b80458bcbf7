from pathlib import Path

import pytest

from hc_assets.fhir.enrichment.significance.limits import LIMITS
from hc_assets.fhir.enrichment.significance.limits_page import line, page
from hc_assets.fhir.enrichment.significance.plausible import BOUNDS
from hc_assets.fhir.enrichment.significance.sources import SOURCES, SOURCES_OF_BOUNDS

DOCUMENT = Path(__file__).parents[4] / "docs" / "reference-limits.md"


def test_the_document_is_what_the_tables_say():
    """Where it is not: `make docs`."""
    assert DOCUMENT.read_text(encoding="utf-8") == page()


def test_each_row_has_code_limits_and_source():
    rows = {row.codes[0]: line(row) for row in LIMITS if row.sources}
    assert (
        "| 2823-3, 6298-4 | `mmol/L` | 18 and older |  | 2.8 | 3.5 to 5 | 6.2 |" in rows["2823-3"]
    )
    assert "| 90 to < 130 | 180 |" in rows["8480-6"]
    assert "|  | < 200 |  | National Cholesterol" in rows["2093-3"]
    assert "| 92 | from 96 |  |" in rows["2708-6"]
    assert "American Board of Internal Medicine" in rows["2823-3"]
    assert "critical: Kost" in rows["2823-3"]


def test_a_row_of_critical_limits_alone_leaves_open_what_is_normal():
    (row,) = (r for r in LIMITS if r.codes[0] == "2951-2" and r.ages == (1, 18))
    assert "| 1 to 17 |  | 121 |  | 156 | critical: Table of Critical Limits" in line(row)


def test_each_row_says_whether_its_sources_were_looked_up():
    rows = {row.codes[0]: line(row) for row in LIMITS if row.sources}
    assert rows["2823-3"].endswith("| yes |\n")
    assert rows["2345-7"].endswith("| not: MedlinePlus, Blood sugar test: random |\n")


def test_each_source_that_a_row_names_is_in_the_table_of_sources():
    assert {each for row in LIMITS for each in (*row.sources, *row.critical)} == set(SOURCES)
    assert all(each.edition for each in (*SOURCES, *SOURCES_OF_BOUNDS))


@pytest.mark.parametrize("bounds", BOUNDS, ids=lambda bounds: bounds.name)
def test_each_bound_says_where_it_is_from(bounds):
    named = ("ours", "arithmetic", "MIMIC-Extract", "Guinness", "MacDougall", "Soni")
    assert bounds.low < bounds.high
    assert any(each in bounds.source for each in named)
