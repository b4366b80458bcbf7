"""Templates of any package, with the style of all pages."""

import sys

import jinja2
import pytest

from hc_assets.core.pages import page_template


@pytest.fixture
def package(tmp_path, monkeypatch) -> str:
    """A package that has templates."""
    folder = tmp_path / "package_of_pages"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "page.jinja").write_text(
        '<style>{% include "page.css" %}</style><p>{{ text }} {{ number | twice }}</p>'
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield folder.name
    sys.modules.pop(folder.name, None)


def twice(number: int) -> str:
    return str(2 * number)


def test_a_page_is_loaded_from_the_package_named_and_has_the_common_style(package):
    page = page_template(package, "page.jinja", {"twice": twice}).render(text="a", number=4)
    assert page.endswith("<p>a 8</p>")
    assert "prefers-color-scheme: dark" in page


def test_what_is_put_in_is_escaped(package):
    page = page_template(package, "page.jinja", {"twice": twice}).render(text="<b>", number=0)
    assert "&lt;b&gt;" in page


def test_what_is_missing_is_an_error(package):
    with pytest.raises(jinja2.UndefinedError, match="text"):
        page_template(package, "page.jinja", {"twice": twice}).render(number=0)
    with pytest.raises(jinja2.TemplateNotFound):
        page_template(package, "other.jinja")
