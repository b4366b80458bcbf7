"""The HTML pages' templates: what is put into them is escaped, and what is missing is an error.

Belongs here: how they are loaded. Each page has a module of its own beside its template.
"""

from datetime import UTC, datetime
from functools import cache

import jinja2
from markupsafe import Markup

from hc_assets.reports.check_report import number


@cache
def page_template(name: str) -> jinja2.Template:
    """Load a template of this folder.

    Args:
        name: of its file.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hc_assets.reports", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"number": number, "moment": _moment, "name": _name}
    return environment.get_template(name)


def _moment(time: str) -> str:
    """Write a time in ISO 8601 as people do; "" stays."""
    return f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%d %H:%M} UTC" if time else ""


def _name(text: str) -> Markup:
    """Let a long name break where it has an underscore, so that a phone need not cut words."""
    return Markup("_<wbr>").join(text.split("_"))  # which escapes the parts
