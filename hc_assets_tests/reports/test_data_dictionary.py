from pathlib import Path

from hc_assets.domains import CATALOG
from hc_assets.reports.data_dictionary import render

DOCUMENT = Path(__file__).parents[2] / "docs" / "data-dictionary.md"


def test_the_document_is_what_the_schemas_say(shipped_catalog):
    """Where it is not: `make docs`."""
    assert DOCUMENT.read_text(encoding="utf-8") == render(shipped_catalog)


def test_every_table_and_nested_field_is_in_it():
    text = render(CATALOG)
    for name in CATALOG.tables:
        assert f"## {name.replace('/', '.')}\n" in text
    assert "`issues[].expression`" in text
    assert "| `slice_thickness` | double | mm | yes |" in text
