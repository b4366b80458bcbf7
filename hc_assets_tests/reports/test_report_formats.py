"""The formats that others read: Markdown, JUnit XML, HTML."""

import math
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hc_assets.reports.check_page import as_html, plot
from hc_assets.reports.check_report import CheckOutcome, Report, Trend
from hc_assets.reports.formats import FORMATS
from hc_assets.reports.junit import as_junit
from hc_assets.reports.markdown import as_markdown, escaped

NASTY = '<script>alert("x")</script> | `a` [b](c) & \x01\n# d'


def outcome(batch: str | None, mark: str, value: float | None = 0.5, **members: str):
    return CheckOutcome(
        **{
            "asset": "fhir/raw_bundles",
            "check": "all_there",
            "batch": batch,
            "passed": mark == "PASS",
            "severity": "WARN" if mark == "WARN" else "ERROR",
            "is_blocking": mark == "FAIL",
            "value": value,
            "threshold": 0.9,
            "explanation": "3 in, 3 out",
            "checked_at": "2026-01-01T00:00:00+00:00",
            "run_id": "r1",
            **members,
        }
    )


REPORT = Report.of(
    [
        outcome("b1", "PASS", 1.0),
        outcome("b2", "FAIL", 0.25, explanation=NASTY),
        outcome(None, "WARN", 0.75, asset="imaging/dicom_index", check="odd"),
    ],
    ["imaging/x: y"],
    written_at="2026-01-02T00:00:00+00:00",
    ui_url="http://ui",
)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_format_shows_each_check_with_batch_value_threshold_severity_and_time(name):
    text = FORMATS[name].render(REPORT)
    for word in (
        "all_there",
        "odd",
        "b1",
        "b2",
        "0.25",
        "0.9",
        "ERROR",
        "WARN",
        "2026-01-01T00",
    ):
        assert word in text, word
    assert "never" in text


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_format_can_show_nothing(name):
    assert FORMATS[name].render(Report.of([], []))


def test_junit_counts_failures_warns_in_output_and_skips_what_never_ran():
    suites = ET.fromstring(as_junit(REPORT).encode())  # noqa: S314 - our own
    by_name = {suite.get("name"): suite for suite in suites}
    raw = by_name["fhir/raw_bundles"]
    assert (raw.get("tests"), raw.get("failures")) == ("2", "1")
    (failure,) = raw.iter("failure")
    assert "value 0.25, threshold 0.9" in failure.get("message")
    imaging = by_name["imaging/dicom_index"]
    assert imaging.get("failures") == "0"
    assert imaging.find("testcase/system-out").text.startswith("WARN ")
    assert by_name["never run"].find("testcase/skipped") is not None


@given(text=st.text())
def test_junit_is_xml_whatever_a_check_says(text):
    report = Report.of([outcome("b", "FAIL", explanation=text)], [])
    ET.fromstring(as_junit(report).encode("utf-8", "replace"))  # noqa: S314 - our own


def test_markdown_rows_have_as_many_cells_as_their_head():
    tables = re.findall(r"(?:^\|.*\|$\n?)+", as_markdown(REPORT), re.MULTILINE)
    assert len(tables) == 3
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.strip().split("\n")}
        assert len(widths) == 1, table


@given(text=st.text())
def test_markdown_keeps_text_on_its_line_and_out_of_the_markup(text):
    cell = escaped(text)
    assert "\n" not in cell
    assert not re.search(r"(?<!\\)(?:\\\\)*[|<>`\[\]]", cell)


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.loaded: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append(tag)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "a":
            self.links.append(attributes["href"])
        if "src" in attributes or tag == "link":
            self.loaded.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def page() -> Page:
    read = Page()
    read.feed(as_html(REPORT))
    return read


def test_the_page_runs_and_loads_nothing(page):
    assert "script" not in page.tags
    assert page.loaded == []


def test_the_page_shows_what_a_check_says_as_text(page):
    assert '<script>alert("x")</script>' in " ".join(page.words)


def test_the_page_says_results_in_words_and_signs_too(page):
    words = " ".join(page.words)
    for word, sign in (("PASS", "✓"), ("WARN", "!"), ("FAIL", "✗")):
        assert word in words
        assert sign in words


def test_links_within_the_page_lead_somewhere_and_others_to_the_ui(page):
    inside = [link[1:] for link in page.links if link.startswith("#")]
    assert set(inside) <= set(page.ids)
    assert "attention" in inside
    assert {link for link in page.links if not link.startswith("#")} == {
        "http://ui",
        "http://ui/runs/r1",
    }
    assert len(page.ids) == len(set(page.ids))


def test_without_a_ui_the_page_has_no_links_out():
    read = Page()
    read.feed(as_html(Report.of(REPORT.outcomes, [])))
    assert all(link.startswith("#") for link in read.links)


@given(
    st.lists(
        st.none() | st.floats(allow_nan=True, allow_infinity=True, width=32),
        min_size=1,
        max_size=30,
    )
)
def test_plots_stay_in_their_frame(values):
    outcomes = [outcome(f"b{index:02d}", "PASS", value) for index, value in enumerate(values)]
    drawn = plot(Trend("a", "c", outcomes))
    known = [value for value in values if value is not None and math.isfinite(value)]
    assert len(drawn.points) == len(known)
    assert all(0 <= point.x <= 160 and 0 <= point.y <= 32 for point in drawn.points)
    assert drawn.threshold_y is None or 0 <= drawn.threshold_y <= 32
