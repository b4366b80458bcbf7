"""The check report's formats, by name.

Belongs here: the list of them. Each is in a module of its own.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from hc_assets.reports.check_page import as_html
from hc_assets.reports.check_report import Report, as_json, as_text
from hc_assets.reports.junit import as_junit
from hc_assets.reports.markdown import as_markdown


class Format(NamedTuple):
    """A format: the suffix of its files, and what renders a report in it."""

    suffix: str
    render: Callable[[Report], str]


FORMATS: Mapping[str, Format] = {
    "text": Format("txt", as_text),
    "markdown": Format("md", as_markdown),
    "json": Format("json", as_json),
    "junit": Format("xml", as_junit),
    "html": Format("html", as_html),
}
