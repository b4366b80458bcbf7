"""hc_assets: raw healthcare data as Dagster assets that analysts and models can trust.

What one may import is in `__all__`, stated with examples in docs/api.md; all else may change from
one version to the next. The names are imported when they are asked for, so that `hc-assets --help`
and a look at a training set do not wait for Dagster.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hc_assets.api import read
    from hc_assets.definitions import build_defs
    from hc_assets.fhir.validation import is_valid, operation_outcome, validate
    from hc_assets.imaging.training.dataset import TrainingSet
    from hc_assets.settings import Settings

__all__ = [
    "Settings",
    "TrainingSet",
    "build_defs",
    "is_valid",
    "operation_outcome",
    "read",
    "validate",
]

_PLACES = {
    "Settings": "hc_assets.settings",
    "TrainingSet": "hc_assets.imaging.training.dataset",
    "build_defs": "hc_assets.definitions",
    "is_valid": "hc_assets.fhir.validation",
    "operation_outcome": "hc_assets.fhir.validation",
    "read": "hc_assets.api",
    "validate": "hc_assets.fhir.validation",
}


def __getattr__(name: str) -> object:
    """Import one of the names of `__all__`."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(_PLACES[name]), name)
