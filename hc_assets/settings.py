"""The settings of a deployment: the core's section and that of each domain, as one class.

Belongs here: putting the sections together. What can be set is in `core/settings.py` and in each
domain's `settings.py`, which a domain's own code reads; whoever serves all domains builds this one.
"""

from typing import TYPE_CHECKING

from pydantic import create_model, field_validator

from hc_assets.core.domain import DeclarationError
from hc_assets.core.settings import CoreSettings
from hc_assets.domains import CATALOG, DOMAINS


def _combined() -> type[CoreSettings]:
    sections = tuple(dict.fromkeys(domain.settings for domain in DOMAINS))
    owners: dict[str, str] = {}
    for section in sections:
        for name in section.model_fields.keys() - CoreSettings.model_fields.keys():
            if name in owners:
                raise DeclarationError(
                    f"the setting {name} is declared by {owners[name]} and by {section.__name__}"
                )
            owners[name] = section.__name__
    return create_model(
        "Settings",
        __base__=sections,
        __module__=__name__,
        __validators__={"known_kinds": field_validator("landing_folders")(_refuse_unknown_kinds)},
        __doc__="Settings of one deployment, from the environment (prefix `HC_`).",
    )


def _refuse_unknown_kinds(folders: dict[str, str]) -> dict[str, str]:
    kinds = {kind.name for kind in CATALOG.kinds}
    if unknown := folders.keys() - kinds:
        raise ValueError(f"found {', '.join(sorted(unknown))}, expected {', '.join(sorted(kinds))}")
    return folders


if TYPE_CHECKING:
    from hc_assets.fhir.settings import FhirSettings
    from hc_assets.imaging.settings import ImagingSettings

    class Settings(FhirSettings, ImagingSettings):
        """What `_combined` makes of the domains' sections, for type checkers."""

else:
    Settings = _combined()
