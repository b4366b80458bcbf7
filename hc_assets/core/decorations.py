"""What only decorates a result: pictures and plots beside the rows, in Dagster or in a report.

Belongs here: that it can't fail the step that makes the rows. What is drawn is each domain's.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from hc_assets.core.redaction import described

T = TypeVar("T")


def decorations(draw: Callable[[], Mapping[str, T]], as_text: Callable[[str], T]) -> dict[str, T]:
    """Draw what goes beside a result; where that fails, state that in its place.

    Args:
        draw: returns each picture or plot by its name.
        as_text: makes a text into what `draw` gives.

    Returns:
        What was drawn; or `not_drawn`, with the class of the error and the place of ours where it
        was raised: never its text, which may quote a value.
    """
    try:
        return dict(draw())
    except Exception as error:  # noqa: BLE001 - whatever it is, the rows are right without it
        return {"not_drawn": as_text(described(error))}
