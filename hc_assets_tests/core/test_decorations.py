"""A picture that can't be drawn costs itself, and says so without quoting what it failed on."""

import pytest

from hc_assets.core.decorations import decorations


def test_what_is_drawn_is_given():
    assert decorations(lambda: {"plot": "![a](b)"}, str) == {"plot": "![a](b)"}


@pytest.mark.parametrize("error", [ValueError("Doe"), MemoryError("Doe"), RecursionError("Doe")])
def test_what_can_not_be_drawn_is_reported_by_class_and_place(error):
    def draw() -> dict[str, str]:
        raise error

    (text,) = decorations(draw, str).values()
    assert type(error).__name__ in text
    assert "decorations.py" in text
    assert "Doe" not in text
