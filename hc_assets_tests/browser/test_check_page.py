"""The check report as a page, at the width of a desktop and of a phone."""

import pytest

# Links and switches that can be seen; what is folded up is reached once it is not.
_USABLE = "[...document.querySelectorAll('a[href], summary')].filter(e => e.checkVisibility())"
WIDTHS = {"desktop": 1280, "phone": 360}


@pytest.fixture(params=sorted(WIDTHS))
def report(request, demo, open_page):
    page = open_page(demo.report.as_uri(), width=WIDTHS[request.param], height=800)
    page.name = request.param
    return page


def test_the_report_does_not_scroll_sideways(report, keep):
    keep(report, f"check-report-{report.name}")
    for summary in report.locator("summary").all()[:5]:
        summary.click()
    widest = report.evaluate("document.documentElement.scrollWidth")
    assert widest <= report.evaluate("document.documentElement.clientWidth")


def test_failure_is_described_in_words(report):
    section = report.get_by_role("region", name="Needs attention")
    failed = section.get_by_role("row").filter(has_text="validation_rate_at_least_threshold")
    failed.first.wait_for()
    assert "FAIL" in failed.first.inner_text()
    assert failed.first.is_visible()
    assert "entries are valid" in failed.first.inner_text()


def test_all_of_the_report_is_reached_by_keyboard(report):
    report.keyboard.press("Tab")
    assert report.evaluate("document.activeElement.textContent") == "Skip to what needs attention"
    report.keyboard.press("Enter")
    assert report.evaluate("document.activeElement.id") == "attention"

    report.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    can_be_used = report.evaluate(f"{_USABLE}.length")
    assert can_be_used > 20
    reached = set()
    for _ in range(can_be_used + 2):  # with the skip link and the page itself
        report.keyboard.press("Tab")
        reached.add(report.evaluate(f"{_USABLE}.indexOf(document.activeElement)"))
    assert reached >= set(range(can_be_used))

    first = report.locator("summary").first
    first.focus()
    outline = first.evaluate("element => getComputedStyle(element).outlineStyle")
    assert outline != "none"
    report.keyboard.press("Enter")
    assert report.locator("details").first.evaluate("element => element.open")
