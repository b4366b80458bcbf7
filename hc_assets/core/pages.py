"""The HTML pages' templates: what is put into them is escaped, and what is missing is an error.

Belongs here: how they are loaded, and `page.css`, the style that all pages include. Each page has a
module of its own beside its template, in the folder of what it shows.
"""

from collections.abc import Callable, Mapping

import jinja2


def page_template(
    package: str, name: str, filters: Mapping[str, Callable[..., str]] | None = None
) -> jinja2.Template:
    """Load a page's template.

    Args:
        package: in whose folder the template is, such as `hc_assets.reports`.
        name: of its file.
        filters: what the template writes values with, by name, besides Jinja's own.

    Returns:
        The template. `{% include "page.css" %}` in it gives the style of all pages.

    Raises:
        jinja2.TemplateNotFound: the package has no such file.
    """
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader(package, "."), jinja2.PackageLoader("hc_assets.core", ".")]
        ),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= dict(filters or {})
    return environment.get_template(name)
