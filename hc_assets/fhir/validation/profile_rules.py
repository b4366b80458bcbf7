"""Profiles that a deployment names, loaded once per process and applied after R4's own rules.

Belongs here: finding the loaded profiles and asking them. What a profile demands is in `profiles/`.
Profiles are handed about as texts: paths of files and folders, and demands `<type>=<URL>`, which
hold each resource of a type against a profile whether it names it or not.
"""

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from hc_assets.core.errors import UnreadableInputError
from hc_assets.core.setting_errors import SettingError
from hc_assets.fhir.profiles import ProfileError, ProfileSet, load_profiles
from hc_assets.fhir.profiles.core_profiles import core_profile_urls
from hc_assets.fhir.profiles.elements import is_a
from hc_assets.fhir.r4.definitions import r4
from hc_assets.fhir.r4.issues import Issue

if TYPE_CHECKING:
    from hc_assets.fhir.settings import FhirSettings

_DEMAND = re.compile(r"([A-Z][A-Za-z]*)=((?:https?://|urn:)\S+)")
NONE_NAMED = (
    "no resource names one of the profiles that were given; HC_FHIR_PROFILE_FOR demands one by type"
)


class DemandError(ProfileError):
    """A profile is demanded of a type that there is no such profile for."""


def given_profiles(paths: Iterable[Path], demands: Iterable[str] = ()) -> tuple[str, ...]:
    """Profiles as texts; see above.

    Args:
        paths: files and folders of StructureDefinitions.
        demands: `<type>=<URL>`.
    """
    return (*(str(path.absolute()) for path in paths), *demands)


@lru_cache(maxsize=2)
def loaded(profiles: tuple[str, ...]) -> ProfileSet:
    """Load profiles; a second call for the same ones costs nothing.

    Raises:
        ProfileError: a file is not what it should be.
        DemandError: a profile is demanded that isn't there.
    """
    paths = [Path(each) for each in profiles if not _DEMAND.fullmatch(each)]
    # R4's own are held against already, by `validate`.
    found = load_profiles(paths, core_profile_urls())
    for type_name, url in _demands(profiles):
        profile, demand = found.profile(url), f"{type_name}={url}"
        if type_name not in r4().resource_names:
            raise DemandError(
                f"{type_name}={url}", "", "found no resource type, expected one before ="
            )
        if profile is None:
            raise DemandError(
                f"{type_name}={url}", "", "found no such profile, expected one of those given"
            )
        if not is_a(type_name, profile.type_name):
            text = f"found a profile of {profile.type_name}, expected one of {type_name}"
            raise DemandError(demand, "", text)
    return found


def _demands(profiles: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(found[1], found[2]) for each in profiles if (found := _DEMAND.fullmatch(each))]


@lru_cache(maxsize=2)
def _demanded(profiles: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(url for _, url in _demands(profiles)))


def profile_issues(resource: bytes, profiles: tuple[str, ...]) -> list[Issue]:
    """Hold a valid resource against those profiles that it names, or that are demanded of it.

    Args:
        resource: valid R4 JSON.
        profiles: as `given_profiles` gives them; none means that nothing is checked.
    """
    if not profiles:
        return []
    return loaded(profiles).validate(resource, for_every=_demanded(profiles))


def refuse_unusable(settings: "FhirSettings") -> tuple[str, ...]:
    """Load the profiles of a deployment, so that one that can't be used is known beforehand.

    Returns:
        As for `usable`.

    Raises:
        SettingError: as for `usable`.
        UnreadableInputError: as for `usable`.
    """
    return usable(given_profiles(settings.fhir_profiles, settings.fhir_profile_for))


def usable(profiles: tuple[str, ...]) -> tuple[str, ...]:
    """Load profiles, so that one that can't be used is known before anything is held against it.

    Args:
        profiles: as `given_profiles` gives them.

    Returns:
        What their packages depend on, and isn't given, in words.

    Raises:
        SettingError: HC_FHIR_PROFILE_FOR demands one that isn't there.
        UnreadableInputError: one can't be used; the text names its file and the reason.
    """
    try:
        return loaded(profiles).notes if profiles else ()
    except DemandError as error:
        raise SettingError(f"HC_FHIR_PROFILE_FOR: {error}") from error
    except (OSError, ProfileError) as error:
        raise UnreadableInputError(f"profiles: {error}") from error


class NamedProfiles:
    """Notes whether resources name one of the profiles given, from when it is made."""

    def __init__(self, profiles: tuple[str, ...]) -> None:
        """Begin to look at what is held against these profiles in this process."""
        self._met = loaded(profiles).met if profiles else set()
        self._met.clear()

    @property
    def are_any(self) -> bool:
        """Whether some resource was held against one of them."""
        return bool(self._met)


def constraints(profiles: tuple[str, ...]) -> frozenset[str]:
    """Keys of the rules in FHIRPath that profiles state; none where they can't be loaded.

    That they can't is reported by whoever loads them to use them.
    """
    try:
        return loaded(profiles).constraints if profiles else frozenset()
    except (OSError, ProfileError):
        return frozenset()


def digest(profiles: tuple[str, ...]) -> str:
    """SHA-256 over demands, names and bytes of all files that profiles come from; "" for none."""
    if not profiles:
        return ""
    hasher = hashlib.sha256()
    for type_name, url in _demands(profiles):
        hasher.update(f"{type_name}={url}\0".encode())
    for path in (Path(each) for each in profiles if not _DEMAND.fullmatch(each)):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                hasher.update(f"{file.name}\0".encode())
                hasher.update(file.read_bytes())
    return hasher.hexdigest()
