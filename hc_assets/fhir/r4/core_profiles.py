"""The profiles that R4 itself publishes, of resources and data types, as data.

Belongs here: the shape and the loading of `core_profiles.json.gz`, which
`fhir/r4/build/core_profiles.py` writes. What the profiles demand is read in `fhir/profiles/`.
"""

import gzip
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

CORE_PROFILES_PATH = Path(__file__).with_name("core_profiles.json.gz")
CORE_PROFILE_BASE = "http://hl7.org/fhir/StructureDefinition/"
LOINC = "http://loinc.org"


class VitalSign(msgspec.Struct, frozen=True, omit_defaults=True):
    """What decides quickly that an Observation conforms to its vital sign's profile.

    Attributes:
        profile: URL of the profile.
        units: UCUM codes that its value may have; none where it has no value of its own.
        components: the LOINC codes that it must have components of, and their UCUM codes.
    """

    profile: str
    units: tuple[str, ...] = ()
    components: dict[str, tuple[str, ...]] = {}


class CoreProfiles(msgspec.Struct, frozen=True):
    """The profiles.

    Attributes:
        structures: StructureDefinitions with a differential, without texts.
        value_sets: those of their bindings, each with its codes.
        vital_signs: by LOINC code. R4 asks of each Observation with such a code that it conform.
    """

    structures: list[dict[str, Any]]
    value_sets: list[dict[str, Any]]
    vital_signs: dict[str, VitalSign]


@cache
def core_profiles() -> CoreProfiles:
    """All of them, read on first use."""
    content = gzip.decompress(CORE_PROFILES_PATH.read_bytes())
    return msgspec.json.decode(content, type=CoreProfiles)
