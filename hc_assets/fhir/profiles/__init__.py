"""Validation of resources against StructureDefinition profiles given as files."""

from hc_assets.fhir.profiles.errors import ProfileError
from hc_assets.fhir.profiles.profile_set import ProfileSet, load_profiles

__all__ = ["ProfileError", "ProfileSet", "load_profiles"]
