"""The quality report's page: whole by itself, readable by all, and without patient data."""

import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from hc_assets.imaging.quality_report.chosen_frames import ChosenFrame
from hc_assets.imaging.quality_report.page import as_html, as_text
from hc_assets.imaging.quality_report.report import QualityReport, WorstFrame
from hc_assets.imaging.quality_report.statistics import count
from hc_assets_tests.imaging.quality_report.test_statistics import rows

NASTY = '<script>alert("x")</script>'
WORST = ChosenFrame("b1", "DOE^JANE.dcm", "ab" * 32, 3, "CT", 0.1, False, "snr", True)
REPORT = QualityReport(
    count(
        [
            rows([0.1, 0.4, 0.9, None]),
            rows([0.95], modality="MR", scanner=NASTY, batch="b2"),
            rows([0.52], modality=None, scanner=None, batch="b3"),
        ]
    ),
    gate=0.52,
    training_gate=0.7,
    worst=(WorstFrame(WORST, "data:image/png;base64,AAAA", is_blurred=True),),
)
VOID = {"meta", "line", "rect", "circle", "polyline", "img", "br"}


class Outline(HTMLParser):
    """Ids, links, and whether tags are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.tags: list[str] = []
        self.unnamed: list[str] = []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "a":
            self.links.append(attributes["href"])
        self.loaded += [
            attributes[name] for name in ("src", "srcset", "data") if name in attributes
        ]
        is_hidden = attributes.get("aria-hidden") == "true"
        if tag == "svg" and not is_hidden and not attributes.get("aria-label"):
            self.unnamed.append(tag)
        if tag == "img" and not attributes.get("alt"):
            self.unnamed.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def outline(report: QualityReport) -> Outline:
    found = Outline()
    found.feed(as_html(report))
    assert found.open == []
    return found


def test_the_page_needs_nothing_else_and_runs_nothing():
    found = outline(REPORT)
    assert "script" not in found.tags
    assert "link" not in found.tags
    assert all(source.startswith("data:") for source in found.loaded)
    assert not re.search(r"https?://|@import", as_html(REPORT))


def test_every_link_leads_somewhere_and_every_picture_has_words():
    found = outline(REPORT)
    assert {link.removeprefix("#") for link in found.links} <= set(found.ids)
    assert len(found.ids) == len(set(found.ids))
    assert len(found.links) == 6
    assert found.unnamed == []


def test_frames_go_by_the_hash_of_their_file():
    page = as_html(REPORT)
    assert "DOE^JANE" not in page
    assert "abababababab:3" in page
    assert "blurred: text or a face is probable" in page
    assert "DOE^JANE" not in as_text(REPORT)


def test_a_header_s_own_words_are_not_shown():
    for text in (as_html(REPORT), as_text(REPORT)):
        assert "script" not in text
        assert "alert" not in text
        digest = hashlib.sha256(NASTY.encode()).hexdigest()
        assert f"MR, scanner {digest[:8]}" in text
    assert "WHERE sha256(scanner) LIKE" in as_html(REPORT)


def test_verdicts_are_words_and_shapes_too():
    page = as_html(REPORT)
    assert re.search(r'class="badge fail"><span aria-hidden="true">✗</span> FAIL', page)
    assert 'fill="url(#below)"' in page
    assert ">below</td>" in page


def test_thresholds_report_what_they_would_keep_and_which_are_set():
    page = as_html(REPORT)
    at_gate = re.search(
        r'<tr><td data-label="Threshold" class="number">0.52</td>.*?</tr>', page, re.DOTALL
    )[0]
    assert '<td data-label="Keeps" class="number">3</td>' in at_gate
    assert "60.0 %" in at_gate
    assert "the gate" in at_gate
    assert "the training gate" in page
    both = as_html(replace(REPORT, training_gate=0.52))
    assert "both gates" in both


def test_statistics_as_text_have_a_line_per_group():
    heading, *lines = as_text(REPORT).splitlines()
    assert len(lines) == len(REPORT.groups) == 10
    assert all(len(line.split("\t")) == len(heading.split("\t")) for line in lines)
    assert lines[0].split("\t")[:5] == ["all", "all", "6", "5", "3"]


@pytest.mark.parametrize("batches", [[], [rows([None])]])
def test_an_empty_report_is_reported_as_empty(batches):
    report = QualityReport(count(batches), 0.5, 0.7)
    outline(report)
    assert "No frame has a score." in as_html(report)
    assert as_text(report).splitlines()[1].startswith("all\tall\t")
