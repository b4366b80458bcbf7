"""What stopped rows of the imaging tables (`core/fence.py`): the evaluator behind their checks.

Belongs here: counting reasons by class and place. Which table says it in which column is said in
the `checks.py` of each room.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from hc_assets.core.verdicts import Verdict, no_internal_errors
from hc_assets.imaging.fenced_batches import errors_in

NO_INTERNAL = "no_internal_errors"
"""Name of the check."""
NO_INTERNAL_DESCRIPTION = (
    "No row was stopped by an error of ours or of a library's; each that was is set aside with the"
    " class of the error and its place."
)


def none_in(reasons: Iterable[str | Sequence[str] | None]) -> Verdict:
    """Judge that no row was stopped by an internal error.

    Args:
        reasons: of each row: a text, a list of them, or None; others than those of internal errors
            do not count.
    """
    return no_internal_errors(Counter(each.error for row in reasons for each in errors_in(row)))


def none_among(counts: Mapping[str, int]) -> Verdict:
    """As `none_in`, of rows that were counted by their reason."""
    by_place = {found.error: counts[text] for text in counts for found in errors_in(text)}
    return no_internal_errors(by_place)
