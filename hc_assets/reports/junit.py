"""The check report as JUnit XML, for whatever shows the results of tests.

Belongs here: rendering only. A suite is an asset, a case a check of a batch.
"""

from itertools import groupby
from xml.etree import ElementTree as ET

from hc_assets.reports.check_report import CheckOutcome, Report, number

# What XML 1.0 can't hold, not even escaped (section 2.2 of the recommendation).
_FORBIDDEN = {code: None for code in range(0x20) if chr(code) not in "\t\n\r"} | {
    0xFFFE: None,
    0xFFFF: None,
}


def as_junit(report: Report) -> str:
    """Render as one `testsuites` element.

    A failed check of severity ERROR is a failure. One of severity WARN passes, since it fails no
    build, and says so in its output. A check that never ran is skipped.
    """
    suites = ET.Element("testsuites", name="hc_assets")
    by_asset = sorted(report.outcomes, key=lambda o: o.asset)
    for asset, outcomes in groupby(by_asset, key=lambda o: o.asset):
        listed = list(outcomes)
        suite = _suite(suites, asset, listed)
        for outcome in listed:
            _case(suite, outcome)
    if report.never_run:
        suite = _suite(suites, "never run", [])
        suite.set("tests", str(len(report.never_run)))
        suite.set("skipped", str(len(report.never_run)))
        for name in report.never_run:
            asset, _, check = name.partition(": ")
            case = ET.SubElement(suite, "testcase", classname=asset, name=check, time="0")
            ET.SubElement(case, "skipped", message="never run")
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True)


def _suite(suites: ET.Element, name: str, outcomes: list[CheckOutcome]) -> ET.Element:
    failures = sum(outcome.mark == "FAIL" for outcome in outcomes)
    return ET.SubElement(
        suites,
        "testsuite",
        name=name,
        tests=str(len(outcomes)),
        failures=str(failures),
        errors="0",
        skipped="0",
        time="0",
    )


def _case(suite: ET.Element, outcome: CheckOutcome) -> None:
    name = f"{outcome.check} [{outcome.where}]"
    case = ET.SubElement(suite, "testcase", classname=outcome.asset, name=name, time="0")
    message = _clean(
        f"{outcome.explanation} (value {number(outcome.value)}, threshold"
        f" {number(outcome.threshold)}, severity {outcome.severity}, {outcome.checked_at})"
    )
    if outcome.mark == "FAIL":
        failure = ET.SubElement(case, "failure", type=outcome.severity, message=message)
        failure.text = message
    else:
        ET.SubElement(case, "system-out").text = f"{outcome.mark} {message}"


def _clean(text: str) -> str:
    return text.translate(_FORBIDDEN)
