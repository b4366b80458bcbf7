"""Names and shares of splits.

Belongs here: what they must be like. Who is in which split is decided in `plan.py`.
"""

import re
from collections.abc import Mapping

DEFAULT_SPLITS: Mapping[str, float] = {"train": 0.8, "validation": 0.1, "test": 0.1}
_SPLIT_NAME = re.compile(r"[a-z][a-z0-9_-]*")


class SelectionError(ValueError):
    """A choice that can't be followed; names what was expected and found."""


def check_splits(splits: Mapping[str, float]) -> None:
    """Check names and shares.

    Raises:
        SelectionError: a name can't be a folder's, a share is not above 0, or they don't add up.
    """
    for name, share in splits.items():
        if not _SPLIT_NAME.fullmatch(name):
            raise SelectionError(
                f"expected the name of a split in lower case letters, digits, - and _; found {name}"
            )
        if not share > 0:
            raise SelectionError(f"expected a share above 0 for {name}, found {share}")
    total = sum(splits.values())
    if abs(total - 1) > 1e-9:
        raise SelectionError(f"expected shares of splits that add up to 1, found {total:g}")
